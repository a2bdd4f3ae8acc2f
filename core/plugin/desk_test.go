package plugin

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// answered notes the answers that come to the guests of a plugin.
type answered struct {
	mu   sync.Mutex
	got  []string
	gone bool
	also []byte // publish records of the next verdict
}

func (a *answered) on(_ *builtinInstance, c *Call) error {
	if c.Hook.Class() != contract.Answer {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return ErrGone
	}
	frame := c.Frame
	for range c.N {
		r, rest, err := contract.Split(frame)
		if err != nil {
			return err
		}
		frame = rest
		id, _ := r.Uint64(contract.SlotID)
		a.got = append(a.got, fmt.Sprintf("%d %s %d %d %s %s", c.Guest, r.Hook(), r.Aux(), id, r.Slot(contract.SlotError), r.Slot(contract.SlotAnswerBody)))
	}
	var w contract.VerdictWriter
	w.Reset(nil, c.N)
	if a.also != nil {
		w.Put(0, contract.ExtPublishes, a.also)
	}
	return c.Take(0, c.N, w.Block())
}

func (a *answered) list() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.got)
}

// desk starts a fixture with one plugin that has everything granted.
func deskOf(t *testing.T, a *answered, grants string) (*fixture, Desk) {
	t.Helper()
	f := newFixture(t)
	f.add("a", `capabilities = ["timer", "hash", "http", "publish"]`+"\n"+hookLine(contract.HookACL, ""), &builtinPlugin{on: a.on})
	f.write("etc/a.toml", "[plugin]\ngrant = [\"timer\", \"hash\", \"publish\""+grants+"]\n[plugin.http]\nmax_response = 100\n")
	f.start("a.\n")
	p, err := f.loaded("a")
	if err != nil {
		t.Fatal(err)
	}
	return f, p.cur.Load().spec.Services.Desk
}

