// Package topic is what a plugin needs of topic names and filters: the broker's
// own rules, so that a plugin and the broker never disagree. It owns nothing.
package topic

import "github.com/dunlinmq/dunlin/core/topic"

// Match tells whether a topic name matches a filter [MQTT-4.7.1-2, -3]; a filter
// that begins with a wildcard does not match names that begin with $
// [MQTT-4.7.2-1]. Both have to be valid.
func Match(filter, name string) bool { return topic.Match(filter, name) }

// ValidateFilter is nil for a topic filter [MQTT-4.7.1-1]; the error says what is
// wrong and where.
func ValidateFilter(filter string) error { return topic.ValidateFilter(filter) }

// ValidateName is nil for a topic name [MQTT-3.3.2-2]; the error says what is
// wrong and where.
func ValidateName(name string) error { return topic.ValidateName(name) }
