package sys

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Alarm is something that is wrong, or was (emqx4 §6.4).
type Alarm struct {
	Name          string
	Message       string
	Details       map[string]any // of simple values; immutable once given
	ActivatedAt   time.Time
	DeactivatedAt time.Time // zero while active
}

// Active tells whether the alarm is still on.
func (a *Alarm) Active() bool { return a.DeactivatedAt.IsZero() }

// MarshalJSON writes EMQ X 4's form: times in microseconds, "infinity" while it
// lasts.
func (a Alarm) MarshalJSON() ([]byte, error) {
	j := struct {
		Name         string         `json:"name"`
		Details      map[string]any `json:"details"`
		Message      string         `json:"message"`
		ActivateAt   int64          `json:"activate_at"`
		DeactivateAt any            `json:"deactivate_at"`
		Activated    bool           `json:"activated"`
	}{a.Name, a.Details, a.Message, a.ActivatedAt.UnixMicro(), "infinity", a.Active()}
	if j.Details == nil {
		j.Details = map[string]any{}
	}
	if !a.Active() {
		j.DeactivateAt = a.DeactivatedAt.UnixMicro()
	}
	return json.Marshal(j)
}

// AlarmsConfig says what becomes of alarms (emqx4 §6.4).
type AlarmsConfig struct {
	Node string
	// Log and Publish are alarm.actions: a line in the log, a message on
	// $SYS/brokers/<node>/alarms/activate and .../deactivate.
	Log, Publish bool
	SizeLimit    int           // alarm.size_limit: most active and most past alarms; default 1000
	Validity     time.Duration // alarm.validity_period: past alarms are forgotten after it; 0: never
}

// Alarms is the registry of what is wrong with the node. It is in memory: what
// is still wrong after a restart is found again. Safe for concurrent use, and
// no call waits for anything: messages are published by Run.
type Alarms struct {
	// Immutable.
	node string
	to   Publisher
	log  *zap.Logger

	wake chan struct{} // there is something in news

	mu sync.Mutex
	// Guarded by mu.
	cfg     AlarmsConfig
	active  map[string]Alarm
	past    []Alarm // oldest first
	news    []Alarm // not yet published
	refused uint64  // not activated because active is full
}

// NewAlarms returns a registry without alarms.
func NewAlarms(cfg AlarmsConfig, to Publisher, log *zap.Logger) *Alarms {
	if cfg.SizeLimit <= 0 {
		cfg.SizeLimit = 1000
	}
	return &Alarms{node: cfg.Node, cfg: cfg, to: to, log: log, wake: make(chan struct{}, 1), active: map[string]Alarm{}}
}

// Configure changes what becomes of alarms from now on; the node stays. Alarms
// that are on stay on, also when there are more than cfg allows.
func (s *Alarms) Configure(cfg AlarmsConfig) {
	if cfg.SizeLimit <= 0 {
		cfg.SizeLimit = 1000
	}
	s.mu.Lock()
	s.cfg = cfg
	s.mu.Unlock()
}

// Activate switches an alarm on. False: it was on already, and stays as it was,
// or there are too many.
func (s *Alarms) Activate(name, message string, details map[string]any) bool {
	a := Alarm{Name: name, Message: message, Details: maps.Clone(details), ActivatedAt: time.Now()}
	s.mu.Lock()
	_, on := s.active[name]
	full := !on && len(s.active) >= s.cfg.SizeLimit
	if on || full {
		if full {
			s.refused++
		}
		s.mu.Unlock()
		return false
	}
	s.active[name] = a
	s.tell(a)
	logged := s.cfg.Log
	s.mu.Unlock()
	if logged {
		s.log.Warn("alarm", zap.String("name", name), zap.String("message", message), zap.Any("details", a.Details))
	}
	return true
}

// Deactivate switches an alarm off and tells whether it was on.
func (s *Alarms) Deactivate(name string) bool {
	s.mu.Lock()
	a, on := s.active[name]
	if !on {
		s.mu.Unlock()
		return false
	}
	delete(s.active, name)
	a.DeactivatedAt = time.Now()
	if len(s.past) >= s.cfg.SizeLimit {
		s.past = slices.Delete(s.past, 0, len(s.past)-s.cfg.SizeLimit+1)
	}
	s.past = append(s.past, a)
	s.tell(a)
	logged := s.cfg.Log
	s.mu.Unlock()
	if logged {
		s.log.Info("alarm is over", zap.String("name", name), zap.String("message", a.Message),
			zap.Duration("lasted", a.DeactivatedAt.Sub(a.ActivatedAt)))
	}
	return true
}

// tell leaves a message for Run. When nobody takes them the oldest go. mu is held.
func (s *Alarms) tell(a Alarm) {
	if !s.cfg.Publish {
		return
	}
	if len(s.news) >= s.cfg.SizeLimit {
		s.news = slices.Delete(s.news, 0, 1)
	}
	s.news = append(s.news, a)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Current returns the active alarms, the oldest first.
func (s *Alarms) Current() []Alarm {
	s.mu.Lock()
	list := slices.Collect(maps.Values(s.active))
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b Alarm) int {
		return cmp.Or(a.ActivatedAt.Compare(b.ActivatedAt), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// History returns past alarms, the oldest first.
func (s *Alarms) History() []Alarm {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(time.Now())
	return slices.Clone(s.past)
}

// Clear forgets past alarms and returns how many there were.
func (s *Alarms) Clear() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.past)
	s.past = nil
	return n
}

// Refused is how many alarms were not activated because too many were on.
func (s *Alarms) Refused() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// forget drops past alarms that are too old. mu is held.
func (s *Alarms) forget(now time.Time) {
	if s.cfg.Validity <= 0 {
		return
	}
	i := 0
	for i < len(s.past) && now.Sub(s.past[i].DeactivatedAt) >= s.cfg.Validity {
		i++
	}
	s.past = slices.Delete(s.past, 0, i)
}

// Run publishes until ctx ends.
func (s *Alarms) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		}
		s.mu.Lock()
		news := s.news
		s.news = nil
		s.mu.Unlock()
		for i := range news {
			s.publish(&news[i])
		}
	}
}

func (s *Alarms) publish(a *Alarm) {
	name := "activate"
	if !a.Active() {
		name = "deactivate"
	}
	payload, err := json.Marshal(a)
	if err != nil {
		s.log.Error("an alarm cannot be written as JSON", zap.String("name", a.Name), zap.Error(err))
		return
	}
	s.to.Publish("$SYS/brokers/"+s.node+"/alarms/"+name, payload, false)
}
