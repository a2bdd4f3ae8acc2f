// Command plug is the process plugin of this package's tests: what it does with
// a message is in the message's payload.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

type plug struct {
	Refuse bool
	Want   string // filter of publish, from the start
	Name   string // the answer to "name"
	Again  string // of Reconfigure: "refuse", "fail" or ""
	tokens []sdk.Token
}

func (p *plug) Configure(config []byte) error {
	if err := json.Unmarshal(config, p); err != nil {
		return err
	}
	if p.Want != "" {
		if err := sdk.Want(contract.HookPublish, []string{p.Want}); err != nil {
			return err
		}
	}
	if p.Refuse {
		return errors.New("refuse is set")
	}
	return nil
}

// Reconfigure takes the name over, refuses, or leaves the process in the middle of it.
func (p *plug) Reconfigure(config []byte) error {
	var next plug
	if err := json.Unmarshal(config, &next); err != nil {
		return err
	}
	switch next.Again {
	case "refuse":
		return errors.New("again is set")
	case "fail":
		os.Exit(3)
	}
	p.Name = next.Name
	if next.Want == "" {
		return nil
	}
	return sdk.Want(contract.HookPublish, []string{next.Want})
}

func (p *plug) OnPublish(e *sdk.MessageEvent) sdk.Verdict {
	payload := e.PayloadBytes()
	switch {
	case bytes.Equal(payload, []byte("crash")):
		println("about to crash") // past what go-plugin makes of os.Stderr
		os.Exit(3)
	case bytes.Equal(payload, []byte("later")):
		v, token := sdk.Later(10 * time.Second)
		p.tokens = append(p.tokens, token)
		return v
	case bytes.Equal(payload, []byte("decide")):
		var errs []error
		for _, token := range p.tokens {
			errs = append(errs, token.Resume(sdk.Verdict{Action: sdk.Drop}), token.Resume(sdk.Verdict{}))
		}
		p.tokens = nil
		payload = fmt.Append(nil, errs)
	case bytes.Equal(payload, []byte("hang")):
		select {}
	case bytes.HasPrefix(payload, []byte("sleep ")):
		ms, _ := strconv.Atoi(string(payload[6:]))
		<-time.After(time.Duration(ms) * time.Millisecond)
	case bytes.Equal(payload, []byte("bad")):
		return sdk.Verdict{Action: contract.Continue}
	case bytes.Equal(payload, []byte("env")):
		payload = []byte(fmt.Sprint(os.Getenv("HOME"), os.Getenv("PATH"), os.Getenv("DUNLIN_TEST_SECRET")))
	case bytes.Equal(payload, []byte("dirs")):
		payload = []byte(sdk.DataDir() + " " + sdk.ConfigDir())
	case bytes.HasPrefix(payload, []byte("want ")):
		payload = fmt.Append(nil, sdk.Want(contract.HookPublish, strings.Fields(string(payload[5:]))))
	case bytes.HasPrefix(payload, []byte("refuse ")):
		f := strings.Fields(string(payload))
		k, _ := strconv.Atoi(f[1])
		payload = fmt.Append(nil, sdk.Refuse(contract.Hook(k), f[2:]))
	case bytes.Equal(payload, []byte("once")):
		m := sdk.Message{Topic: "from/plug", QoS: 2}
		payload = fmt.Append(nil, sdk.PublishOnce("k", time.Hour, m)(), sdk.PublishOnce("denied", 0, m)(), sdk.PublishOnce("k", -time.Second, m)(), sdk.ForgetOnce("k")())
	case bytes.Equal(payload, []byte("print")):
		fmt.Fprintln(os.Stderr, "to stderr")
		fmt.Println("to stdout")
	case bytes.Equal(payload, []byte("name")):
		payload = []byte(p.Name)
	case bytes.Equal(payload, []byte("pid")):
		payload = []byte(strconv.Itoa(os.Getpid()))
	case bytes.Equal(payload, []byte("publish")):
		err := sdk.Publish(sdk.Message{Topic: "from/plug", Payload: []byte("hello"), QoS: 1})
		payload = []byte(fmt.Sprint(err))
	}
	topic := "ok/" + e.Topic()
	out := bytes.Clone(payload)
	return sdk.Verdict{Action: sdk.Rewrite, Message: &sdk.MessageChange{Topic: &topic, Payload: &out}}
}

// OnCommand answers with the body, or with the fault that the name says.
func (p *plug) OnCommand(name string, body []byte) ([]byte, error) {
	switch name {
	case "echo":
		return body, nil
	case "missing":
		return nil, &sdk.CommandError{Kind: sdk.ErrNotFound, Text: "there is no such thing"}
	case "invalid":
		return nil, &sdk.CommandError{Kind: sdk.ErrInvalid, Text: "line 3: what is this?"}
	case "refuse":
		return nil, fmt.Errorf("busy: %w", sdk.ErrDenied)
	case "fail":
		return nil, errors.New("the disk is full")
	case "wait":
		select {}
	}
	return nil, sdk.UnknownCommand(name)
}

func (p *plug) OnPublished(e *sdk.MessageEvent) {
	sdk.AddCounter(1, 1)
	sdk.Log(sdk.Info, "published "+e.Topic())
}

func (p *plug) OnRetainedStore(e *sdk.RetainEvent) sdk.Verdict {
	if err := e.Keep(time.Minute); err != nil {
		return sdk.Verdict{Action: sdk.Deny, Reason: 0x97}
	}
	return sdk.Verdict{Action: sdk.Allow}
}

func (p *plug) OnRetainedRead(e *sdk.RetainedReadEvent) sdk.Verdict {
	if err := e.Deliver(); err != nil {
		sdk.Log(sdk.Error, err.Error())
	}
	return sdk.Verdict{}
}

var _ = sdk.Register(&plug{})

func main() { sdk.Main() }
