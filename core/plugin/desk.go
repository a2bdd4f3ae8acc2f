package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/plugin/outbound"
	"github.com/dunlinmq/dunlin/core/plugin/passhash"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Bounds of what the guests of one version may have asked for.
const (
	maxTimers   = 4096
	maxRequests = 1024 // HTTP requests, those that wait for a connection included
	maxHashes   = 1024 // comparisons, those that wait for a turn included
)

// Desk takes what guests want to have done and answers them later, by records of
// the hooks timer, http_response and hash_result. Nothing blocks. guest is the one
// that asks and gets the answer.
type Desk interface {
	// SetTimer sends a timer record with the id after d, in place of one that was
	// set before; 0 stops it. ErrnoQuota, ErrnoInvalid.
	SetTimer(guest uint64, id uint32, d time.Duration) error
	// Request makes an HTTP request (capability "http"). The bytes are borrowed.
	// ErrnoDenied: not granted, or not this origin; ErrnoInvalid; ErrnoQuota.
	Request(guest, id uint64, request []byte, timeout time.Duration) error
	// Verify compares a password with a hash (capability "hash"). ErrnoQuota.
	Verify(guest, id uint64, hash string, password []byte) error
}

// desk is the Desk of one version of a plugin.
type desk struct {
	answers
	host   *host
	client *outbound.Client // nil: not granted
	hashes bool             // granted
	ctx    context.Context
	cancel context.CancelFunc

	state struct {
		sync.Mutex
		timers           map[timerKey]*alarm
		requests, hashes int
	}
}

// alarm is one timer.
type alarm struct{ *time.Timer }

type timerKey struct {
	guest uint64
	id    uint32
}

// newDesk makes the desk of a package. The error is about the operator's file.
func newDesk(p *loaded, pkg *manifest.Package) (*desk, error) {
	d := &desk{answers: answers{plugin: p}, host: p.host, hashes: slices.Contains(pkg.Manifest.Capabilities, "hash")}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	var origins []string
	for _, g := range pkg.Grants {
		if o, ok := strings.CutPrefix(g, "http:"); ok && pkg.Manifest.Wants("http") {
			origins = append(origins, o)
		}
	}
	if origins == nil {
		return d, nil
	}
	var err error
	if d.client, err = outbound.New(outbound.Config{
		Origins: origins, CAFile: pkg.HTTP.CAFile, CertFile: pkg.HTTP.CertFile, KeyFile: pkg.HTTP.KeyFile,
		ServerName: pkg.HTTP.ServerName, MaxConcurrent: pkg.HTTP.MaxConcurrent, MaxResponse: pkg.HTTP.MaxResponse,
	}); err != nil {
		return nil, fmt.Errorf("under [plugin.http]: %w", err)
	}
	return d, nil
}

// shut ends everything that is under way; nobody is answered any more.
func (d *desk) shut() {
	d.cancel()
	d.answers.close()
	d.state.Lock()
	for k, t := range d.state.timers {
		t.Stop()
		delete(d.state.timers, k)
	}
	d.state.Unlock()
	if d.client != nil {
		d.client.Close()
	}
}

// SetTimer implements [Desk].
func (d *desk) SetTimer(guest uint64, id uint32, after time.Duration) error {
	if after < 0 || after > contract.MaxTimer*time.Millisecond {
		return contract.ErrnoInvalid
	}
	d.state.Lock()
	defer d.state.Unlock()
	k := timerKey{guest, id}
	if old := d.state.timers[k]; old != nil {
		old.Stop()
		delete(d.state.timers, k)
	}
	switch {
	case after == 0 || d.ctx.Err() != nil:
		return nil
	case len(d.state.timers) >= maxTimers:
		return contract.ErrnoQuota
	}
	if d.state.timers == nil {
		d.state.timers = map[timerKey]*alarm{}
	}
	a := &alarm{}
	d.state.timers[k] = a
	a.Timer = time.AfterFunc(after, func() { d.fire(k, a) })
	return nil
}

