package test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	paho3 "github.com/eclipse/paho.mqtt.golang"

	"github.com/dunlinmq/dunlin/core/packet"
)

// url is where the trip goes.
func (c trip) url() *url.URL {
	scheme := map[string]string{"tcp": "mqtt", "ssl": "mqtts", "ws": "ws", "wss": "wss"}[c.Transport]
	u := &url.URL{Scheme: scheme, Host: fmt.Sprintf("%s:%d", c.Host, c.Port)}
	if c.Transport == "ws" || c.Transport == "wss" {
		u.Path = "/mqtt"
	}
	return u
}

// tls trusts the trip's authority.
func (c trip) tls() (*tls.Config, error) {
	if c.CA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("no certificate in " + c.CA)
	}
	return &tls.Config{RootCAs: pool}, nil
}

// check compares what came back with what the trip has sent.
func (c trip) check(topic string, payload []byte, qos byte) error {
	if topic != c.Name || !bytes.Equal(payload, c.Payload) || qos != c.QoS {
		return fmt.Errorf("got %s, %d bytes at QoS %d", topic, len(payload), qos)
	}
	return nil
}

// Paho for Go, 3.1 and 3.1.1, all four transports, each QoS.
func TestPahoGo(t *testing.T) {
	t.Parallel()
	b := start(t, setup{})
	for _, c := range (library{"go", allTransports, []packet.Version{v31, v311}}).trips(b) {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.paho3(); err != nil {
				t.Error(err)
			}
		})
	}
}

func (c trip) paho3() error {
	config, err := c.tls()
	if err != nil {
		return err
	}
	came := make(chan paho3.Message, 1)
	o := paho3.NewClientOptions().AddBroker(c.url().String()).SetClientID(c.Name).
		SetProtocolVersion(uint(c.Version)).SetAutoReconnect(false).SetConnectTimeout(patience).
		SetUsername(c.Username).SetPassword(c.Password)
	if config != nil {
		o.SetTLSConfig(config)
	}
	client := paho3.NewClient(o)
	wait := func(what string, token paho3.Token) error {
		if !token.WaitTimeout(patience) {
			return errors.New("no end of " + what)
		}
		if token.Error() != nil {
			return fmt.Errorf("%s: %w", what, token.Error())
		}
		return nil
	}
	if err := wait("connect", client.Connect()); err != nil {
		return err
	}
	defer client.Disconnect(0)
	err = wait("subscribe", client.Subscribe(c.Name, c.QoS, func(_ paho3.Client, m paho3.Message) { came <- m }))
	if err != nil {
		return err
	}
	if err := wait("publish", client.Publish(c.Name, c.QoS, false, c.Payload)); err != nil {
		return err
	}
	select {
	case m := <-came:
		if err := c.check(m.Topic(), m.Payload(), m.Qos()); err != nil {
			return err
		}
	case <-time.After(patience):
		return errors.New("no message")
	}
	return wait("unsubscribe", client.Unsubscribe(c.Name))
}

// Paho for Go, 5.0 with its connection manager, all four transports, each QoS.
func TestAutopaho(t *testing.T) {
	t.Parallel()
	b := start(t, setup{})
	for _, c := range (library{"auto", allTransports, []packet.Version{v5}}).trips(b) {
		t.Run(c.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := c.autopaho(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

func (c trip) autopaho(ctx context.Context) error {
	config, err := c.tls()
	if err != nil {
		return err
	}
	came := make(chan *paho.Publish, 1)
	manager, err := autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls: []*url.URL{c.url()}, TlsCfg: config, KeepAlive: 20, CleanStartOnInitialConnection: true,
		ConnectUsername: c.Username, ConnectPassword: []byte(c.Password), WebSocketCfg: nil,
		ClientConfig: paho.ClientConfig{
			ClientID: c.Name,
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
				came <- p.Packet
				return true, nil
			}},
		},
	})
	if err != nil {
		return err
	}
	if err := manager.AwaitConnection(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	_, err = manager.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: c.Name, QoS: c.QoS}}})
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	_, err = manager.Publish(ctx, &paho.Publish{
		Topic: c.Name, QoS: c.QoS, Payload: c.Payload,
		Properties: &paho.PublishProperties{User: paho.UserProperties{{Key: "case", Value: c.Name}}},
	})
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	select {
	case p := <-came:
		if err := c.check(p.Topic, p.Payload, p.QoS); err != nil {
			return err
		}
		if got := p.Properties.User.Get("case"); got != c.Name {
			return fmt.Errorf("user property %q", got)
		}
	case <-ctx.Done():
		return errors.New("no message")
	}
	return manager.Disconnect(ctx)
}