func TestTimers(t *testing.T) {
	a := &answered{}
	f, d := deskOf(t, a, `, "http:https://a.example"`)
	for _, err := range []error{
		d.SetTimer(1, 5, time.Millisecond), d.SetTimer(2, 5, time.Millisecond), d.SetTimer(1, 6, time.Hour), d.SetTimer(1, 7, time.Hour),
		d.SetTimer(1, 6, time.Millisecond), d.SetTimer(1, 7, 0),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "three timers", func() bool { return len(a.list()) == 3 })
	got := a.list()
	slices.Sort(got)
	if want := []string{"1 timer 5 0  ", "1 timer 6 0  ", "2 timer 5 0  "}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	for _, wrong := range []time.Duration{-1, 25 * time.Hour} {
		if err := d.SetTimer(1, 1, wrong); !errors.Is(err, contract.ErrnoInvalid) {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	for i := range uint32(maxTimers) {
		if err := d.SetTimer(3, i, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.SetTimer(3, maxTimers, time.Hour); !errors.Is(err, contract.ErrnoQuota) {
		t.Errorf("one timer too many: %v", err)
	}
	a.mu.Lock()
	a.gone = true
	a.mu.Unlock()
	if err := d.SetTimer(3, 0, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the answer to a guest that is gone is counted", func() bool { return f.List()[0].Lost == 1 })
	if err := f.Reload("a"); err != nil {
		t.Fatal(err)
	}
	if err := d.SetTimer(1, 1, time.Millisecond); err != nil {
		t.Errorf("after the reload: %v", err)
	}
}

// Messages of an answer's verdict leave as the plugin's own.
func TestAnswerPublishes(t *testing.T) {
	var w contract.Writer
	w.Begin(contract.Header{Hook: contract.HookPublish})
	w.String(contract.SlotTopic, "tick")
	w.End()
	a := &answered{also: w.Frame()}
	f, d := deskOf(t, a, `, "http:https://a.example"`)
	if err := d.SetTimer(1, 1, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the message", func() bool { ms := f.messages(); return len(ms) == 1 && ms[0].Topic == "tick" && ms[0].From == "a" })
}

func TestRequests(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			<-release
		case "/large":
			_, _ = w.Write(make([]byte, 101))
		}
		_, _ = w.Write([]byte(r.Method + r.Header.Get("X")))
	}))
	defer s.Close()
	defer close(release)
	a := &answered{}
	_, d := deskOf(t, a, `, "http:`+s.URL+`"`)
	request := func(path string) []byte {
		return contract.Request{Method: "PUT", URL: s.URL + path, Headers: []string{"X: y"}}.Append(nil)
	}
	for id, path := range []string{"/", "/large"} {
		if err := d.Request(9, uint64(id), request(path), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Request(9, 2, request("/slow"), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	eventually(t, "three answers", func() bool { return len(a.list()) == 3 })
	got := a.list()
	slices.Sort(got)
	if got[2] != "9 http_response 200 0  PUTy" || !strings.Contains(got[0], "more than 100 bytes") || !strings.Contains(got[1], "deadline") {
		t.Errorf("got %q", got)
	}
	for _, c := range []struct {
		request string
		timeout time.Duration
		want    contract.Errno
	}{
		{"GET http://192.0.2.7/\n\n", time.Second, contract.ErrnoDenied}, {"GET " + s.URL + "\n\n", 0, contract.ErrnoInvalid},
		{"GET " + s.URL + "\n\n", time.Hour, contract.ErrnoInvalid}, {"noise", time.Second, contract.ErrnoInvalid},
		{"PUT " + s.URL + "\n\n" + strings.Repeat("x", 300<<10), time.Second, contract.ErrnoInvalid},
	} {
		if err := d.Request(1, 1, []byte(c.request), c.timeout); !errors.Is(err, c.want) {
			t.Errorf("%.30q: %v, want %v", c.request, err, c.want)
		}
	}
}

func TestHashes(t *testing.T) {
	a := &answered{}
	_, d := deskOf(t, a, `, "http:https://a.example"`)
	const stored = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"
	for id, c := range []struct{ hash, password string }{{stored, "Hello world!"}, {stored, "no"}, {"plain", "plain"}} {
		if err := d.Verify(4, uint64(id), c.hash, []byte(c.password)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "three answers", func() bool { return len(a.list()) == 3 })
	got := a.list()
	slices.Sort(got)
	if want := []string{"4 hash_result 0 1  ", "4 hash_result 0 2 not a password hash that is known here ", "4 hash_result 1 0  "}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// Comparisons take turns: cores and memory are bounded for all plugins together.
func TestHashers(t *testing.T) {
	h := newHashers()
	h.free = 2
	if !h.enter(t.Context(), maxHashMemory) {
		t.Fatal("refused")
	}
	ctx, cancel := contextOf(t)
	entered := make(chan bool)
	go func() { entered <- h.enter(ctx, 1) }()
	select {
	case <-entered:
		t.Error("a comparison began without memory for it")
	case <-time.After(10 * time.Millisecond):
	}
	h.leave(maxHashMemory)
	if !<-entered {
		t.Error("it never began")
	}
	if !h.enter(ctx, 1) {
		t.Error("the second core is not used")
	}
	go func() { entered <- h.enter(ctx, 1) }()
	cancel()
	if <-entered {
		t.Error("a third began")
	}
}

// What is not granted is denied, and a session is told of by the broker.
func TestNotGranted(t *testing.T) {
	f := newFixture(t)
	f.add("a", hookLine(contract.HookACL, ""), always(contract.Next, 0))
	f.start("a.\n")
	p, err := f.loaded("a")
	if err != nil {
		t.Fatal(err)
	}
	s := p.cur.Load().spec.Services
	if err := s.Desk.Request(1, 1, []byte("GET https://a\n\n"), time.Second); !errors.Is(err, contract.ErrnoDenied) {
		t.Errorf("http: %v", err)
	}
	if err := s.Desk.Verify(1, 1, "", nil); !errors.Is(err, contract.ErrnoDenied) {
		t.Errorf("hash: %v", err)
	}
	if s.Timer || s.HTTP || s.Hash || s.Sessions != nil {
		t.Errorf("granted without a word: %+v", s)
	}
}

// known is a broker with one client.
type known struct{ kicked []string }

func (k *known) Client(id string) *hook.Client {
	if id != "c1" {
		return nil
	}
	return testClient()
}

func (k *known) Kick(id string) bool { k.kicked = append(k.kicked, id); return id == "c1" }

func TestSessions(t *testing.T) {
	k := &known{}
	s := sessionCalls{&host{Config: Config{Sessions: k, Now: time.Now}}}
	b, err := s.Get([]byte("before"), "c1")
	if err != nil {
		t.Fatal(err)
	}
	r, rest, err := contract.Split(b[len("before"):])
	if err != nil || len(rest) != 0 || r.Hook() != contract.HookConnected || string(r.Slot(contract.SlotClientID)) != "c1" || string(r.Slot(contract.SlotPrincipal)) != "p1" {
		t.Errorf("%v %q %v", r.Header(), r.Slot(contract.SlotClientID), err)
	}
	if _, err := s.Get(nil, "x"); !errors.Is(err, contract.ErrnoNotFound) {
		t.Error(err)
	}
	if err := errors.Join(s.Kick("c1")); err != nil || !errors.Is(s.Kick("x"), contract.ErrnoNotFound) || len(k.kicked) != 2 {
		t.Errorf("%v, kicked %v", err, k.kicked)
	}
}
