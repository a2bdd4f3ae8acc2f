package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// bridgePlugin carries out what is asked about bridges.
const bridgePlugin = "bridge_mqtt"

// bridge is what the plugin says of a bridge.
type bridge struct {
	Name        string       `json:"name"`
	State       string       `json:"state"`
	Address     string       `json:"address"`
	Protocol    string       `json:"protocol"`
	Connections []bridgeLink `json:"connections"`
	Topics      []bridgeWay  `json:"topics"`
	Waiting     uint64       `json:"waiting"`
	Bytes       int64        `json:"bytes"`
	MaxBytes    int64        `json:"max_bytes"`
	Queued      uint64       `json:"queued"`
	Sent        uint64       `json:"sent"`
	Received    uint64       `json:"received"`
	Dropped     uint64       `json:"dropped"`
	Expired     uint64       `json:"expired"`
	Refused     uint64       `json:"refused"`
	Looped      uint64       `json:"looped"`
	Full        bool         `json:"full"`
}

type bridgeLink struct {
	ClientID string    `json:"client_id"`
	Up       bool      `json:"up"`
	Since    time.Time `json:"since"`
	Address  string    `json:"address"`
	Error    string    `json:"error,omitempty"`
}

type bridgeWay struct {
	Direction string `json:"direction"`
	QoS       byte   `json:"qos"`
	Local     string `json:"local"`
	Remote    string `json:"remote"`
}

// trouble is why the first connection that is down is.
func (b bridge) trouble() string {
	for _, l := range b.Connections {
		if !l.Up && l.Error != "" {
			return l.Error
		}
	}
	return ""
}

func (b bridge) ways() string {
	var list []string
	for _, t := range b.Topics {
		list = append(list, fmt.Sprintf("%s %s -> %s (QoS %d)", t.Direction, t.Local, t.Remote, t.QoS))
	}
	return strings.Join(list, ", ")
}

var bridgeColumns = []column[bridge]{
	{"name", false, func(b bridge) any { return b.Name }},
	{"state", false, func(b bridge) any { return b.State }},
	{"address", false, func(b bridge) any { return b.Address }},
	{"waiting", false, func(b bridge) any { return b.Waiting }},
	{"sent", false, func(b bridge) any { return b.Sent }},
	{"received", false, func(b bridge) any { return b.Received }},
	{"error", false, func(b bridge) any { return b.trouble() }},
	{"protocol", true, func(b bridge) any { return b.Protocol }},
	{"topics", true, func(b bridge) any { return b.ways() }},
	{"bytes", true, func(b bridge) any { return b.Bytes }},
	{"max_bytes", true, func(b bridge) any { return b.MaxBytes }},
	{"queued", true, func(b bridge) any { return b.Queued }},
	{"dropped", true, func(b bridge) any { return b.Dropped }},
	{"expired", true, func(b bridge) any { return b.Expired }},
	{"refused", true, func(b bridge) any { return b.Refused }},
	{"looped", true, func(b bridge) any { return b.Looped }},
	{"full", true, func(b bridge) any { return b.Full }},
}

func (a *app) bridges() *cobra.Command {
	return group("bridges", "List, start and stop bridges to other brokers (plugin bridge_mqtt)",
		a.bridgesList(), a.bridgesShow(),
		a.bridgesChange("start", "Connect a bridge"), a.bridgesChange("stop", "Disconnect a bridge; what waits in its queue stays"),
		a.bridgesImport())
}

func (a *app) bridgesList() *cobra.Command {
	var form output
	cmd := &cobra.Command{Use: "list", Short: "List the bridges", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []bridge
			if err := a.command(cmd.Context(), bridgePlugin, "bridges.list", nil, &list); err != nil {
				return err
			}
			return show(a, form, listing[bridge]{columns: bridgeColumns, items: list})
		}}
	form.flag(cmd)
	return cmd
}

func (a *app) bridgesShow() *cobra.Command {
	var form output
	cmd := &cobra.Command{Use: "show NAME", Short: "Show a bridge", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := a.bridge(cmd.Context(), "show", args[0])
			if err != nil {
				return err
			}
			return showOne(a, form, bridgeColumns, b)
		}}
	form.flag(cmd)
	return cmd
}

// bridge has the plugin do something with a bridge.
func (a *app) bridge(ctx context.Context, verb, name string) (b bridge, err error) {
	err = a.command(ctx, bridgePlugin, "bridges."+verb, map[string]string{"name": name}, &b)
	return b, err
}

func (a *app) bridgesChange(verb, short string) *cobra.Command {
	return &cobra.Command{Use: verb + " NAME", Short: short + " until the plugin is loaded again", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := a.bridge(cmd.Context(), verb, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintln(a.out, "ok")
			return err
		}}
}

// maxMosquitto bounds a mosquitto.conf.
const maxMosquitto = 512 << 10

func (a *app) bridgesImport() *cobra.Command {
	return &cobra.Command{
		Use: "import FILE", Short: "Print the connection blocks of a mosquitto.conf as configuration of the plugin; - is the standard input", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := a.in
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			text, err := io.ReadAll(io.LimitReader(in, maxMosquitto+1))
			if err != nil {
				return err
			}
			if len(text) > maxMosquitto {
				return status.Errorf(codes.InvalidArgument, "%s has more than %d bytes", args[0], maxMosquitto)
			}
			var got struct {
				Text  string
				Notes []string
			}
			if err := a.command(cmd.Context(), bridgePlugin, "bridges.import", map[string]string{"text": string(text)}, &got); err != nil {
				return err
			}
			for _, n := range got.Notes {
				if _, err := fmt.Fprintf(a.out, "# %s\n", n); err != nil {
					return err
				}
			}
			_, err = fmt.Fprint(a.out, got.Text)
			return err
		},
	}
}
