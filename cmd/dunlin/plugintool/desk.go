package plugintool

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/plugin/outbound"
	"github.com/dunlinmq/dunlin/core/plugin/passhash"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// asked is a host call whose answer comes later.
type asked struct {
	hook     contract.Hook // of the answer
	guest    uint64
	id       uint64
	hash     string
	password []byte
	shown    map[string]any // as a scenario says it
}

// ask notes a call.
func (n *Notes) ask(a *asked) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.asked) >= maxAsked {
		return contract.ErrnoQuota
	}
	n.asked = append(n.asked, a)
	return nil
}

// maxAsked is how many calls may wait for their answers; a broker has such bounds too.
const maxAsked = 4096

// SetTimer implements [plugin.Desk]: a timer fires when the scenario says so. One that
// is set again, or stopped, does not any more.
func (n *Notes) SetTimer(guest uint64, id uint32, after time.Duration) error {
	if after < 0 || after > contract.MaxTimer*time.Millisecond {
		return contract.ErrnoInvalid
	}
	n.mu.Lock()
	same := func(a *asked) bool {
		return a.hook == contract.HookTimer && a.guest == guest && a.id == uint64(id)
	}
	n.asked, n.open = slices.DeleteFunc(n.asked, same), slices.DeleteFunc(n.open, same)
	n.mu.Unlock()
	if after == 0 {
		return nil
	}
	return n.ask(&asked{hook: contract.HookTimer, guest: guest, id: uint64(id), shown: map[string]any{"timer": int64(id), "ms": after.Milliseconds()}})
}

// Request implements [plugin.Desk]: nothing goes out; the scenario has the answer.
func (n *Notes) Request(guest, id uint64, request []byte, timeout time.Duration) error {
	r, err := contract.ParseRequest(request)
	if err != nil || timeout <= 0 || timeout > outbound.MaxTimeout {
		return contract.ErrnoInvalid
	}
	if !n.mayReach(r.URL) {
		return contract.ErrnoDenied
	}
	headers := map[string]any{}
	for _, l := range r.Headers {
		name, value, _ := strings.Cut(l, ":")
		headers[strings.ToLower(name)] = strings.TrimSpace(value)
	}
	return n.ask(&asked{hook: contract.HookHTTPResponse, guest: guest, id: id, shown: map[string]any{
		"http": r.Method + " " + r.URL, "headers": headers, "body": show(r.Body), "timeout_ms": timeout.Milliseconds(),
	}})
}

// mayReach tells whether an origin is granted. A scenario that names none grants all.
func (n *Notes) mayReach(url string) bool {
	if n.client == nil {
		return true
	}
	return n.client.Check(&outbound.Request{Method: "GET", URL: url}) == nil
}

// grantOrigins limits requests to the origins among grants, if there are any.
func (n *Notes) grantOrigins(grants []string) (err error) {
	var origins []string
	for _, g := range grants {
		if o, ok := strings.CutPrefix(g, "http:"); ok && g != anyOrigin {
			origins = append(origins, o)
		}
	}
	if origins != nil {
		n.client, err = outbound.New(outbound.Config{Origins: origins})
	}
	return err
}

// anyOrigin stands for the origins of a plugin that asks for whatever is granted, in a
// scenario that does not say which.
const anyOrigin = "http:http://127.0.0.1"

// Verify implements [plugin.Desk].
func (n *Notes) Verify(guest, id uint64, hash string, password []byte) error {
	return n.ask(&asked{hook: contract.HookHashResult, guest: guest, id: id, hash: hash, password: slices.Clone(password),
		shown: map[string]any{"hash": hash, "password": show(password)}})
}

// Get implements [plugin.SessionCalls] with the sessions of the scenario.
func (n *Notes) Get(dst []byte, id string) ([]byte, error) {
	for i := range n.sessions {
		if n.sessions[i].Slots["client_id"] != id {
			continue
		}
		w := contract.Writer{}
		if err := n.sessions[i].write(&w, contract.HookConnected, uint64(i)+1); err != nil {
			return dst, contract.ErrnoInternal
		}
		return append(dst, w.Frame()...), nil
	}
	return dst, contract.ErrnoNotFound
}

// Kick implements [plugin.SessionCalls].
func (n *Notes) Kick(id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kicked = append(n.kicked, id)
	if !slices.ContainsFunc(n.sessions, func(r Record) bool { return r.Slots["client_id"] == id }) {
		return contract.ErrnoNotFound
	}
	return nil
}

// Want implements [plugin.Wants]: the last lists are noted.
func (n *Notes) Want(k contract.Hook, filters []string) error {
	if !slices.ContainsFunc(n.hooks, func(h manifest.Hook) bool { return h.Name == k.String() && h.Dynamic }) {
		return contract.ErrnoDenied
	}
	list := make([]any, len(filters))
	for i, f := range filters {
		if !contract.ValidFilter([]byte(f)) {
			return contract.ErrnoInvalid
		}
		list[i] = f
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wanted == nil {
		n.wanted = map[string]any{}
	}
	n.wanted[k.String()] = list
	return nil
}

// Refuse implements [plugin.Wants]: a scenario has no publishers to refuse.
func (n *Notes) Refuse(contract.Hook, []string) error { return contract.ErrnoDenied }

// nextAsked takes the oldest call that nobody has looked at; nil: there is none.
func (n *Notes) nextAsked() *asked {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.asked) == 0 {
		return nil
	}
	a := n.asked[0]
	n.asked = n.asked[1:]
	return a
}

