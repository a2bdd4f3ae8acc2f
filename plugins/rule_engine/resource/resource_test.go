package resource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
)

// board is where the drivers of a test write to.
type board struct {
	mu     sync.Mutex
	rows   []string
	down   bool
	opened int
	closed int
	dead   []string
}

// shelf is a driver that writes to a board.
type shelf struct {
	b       *board
	mu      sync.Mutex
	actions map[string]string
}

func (b *board) open(p *params.Params) (sink.Resource, error) {
	p.String("password", "")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened++
	return &shelf{b: b, actions: map[string]string{}}, p.Err()
}

func (s *shelf) Bind(action string, p *params.Params) error {
	mark := p.Required("mark")
	if err := p.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.actions[action] = mark
	return nil
}

func (s *shelf) Unbind(action string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.actions, action)
}

func (s *shelf) Write(_ context.Context, items []sink.Item) error {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if s.b.down {
		return errors.New("it is down")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	bad := map[int]error{}
	for i, it := range items {
		if s.actions[it.Action] == "" {
			bad[i] = sink.ErrUnbound
			continue
		}
		s.b.rows = append(s.b.rows, s.actions[it.Action]+string(it.Row))
	}
	if len(bad) > 0 {
		return &sink.Bad{Items: bad}
	}
	return nil
}

func (s *shelf) Check(context.Context) error {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if s.b.down {
		return errors.New("it is down")
	}
	return nil
}

func (s *shelf) Close() error {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.closed++
	return nil
}

func (b *board) Dead(id string, it sink.Item, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dead = append(b.dead, fmt.Sprintf("%s %s: %v", id, it.Action, why))
}

func (b *board) Health(string, bool, error) {}

func (b *board) has(rows ...string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Equal(b.rows, rows)
}

func (b *board) set(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in 10 s: %s", what)
		}
		tick := time.NewTimer(time.Millisecond)
		<-tick.C
	}
}

func bind(s *Set, resource, name, mark string) error {
	return s.Bind(resource, "shelf", name, params.New(map[string]any{"mark": mark}))
}

// queue puts rows in a resource's queue.
func queue(t *testing.T, s *Set, buf *buffer.Buffer, id, action string, rows ...string) {
	t.Helper()
	q, _ := s.Queue(id)
	tx := buf.Begin()
	for _, r := range rows {
		if err := tx.Add(q, sink.EncodeItem(sink.Item{Action: action, Row: []byte(r)})); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// TestResourceLives: rows wait while the other side is down, over a change of the
// resource too, which keeps what is bound; who goes leaves nothing behind.
func TestResourceLives(t *testing.T) {
	b := &board{down: true}
	s := New(Config{Types: map[string]Opener{"shelf": b.open}, Hears: b})
	spec := Spec{ID: "r", Type: "shelf", Config: map[string]any{"password": "p", "retry_max": "5ms", "retry_min": "1ms", "health_check_interval": "100ms", "batch_time": 0}}
	if err := s.Put(spec); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(bind(s, "r", "rule/a", "A"), bind(s, "r", "rule/b", "B")); err != nil {
		t.Fatal(err)
	}
	if st, err := s.Status("r"); err != nil || st.Alive || st.Error == "" || st.Config["password"] != "******" || len(st.Actions) != 2 {
		t.Errorf("before the buffer: %+v, %v", st, err)
	}
	if err := s.Check(t.Context(), "r"); err == nil || err.Error() != "it is down" {
		t.Errorf("asked before the buffer is there: %v", err)
	}
	buf, err := buffer.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer buf.Close()
	if err := s.Start(buf); err != nil {
		t.Fatal(err)
	}
	queue(t, s, buf, "r", "rule/a", "1")
	queue(t, s, buf, "r", "rule/b", "2")
	eventually(t, "it is down", func() bool { st, _ := s.Status("r"); return !st.Alive && st.Error == "it is down" && st.Queued == 2 })
	spec.Description = "changed"
	if err := s.Put(spec); err != nil {
		t.Fatal(err)
	}
	b.set(false)
	eventually(t, "the rows", func() bool { return b.has("A1", "B2") })
	eventually(t, "it is up", func() bool { return s.List()[0].Alive && s.List()[0].Success == 2 })
	s.Keep("rule", func(name string) bool { return name == "rule/a" }, nil)
	queue(t, s, buf, "r", "rule/b", "3")
	eventually(t, "a row of nobody is dead", func() bool { return s.List()[0].Failed == 1 })
	if err := s.Delete("r"); !errors.Is(err, ErrInUse) {
		t.Errorf("deleted in use: %v", err)
	}
	s.Keep("rule", func(string) bool { return false }, nil)
	if err := s.Delete("r"); err != nil {
		t.Error(err)
	}
	if err := s.Delete("r"); !errors.Is(err, ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
	if b.opened != b.closed || len(buf.Names()) != 0 {
		t.Errorf("%d opened, %d closed, queues %v", b.opened, b.closed, buf.Names())
	}
}

// TestResourceFaults: what is wrong is refused, and what was there stays.
func TestResourceFaults(t *testing.T) {
	b := &board{}
	s := New(Config{Types: map[string]Opener{"shelf": b.open, "other": b.open}, Hears: b})
	if err := s.Put(Spec{ID: "r", Type: "shelf"}); err != nil {
		t.Fatal(err)
	}
	for _, spec := range []Spec{{ID: "a b", Type: "shelf"}, {ID: "x", Type: "shelves"}, {ID: "r", Type: "other"}, {ID: "x", Type: "shelf", Config: map[string]any{"colour": 1}},
		{ID: "x", Type: "shelf", Config: map[string]any{"batch_size": 0}}, {ID: "x", Type: "shelf", Config: map[string]any{"buffer_full": "cry"}}} {
		if err := s.Put(spec); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", spec, err)
		}
	}
	if err := bind(s, "q", "rule/a", "A"); err == nil {
		t.Error("bound to nothing")
	}
	if err := s.Bind("r", "other", "rule/a", params.New(nil)); err == nil {
		t.Error("bound to another type")
	}
	if err := bind(s, "r", "rule/a", "A"); err != nil {
		t.Fatal(err)
	}
	back := s.Bound("rule")
	if err := errors.Join(bind(s, "r", "rule/a", "changed"), bind(s, "r", "rule/b", "new")); err != nil {
		t.Fatal(err)
	}
	s.Keep("rule", func(name string) bool { return name == "rule/a" }, back)
	if st, _ := s.Status("r"); !slices.Equal(st.Actions, []string{"rule/a"}) || s.all["r"].driver.(*shelf).actions["rule/a"] != "A" {
		t.Errorf("after going back: %v", st.Actions)
	}
	if err := s.Test(t.Context(), Spec{ID: "t", Type: "shelf"}); err != nil {
		t.Error(err)
	}
	b.set(true)
	if err := s.Test(t.Context(), Spec{ID: "t", Type: "shelf"}); err == nil {
		t.Error("what is down passes a test")
	}
	if len(s.List()) != 1 {
		t.Errorf("a test has left %v", s.List())
	}
	if err := s.Close(); err != nil || b.opened != b.closed {
		t.Errorf("%v: %d opened, %d closed", err, b.opened, b.closed)
	}
}
