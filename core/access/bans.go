package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/hook"
)

// Errors of [Bans.Add].
var (
	ErrBan      = errors.New("not a ban")
	ErrBansFull = errors.New("the banned list is full")
)

// BansConfig sets Bans up.
type BansConfig struct {
	File string // kept across restarts; "": in memory only
	Max  int    // most bans at first (access.max_bans), see [Bans.SetMax]; 0: 65536
	// Added and Removed are told of bans that were set, and of bans that ended or
	// were deleted; without locks, on the caller's goroutine. nil: nobody.
	Added, Removed func([]Ban)
	Log            *zap.Logger // nil: none
}

// Bans is the banned list. Safe for concurrent use.
//
// Lock order: saving, then mu.
type Bans struct {
	// Immutable.
	cfg  BansConfig
	soon chan struct{} // somebody wants the list saved

	n atomic.Int64 // bans in the table, so that an empty list costs one load

	mu sync.RWMutex
	// Guarded by mu.
	max      int
	names    map[banKey]Ban       // client ids and user names
	networks map[netip.Prefix]Ban // addresses are networks of one
	lengths  map[netipLength]int  // how many networks have the length
	changes  uint64

	saving sync.Mutex
	saved  uint64 // guarded by saving: the changes that the file has
}

type banKey struct {
	as  BanKind
	who string
}

type netipLength struct {
	bits int
	v6   bool
}

// OpenBans reads the list from cfg.File. A file that is no list is an error that
// names it: starting without the bans would let in whom an operator shut out.
func OpenBans(cfg BansConfig) (*Bans, error) {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	s := &Bans{
		cfg: cfg, soon: make(chan struct{}, 1),
		names: map[banKey]Ban{}, networks: map[netip.Prefix]Ban{}, lengths: map[netipLength]int{},
	}
	s.SetMax(cfg.Max)
	list, err := ReadBans(cfg.File)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for i := range list {
		b, err := checked(list[i], now)
		if err != nil {
			return nil, fmt.Errorf("banned list %s: entry %d: %w", cfg.File, i+1, err)
		}
		if !b.over(now) {
			s.put(b)
		}
	}
	return s, nil
}

// SetMax changes how many bans there may be; 0: 65536. Bans that hold stay, also
// when they are more.
func (s *Bans) SetMax(n int) {
	if n <= 0 {
		n = 65536
	}
	s.mu.Lock()
	s.max = n
	s.mu.Unlock()
}

// put adds or replaces. mu is held, or nobody else has s yet.
func (s *Bans) put(b Ban) {
	if b.As == BanPeerHost {
		p, _ := parseNetwork(b.Who) // checked has parsed it
		if _, there := s.networks[p]; !there {
			s.lengths[lengthOf(p)]++
			s.n.Add(1)
		}
		s.networks[p] = b
		return
	}
	k := banKey{b.As, b.Who}
	if _, there := s.names[k]; !there {
		s.n.Add(1)
	}
	s.names[k] = b
}

// take removes and returns. mu is held.
func (s *Bans) take(as BanKind, who string) (Ban, bool) {
	if as == BanPeerHost {
		p, err := parseNetwork(who)
		b, there := s.networks[p]
		if err != nil || !there {
			return Ban{}, false
		}
		delete(s.networks, p)
		if n := lengthOf(p); s.lengths[n] == 1 {
			delete(s.lengths, n)
		} else {
			s.lengths[n]--
		}
		s.n.Add(-1)
		return b, true
	}
	k := banKey{as, who}
	b, there := s.names[k]
	if there {
		delete(s.names, k)
		s.n.Add(-1)
	}
	return b, there
}

func lengthOf(p netip.Prefix) netipLength { return netipLength{p.Bits(), p.Addr().Is6()} }

// Add sets bans, all or none of them; a ban of the same client id, user name or
// network is replaced. It returns when they are on disk and Added has been told.
// An error that is neither [ErrBan] nor [ErrBansFull] says that the bans hold
// but could not be written.
func (s *Bans) Add(bans ...Ban) error {
	if err := s.add(bans); err != nil {
		return err
	}
	err := s.save()
	s.tell(s.cfg.Added, bans)
	return err
}

// AddSoon is Add for what the broker itself sets: the disk comes later, from
// Run, and many bans cost one write.
func (s *Bans) AddSoon(bans ...Ban) error {
	if err := s.add(bans); err != nil {
		return err
	}
	select {
	case s.soon <- struct{}{}:
	default:
	}
	s.tell(s.cfg.Added, bans)
	return nil
}