// fire answers a timer that was not set again meanwhile.
func (d *desk) fire(k timerKey, a *alarm) {
	d.state.Lock()
	current := d.state.timers[k] == a
	if current {
		delete(d.state.timers, k)
	}
	d.state.Unlock()
	if current {
		d.answer(k.guest, contract.Header{Hook: contract.HookTimer, Aux: k.id}, nil)
	}
}

// answer pushes one record whose slots fill writes.
func (d *desk) answer(guest uint64, h contract.Header, fill func(w *contract.Writer)) {
	var w contract.Writer
	h.Time = uint64(d.host.Now().UnixNano())
	w.Begin(h)
	if fill != nil {
		fill(&w)
	}
	w.End()
	d.push(guest, w.Frame())
}

// enter counts one more of n up to limit.
func (d *desk) enter(n *int, limit int) bool {
	d.state.Lock()
	defer d.state.Unlock()
	if *n >= limit {
		return false
	}
	*n++
	return true
}

func (d *desk) leave(n *int) {
	d.state.Lock()
	defer d.state.Unlock()
	*n--
}

// Request implements [Desk].
func (d *desk) Request(guest, id uint64, request []byte, timeout time.Duration) error {
	if d.client == nil {
		return contract.ErrnoDenied
	}
	text, err := contract.ParseRequest(request)
	if err != nil || timeout <= 0 || timeout > outbound.MaxTimeout {
		return contract.ErrnoInvalid
	}
	r := &outbound.Request{Method: text.Method, URL: text.URL, Header: http.Header{}, Body: slices.Clone(text.Body)}
	for _, l := range text.Headers {
		name, value, _ := strings.Cut(l, ":")
		if value = strings.TrimSpace(value); strings.EqualFold(name, contract.HeaderRedirect) {
			r.NoRedirect = value == "no"
			continue
		}
		r.Header.Add(name, value)
	}
	switch err := d.client.Check(r); {
	case errors.Is(err, outbound.ErrOrigin):
		return contract.ErrnoDenied
	case err != nil:
		return contract.ErrnoInvalid
	case !d.enter(&d.state.requests, maxRequests):
		return contract.ErrnoQuota
	}
	go func() {
		defer d.leave(&d.state.requests)
		ctx, cancel := context.WithTimeout(d.ctx, timeout)
		defer cancel()
		got, err := d.client.Do(ctx, r)
		d.respond(guest, id, got, err)
	}()
	return nil
}

// respond answers a request.
func (d *desk) respond(guest, id uint64, got *outbound.Response, err error) {
	h := contract.Header{Hook: contract.HookHTTPResponse}
	if got != nil {
		h.Aux = uint32(got.Status)
	}
	d.answer(guest, h, func(w *contract.Writer) {
		w.Uint64(contract.SlotID, id)
		if err != nil {
			w.String(contract.SlotError, err.Error())
			return
		}
		var lines []byte
		for _, name := range sortedKeys(got.Header) {
			for _, v := range got.Header[name] {
				lines = append(append(append(append(lines, name...), ": "...), v...), '\n')
			}
		}
		w.Bytes(contract.SlotHeaders, lines)
		w.Bytes(contract.SlotAnswerBody, got.Body)
	})
}

func sortedKeys(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Verify implements [Desk].
func (d *desk) Verify(guest, id uint64, hash string, password []byte) error {
	if !d.hashes {
		return contract.ErrnoDenied
	}
	if !d.enter(&d.state.hashes, maxHashes) {
		return contract.ErrnoQuota
	}
	password = slices.Clone(password)
	go func() {
		defer d.leave(&d.state.hashes)
		if !d.host.hashers.enter(d.ctx, passhash.Cost(hash)) {
			return
		}
		ok, err := passhash.Verify(hash, password)
		d.host.hashers.leave(passhash.Cost(hash))
		h := contract.Header{Hook: contract.HookHashResult}
		if ok {
			h.Aux = 1
		}
		d.answer(guest, h, func(w *contract.Writer) {
			w.Uint64(contract.SlotID, id)
			if err != nil {
				w.String(contract.SlotError, err.Error())
			}
		})
	}()
	return nil
}
