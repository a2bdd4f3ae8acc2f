package channel_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
)

// guard gives the world its guards: an empty banned list that kicks, a flapping
// detector and a table of failed logins.
func (w *world) guard() {
	bans, err := access.OpenBans(access.BansConfig{Added: func(added []access.Ban) {
		for _, b := range added {
			if c := w.env.Registry.Lookup(b.Who); c != nil {
				c.Evict(packet.AdministrativeAction)
			}
		}
	}})
	if err != nil {
		panic(err)
	}
	w.bans = bans
	w.env.Access = access.New(w.env.Hooks).Guarded(access.Guards{
		Bans: bans, Busy: func() bool { return w.busy },
		Logins: access.NewLogins(access.LoginPolicy{
			Failures: 3, Window: time.Minute, First: time.Second, Longest: time.Minute,
			Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		}),
	})
	policy := func(string) *access.FlapPolicy {
		if !w.zone.FlapDetect {
			return nil
		}
		return &w.zone.Flap
	}
	flapping := access.NewFlapping(policy, bans, zap.NewNop())
	w.env.Hooks.ClientDisconnected.Add(hook.Spec{Owner: "guard"}, flapping.Disconnected)
}

// shut is a command that keeps clients out, or lets them in again.
func (w *world) shut(what string, k words) error {
	if what == "busy" {
		w.busy = k.has("on")
		return nil
	}
	for _, kind := range []access.BanKind{access.BanClientID, access.BanUsername, access.BanPeerHost} {
		if !k.has(string(kind)) {
			continue
		}
		if what == "unban" {
			_, err := w.bans.Delete(kind, k.str(string(kind)))
			return err
		}
		b := access.Ban{As: kind, Who: k.str(string(kind)), At: time.Unix(0, w.now)}
		if k.has("for") {
			d, err := time.ParseDuration(k.str("for"))
			if err != nil {
				return err
			}
			b.Until = b.At.Add(d)
		}
		return w.bans.Add(b)
	}
	return fmt.Errorf("%s: whom?", what)
}

// setGuards reads the words of a zone: rates as limit/period.
func (w *world) setGuards(k words) {
	z := &w.zone
	z.Limits = channel.Limits{
		MessagesIn: k.rate("msgrate"), BytesIn: k.rate("byterate"), Routing: k.rate("quota"), RoutingAll: k.rate("quotaall"),
	}
	z.Access.EnableBan = !k.has("noban")
	z.FlapDetect = k.has("flap")
	if r := k.rate("flap"); z.FlapDetect {
		z.Flap = access.FlapPolicy{Count: int(r.Limit), Window: r.Per, Ban: 5 * time.Minute}
	}
}

func (k words) rate(name string) channel.Rate {
	if !k.has(name) {
		return channel.Rate{}
	}
	limit, per, _ := strings.Cut(k.str(name), "/")
	n, err := strconv.ParseInt(limit, 10, 64)
	if err != nil {
		panic(err)
	}
	d, err := time.ParseDuration(per)
	if err != nil {
		panic(err)
	}
	return channel.Rate{Limit: n, Per: d}
}