// add checks bans, in place, and puts them into the table.
func (s *Bans) add(bans []Ban) error {
	now := time.Now()
	for i := range bans {
		b, err := checked(bans[i], now)
		if err != nil {
			return err
		}
		bans[i] = b
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.fresh(bans); n > 0 && n > s.max-int(s.n.Load()) {
		return fmt.Errorf("%w: it holds %d and may hold %d", ErrBansFull, s.n.Load(), s.max)
	}
	for i := range bans {
		s.put(bans[i])
	}
	s.changes++
	return nil
}

// fresh is how many of the bans replace none. mu is held.
func (s *Bans) fresh(bans []Ban) (n int) {
	for i := range bans {
		b := &bans[i]
		var there bool
		if b.As == BanPeerHost {
			p, _ := parseNetwork(b.Who) // checked has parsed it
			_, there = s.networks[p]
		} else {
			_, there = s.names[banKey{b.As, b.Who}]
		}
		if !there {
			n++
		}
	}
	return n
}

func (s *Bans) tell(fn func([]Ban), bans []Ban) {
	if fn != nil && len(bans) > 0 {
		fn(bans)
	}
}

// Delete lifts a ban and tells whether there was one. It returns when that is on
// disk; the error says that it could not be written.
func (s *Bans) Delete(as BanKind, who string) (bool, error) {
	s.mu.Lock()
	b, there := s.take(as, who)
	if there {
		s.changes++
	}
	s.mu.Unlock()
	if !there {
		return false, nil
	}
	err := s.save()
	s.tell(s.cfg.Removed, []Ban{b})
	return true, err
}

// List returns the bans that hold, ordered by kind and name.
func (s *Bans) List() []Ban {
	list, _ := s.snapshot()
	now := time.Now()
	return slices.DeleteFunc(list, func(b Ban) bool { return b.over(now) })
}

// Len is the number of bans.
func (s *Bans) Len() int { return int(s.n.Load()) }

func (s *Bans) snapshot() ([]Ban, uint64) {
	s.mu.RLock()
	list := make([]Ban, 0, len(s.names)+len(s.networks))
	for _, b := range s.names {
		list = append(list, b)
	}
	for _, b := range s.networks {
		list = append(list, b)
	}
	changes := s.changes
	s.mu.RUnlock()
	slices.SortFunc(list, func(a, b Ban) int { return cmp.Or(cmp.Compare(a.As, b.As), cmp.Compare(a.Who, b.Who)) })
	return list, changes
}

// Check tells whether a ban holds for the client, and which. now is Unix
// nanoseconds. A nil list bans nobody.
func (s *Bans) Check(c *hook.Client, now int64) (Ban, bool) {
	if s == nil || s.n.Load() == 0 {
		return Ban{}, false
	}
	at := time.Unix(0, now)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if b, ok := s.names[banKey{BanClientID, c.ID}]; ok && !b.over(at) {
		return b, true
	}
	if b, ok := s.names[banKey{BanUsername, c.Username}]; ok && c.HasUsername && !b.over(at) {
		return b, true
	}
	return s.checkAddress(c.Peer.Addr().Unmap().WithZone(""), at)
}

// checkAddress asks once for each length of network that is in use. mu is held.
func (s *Bans) checkAddress(a netip.Addr, at time.Time) (Ban, bool) {
	for n := range s.lengths {
		if n.v6 != a.Is6() || !a.IsValid() {
			continue
		}
		p, err := a.Prefix(n.bits)
		if err != nil {
			continue
		}
		if b, ok := s.networks[p]; ok && !b.over(at) {
			return b, true
		}
	}
	return Ban{}, false
}

// sweepEvery is EMQ X 4's period (emqx4 §9.5).
const sweepEvery = time.Minute

// Run forgets bans that have ended and writes what AddSoon has set, until ctx
// ends; the list is on disk then.
func (s *Bans) Run(ctx context.Context) error {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.save()
		case <-t.C:
			s.sweep(time.Now())
		case <-s.soon:
		}
		if err := s.save(); err != nil {
			s.cfg.Log.Error("the banned list could not be written; its bans hold until a restart", zap.Error(err))
		}
	}
}

// sweep removes what is over.
func (s *Bans) sweep(now time.Time) {
	if s.n.Load() == 0 {
		return
	}
	var over []Ban
	s.mu.Lock()
	for _, b := range s.names {
		if b.over(now) {
			over = append(over, b)
		}
	}
	for _, b := range s.networks {
		if b.over(now) {
			over = append(over, b)
		}
	}
	for _, b := range over {
		s.take(b.As, b.Who)
		s.changes++
	}
	s.mu.Unlock()
	s.tell(s.cfg.Removed, over)
}
