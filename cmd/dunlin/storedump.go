package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/cursor"
	mqtt "github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/schedule"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/pebble"
	"github.com/dunlinmq/dunlin/core/topicstore"
)

// Kinds of lines of a dump. Those of a session have its client id.
const (
	kindSession      = "session"
	kindWill         = "will"
	kindSubscription = "subscription"
	kindQueued       = "queued"
	kindReceived     = "received"
	kindInbound      = "inbound"
	kindRetained     = "retained"
	kindDelayed      = "delayed"
	kindLog          = "log"
	kindRecord       = "record"
	kindKV           = "kv"
	kindBan          = "ban"
)

var (
	sessionKinds = []string{kindSession, kindWill, kindSubscription, kindQueued, kindReceived, kindInbound}
	dumpKinds    = append(slices.Clone(sessionKinds), kindRetained, kindDelayed, kindLog, kindRecord, kindKV, kindBan)
)

// bansFile is the banned list in the data directory.
const bansFile = "banned.json"

func (a *app) offlineStore() *cobra.Command {
	return group("store", "Look into the store of a node that is stopped, or into a backup", a.storeDump())
}

func (a *app) storeDump() *cobra.Command {
	d := dump{}
	cmd := &cobra.Command{
		Use: "dump [DIR]", Short: "Write what a store has as JSON, one object a line", Args: cobra.MaximumNArgs(1),
		Long: "Write what a store has as JSON, one object a line, to the standard output: the store of the\n" +
			"node's data directory, which must be stopped, or a backup (`dunlin ctl store backup`) in DIR.\n" +
			"Nothing in the directory is changed, also when the node was killed.\n\n" +
			"Payloads of messages and wills, values of keys and records of plugins may be secrets: only\n" +
			"their sizes are written, unless --payloads asks for them in base64. Topics, client ids, user\n" +
			"names and addresses are always written.\n\n" +
			"Kinds: " + strings.Join(dumpKinds, ", ") + ".\n" +
			"received is a QoS 2 message that the client has and whose PUBREL is owed, inbound the packet\n" +
			"identifier of a QoS 2 message from the client whose PUBREL is awaited, log what a plugin of\n" +
			"the class consume has still to work off, and record an entry of it. Bans are in the data\n" +
			"directory, not in a backup.\n\n" +
			"The exit code is 0, 2 for a wrong option, and 1 when something could not be read: what can\n" +
			"be understood is written all the same.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := d.check(); err != nil {
				return err
			}
			dir, bans, err := a.dumped(args)
			if err != nil {
				return err
			}
			w := bufio.NewWriter(a.out)
			d.to, d.json = w, json.NewEncoder(w)
			err = d.run(dir, bans)
			if werr := w.Flush(); err == nil {
				err = werr
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&d.kinds, "kind", nil, "only lines of these kinds; may be repeated")
	f.StringVar(&d.client, "client", "", "only what belongs to the session of this client id")
	f.BoolVar(&d.payloads, "payloads", false, "write payloads, values and records in base64: they may be secrets")
	if err := cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(dumpKinds, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// dumped is the directory of the store, and the banned list beside it; "": none.
func (a *app) dumped(args []string) (dir, bans string, err error) {
	if len(args) == 1 {
		return args[0], "", nil
	}
	data, err := a.dataDir()
	if err != nil {
		return "", "", err
	}
	if admin.Running(data) {
		return "", "", fmt.Errorf("a node runs with the data directory %s: stop it first (`dunlin stop`), or look into a backup (`dunlin ctl store backup DIR`)", data)
	}
	return filepath.Join(data, storeDir), filepath.Join(data, bansFile), nil
}

// dump writes lines of a store.
type dump struct {
	kinds    []string // none: all
	client   string
	payloads bool
	to       *bufio.Writer
	json     *json.Encoder
}

func (d *dump) check() error {
	for _, k := range d.kinds {
		if !slices.Contains(dumpKinds, k) {
			return status.Errorf(codes.InvalidArgument, "--kind %s: there is no such kind, but %s", k, strings.Join(dumpKinds, ", "))
		}
	}
	return nil
}

// wants tells whether a kind was asked for.
func (d *dump) wants(kind string) bool {
	if d.client != "" && !slices.Contains(sessionKinds, kind) {
		return false
	}
	return len(d.kinds) == 0 || slices.Contains(d.kinds, kind)
}

func (d *dump) wantsAny(kinds ...string) bool { return slices.ContainsFunc(kinds, d.wants) }

// run writes everything; one room that cannot be read is no reason to leave out another.
func (d *dump) run(dir, bans string) (err error) {
	r, err := pebble.OpenReader(dir)
	if err != nil {
		return err
	}
	defer r.Close()
	var first error
	for _, room := range []func(store.Reader) error{d.sessions, d.retained, d.delayed, d.logs, d.keys, func(store.Reader) error { return d.bans(bans) }} {
		if err := room(r); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (d *dump) sessions(r store.Reader) error {
	if !d.wantsAny(sessionKinds...) {
		return nil
	}
	to := registry.Stored{Client: d.client}
	if d.wantsAny(kindSession, kindWill) {
		to.Session = d.session
	}
	if d.wants(kindSubscription) {
		to.Subscription = func(client, filter string, o mqtt.SubOptions) error {
			return d.json.Encode(subscriptionLine{Kind: kindSubscription, Client: client, Filter: filter, QoS: o.QoS, ID: o.ID,
				NoLocal: o.NoLocal, RetainAsPublished: o.RetainAsPublished, RetainHandling: o.RetainHandling})
		}
	}
	if d.wantsAny(kindQueued, kindReceived) {
		to.Message = d.queued
	}
	if d.wants(kindInbound) {
		to.Inbound = func(client string, id uint16) error {
			return d.json.Encode(placeLine{Kind: kindInbound, Client: client, PacketID: id})
		}
	}
	return registry.ReadStored(r, to)
}

func (d *dump) session(s *registry.StoredSession) error {
	if d.wants(kindSession) {
		l := sessionLine{Kind: kindSession, Client: s.ClientID, Created: stamp(s.Created), Zone: s.Zone, Durability: s.Level.String(),
			Left: stamp(s.Left), ExpiresAt: stamp(s.ExpiresAt)}
		if !s.NeverEnds() {
			l.Expiry = &s.Expiry
		}
		if f := s.Facts; f != nil {
			l.Username, l.Protocol, l.Listener = f.Username, f.Protocol.String(), f.Listener
			if f.Peer.IsValid() {
				l.Peer = f.Peer.String()
			}
		}
		if err := d.json.Encode(l); err != nil {
			return err
		}
	}
	if w := s.Will; w != nil && d.wants(kindWill) {
		return d.json.Encode(willLine{Kind: kindWill, Client: s.ClientID, Topic: w.Topic, QoS: w.QoS, Retain: w.Retain,
			Delay: s.Delay, Due: stamp(s.WillAt), hidden: d.hide(w.Payload)})
	}
	return nil
}

func (d *dump) queued(client string, m session.Loaded) error {
	if m.Msg == nil {
		if !d.wants(kindReceived) {
			return nil
		}
		return d.json.Encode(placeLine{Kind: kindReceived, Client: client, Place: m.Seq})
	}
	if !d.wants(kindQueued) {
		return nil
	}
	l := d.message(kindQueued, m.Msg)
	l.Client, l.Place, l.Delivered = client, m.Seq, &m.QoS
	if m.Share != nil {
		l.Group = m.Share.Group
	}
	return d.json.Encode(l)
}

func (d *dump) retained(r store.Reader) error {
	if !d.wants(kindRetained) {
		return nil
	}
	return topicstore.ReadStored(r, func(m *mqtt.Message) error { return d.json.Encode(d.message(kindRetained, m)) })
}

func (d *dump) delayed(r store.Reader) error {
	if !d.wants(kindDelayed) {
		return nil
	}
	return schedule.ReadStored(r, func(s schedule.Stored) error {
		l := d.message(kindDelayed, s.Msg)
		l.Plugin, l.Number, l.Due = ownerOf(s.Queue), s.Number, stamp(s.Due)
		return d.json.Encode(l)
	})
}

func (d *dump) logs(r store.Reader) error {
	if !d.wantsAny(kindLog, kindRecord) {
		return nil
	}
	var to cursor.Stored
	if d.wants(kindLog) {
		to.Log = func(s cursor.State) error {
			return d.json.Encode(logLine{Kind: kindLog, Plugin: ownerOf(s.Name), First: s.First, Last: s.Last, Bytes: s.Bytes, Dropped: s.Dropped})
		}
	}
	if d.wants(kindRecord) {
		to.Record = func(log string, seq uint64, record []byte) error {
			return d.json.Encode(entryLine{Kind: kindRecord, Plugin: ownerOf(log), Number: seq, hidden: d.hide(record)})
		}
	}
	return cursor.ReadStored(r, to)
}

// ownerOf is the plugin whose log or queue has the name.
func ownerOf(name string) string { return strings.TrimPrefix(name, "plugin/") }

func (d *dump) keys(r store.Reader) error {
	if !d.wants(kindKV) {
		return nil
	}
	return plugin.ReadStoredKeys(r, func(k plugin.StoredKey) error {
		l := entryLine{Kind: kindKV, Plugin: k.Plugin, Key: k.Key, hidden: d.hide(k.Value)}
		if !k.Until.IsZero() {
			l.ExpiresAt = stamp(k.Until.UnixNano())
		}
		return d.json.Encode(l)
	})
}

func (d *dump) bans(file string) error {
	if !d.wants(kindBan) || file == "" {
		return nil
	}
	list, err := access.ReadBans(file)
	for _, b := range list {
		if err := d.json.Encode(banLine{kindBan, b}); err != nil {
			return err
		}
	}
	return err
}

// stamp is Unix nanoseconds; in JSON RFC 3339, UTC, and 0 is left out.
type stamp int64

// MarshalJSON implements json.Marshaler.
func (s stamp) MarshalJSON() ([]byte, error) { return json.Marshal(time.Unix(0, int64(s)).UTC()) }
