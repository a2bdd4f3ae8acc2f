package channel

import "github.com/dunlinmq/dunlin/core/metrics"

// countIn and countOut count one PUBLISH by its QoS.
func countIn(c *metrics.Counters, qos byte) {
	c.PacketsPublishReceived++
	c.MessagesReceived++
	switch qos {
	case 0:
		c.MessagesQoS0Received++
	case 1:
		c.MessagesQoS1Received++
	default:
		c.MessagesQoS2Received++
	}
}

func countOut(c *metrics.Counters, qos byte) {
	c.PacketsPublishSent++
	c.MessagesSent++
	c.MessagesDelivered++
	switch qos {
	case 0:
		c.MessagesQoS0Sent++
	case 1:
		c.MessagesQoS1Sent++
	default:
		c.MessagesQoS2Sent++
	}
}