// leave keeps a call that was not answered for a later step.
func (n *Notes) leave(a *asked) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open = append(n.open, a); len(n.open) > maxAsked {
		n.open = n.open[1:]
	}
}

// takeOpen takes the oldest call of an earlier step that want is about.
func (n *Notes) takeOpen(want map[string]any) *asked {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, a := range n.open {
		if within(want, a.shown) {
			n.open = slices.Delete(n.open, i, i+1)
			return a
		}
	}
	return nil
}

// within tells whether got has everything that want says.
func within(want, got map[string]any) bool {
	for k, v := range want {
		if sub, ok := v.(map[string]any); ok {
			in, _ := got[k].(map[string]any)
			if !within(sub, in) {
				return false
			}
			continue
		}
		if g, ok := got[k]; !ok || fmt.Sprint(g) != fmt.Sprint(v) {
			return false
		}
	}
	return true
}

// answerKeys are what an answer to a call may say, by the hook that it comes with.
var answerKeys = map[contract.Hook][]string{
	contract.HookTimer: {}, contract.HookHTTPResponse: {"status", "headers", "body", "error"}, contract.HookHashResult: {"ok", "error"},
}

// answer hands a guest the answer to its call: as the scenario says it, or what the
// broker finds if it says nothing of a hash.
func (r *Run) answer(ctx context.Context, a *asked, say map[string]any) error {
	for k := range say {
		if !slices.Contains(answerKeys[a.hook], k) {
			return &scenarioError{fmt.Sprintf("an answer of %s says nothing of %q; it may say %q", a.hook, k, answerKeys[a.hook])}
		}
	}
	h := contract.Header{Hook: a.hook, Time: r.clock}
	fault, _ := say["error"].(string)
	switch a.hook {
	case contract.HookTimer:
		h.Aux = uint32(a.id)
	case contract.HookHTTPResponse:
		if status, ok := say["status"].(int64); ok {
			h.Aux = uint32(status)
		} else if fault == "" {
			return &scenarioError{fmt.Sprintf("the answer to %v has neither status nor error", a.shown["http"])}
		}
	case contract.HookHashResult:
		ok, said := say["ok"].(bool)
		if !said && fault == "" {
			var err error
			if ok, err = passhash.Verify(a.hash, a.password); err != nil {
				fault = err.Error()
			}
		}
		if ok {
			h.Aux = 1
		}
	}
	var w contract.Writer
	w.Begin(h)
	if a.hook != contract.HookTimer {
		w.Uint64(contract.SlotID, a.id)
		if fault != "" {
			w.String(contract.SlotError, fault)
		}
	}
	if a.hook == contract.HookHTTPResponse && fault == "" {
		if err := writeResponse(&w, say); err != nil {
			return err
		}
	}
	w.End()
	return r.deliver(ctx, a, w.Frame())
}

// writeResponse writes the headers and the body of an HTTP response.
func writeResponse(w *contract.Writer, say map[string]any) error {
	headers, _ := say["headers"].(map[string]any)
	var lines []byte
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		lines = fmt.Appendf(lines, "%s: %v\n", name, headers[name])
	}
	w.Bytes(contract.SlotHeaders, lines)
	body := []byte{}
	if v, ok := say["body"]; ok {
		var err error
		if body, err = parseBytes(v); err != nil {
			return &scenarioError{"body: " + err.Error()}
		}
	}
	w.Bytes(contract.SlotAnswerBody, body)
	return nil
}

// deliver hands an answer to the guest that it is for.
func (r *Run) deliver(ctx context.Context, a *asked, frame []byte) error {
	c := &plugin.Call{Hook: a.hook, Guest: a.guest, Frame: frame, N: 1}
	r.lobby.Let(c)
	if err := r.Call(ctx, c); err != nil {
		return fmt.Errorf("the answer to %v: %w", a.shown, err)
	}
	v, err := c.Verdict(0)
	if err != nil {
		return fmt.Errorf("the answer to %v: %w", a.shown, err)
	}
	if list, ok := v.Ext(contract.ExtPublishes); ok {
		r.Services.notePublished(messages(list))
	}
	return nil
}

// settle answers everything that is asked for, as a broker whose peers are down, so
// that whoever waits gets a verdict: for checks and measurements without a scenario's
// answers. A plugin that asks again and again is left.
func (r *Run) settle(ctx context.Context, rounds int) error {
	for range rounds {
		a := r.Services.nextAsked()
		if a == nil {
			return nil
		}
		say := map[string]any{}
		switch a.hook {
		case contract.HookHTTPResponse:
			say["error"] = "no route to host"
		case contract.HookHashResult:
			say["ok"] = false
		}
		if err := r.answer(ctx, a, say); err != nil {
			return err
		}
	}
	return nil
}

// maxRounds is how many answers a frame gets: some for each record of a full one.
const maxRounds = 4 * contract.MaxRecordsWASM
