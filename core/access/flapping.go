package access

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
)

// FlapPolicy says when a client comes and goes too often: flapping_detect_policy
// (emqx4 §9.6; default 30, 1m, 5m).
type FlapPolicy struct {
	Count  int           // disconnections
	Window time.Duration // within this time
	Ban    time.Duration // ban the client id for this
}

// FlappingDetector is what bans of clients that flap say in By.
const FlappingDetector = "flapping detector"

// flapLimit is how many client ids are watched at once.
const flapLimit = 1 << 16

// Flapping counts how often each client id disconnects and bans those that do it
// too often. Its memory is bounded: of more client ids than it watches, those
// that left longest ago are forgotten. Safe for concurrent use.
type Flapping struct {
	// Immutable.
	policy func(zone string) *FlapPolicy
	bans   *Bans
	log    *zap.Logger

	mu   sync.Mutex
	seen *recent[string, flaps] // guarded by mu
}

type flaps struct {
	since int64
	n     int
}

// NewFlapping returns a detector that bans in bans. policy tells the policy of a
// zone, nil where flapping is not looked for.
func NewFlapping(policy func(zone string) *FlapPolicy, bans *Bans, log *zap.Logger) *Flapping {
	return &Flapping{policy: policy, bans: bans, log: log, seen: newRecent[string, flaps](flapLimit)}
}

// Disconnected counts; it is an observer of client.disconnected. Whom the server
// itself sent away has not flapped.
func (f *Flapping) Disconnected(e *hook.ConnectionEvent) {
	if e.Reason == packet.ServerShuttingDown || e.Reason == packet.AdministrativeAction || e.Text == "server_shutdown" {
		return
	}
	p := f.policy(e.Client.Zone)
	if p == nil || !f.flaps(p, e.Client.ID, e.At.UnixNano()) {
		return
	}
	err := f.bans.AddSoon(Ban{
		As: BanClientID, Who: e.Client.ID, By: FlappingDetector, Reason: "flapping is detected", At: e.At, Until: e.At.Add(p.Ban),
	})
	if err != nil {
		f.log.Warn("a client flaps and cannot be banned", zap.String("clientid", e.Client.ID), zap.Error(err))
		return
	}
	f.log.Warn("a client flaps and is banned", zap.String("clientid", e.Client.ID), zap.Stringer("peer", e.Client.Peer),
		zap.Int("disconnected", p.Count), zap.Duration("within", p.Window), zap.Duration("banned_for", p.Ban))
}

// flaps counts a disconnection and tells whether it is one too many.
func (f *Flapping) flaps(p *FlapPolicy, id string, now int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.seen.at(id)
	if s.n == 0 || now-s.since > int64(p.Window) {
		s.since, s.n = now, 0
	}
	if s.n++; s.n < p.Count {
		return false
	}
	f.seen.drop(id)
	return true
}
