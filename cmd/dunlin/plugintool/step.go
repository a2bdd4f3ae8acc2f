package plugintool

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// waiting is a record of an earlier step whose verdict has not come yet.
type waiting struct {
	call   *plugin.Call
	record int
}

// step runs one frame, answers what the plugin has asked for, and compares.
func (r *Run) step(ctx context.Context, s *Step, number int, res *Result) error {
	recs, list, k := []*Record(nil), r.waiting, contract.Hook(0)
	var err error
	if s.Hook == "" {
		if recs, err = r.earlier(s); err != nil {
			return err
		}
	} else {
		c, rs, bad := r.frame(s)
		if bad != nil {
			return bad
		}
		k, recs, list = c.Hook, rs, make([]waiting, len(rs))
		for i := range list {
			list[i] = waiting{c, i}
		}
		err = r.Call(ctx, c)
		res.Records += len(recs)
		if c.Observe {
			recs = nil
		}
	}
	res.Steps++
	if err == nil {
		err = r.answers(ctx, s, number, res)
		if bad := (*scenarioError)(nil); errors.As(err, &bad) {
			return err
		}
	}
	for i := 0; i < len(recs) && err == nil; i++ {
		err = r.compareRecord(list[i], recs[i], Failure{Step: number, Record: i + 1, What: what(list[i].call.Hook, recs[i])}, res)
	}
	r.waiting = r.stillWaiting(list)
	name := k.String()
	if s.Hook == "" {
		name = "answers"
	}
	if err != nil || s.Fault != "" {
		if s.Fault == "" || err == nil || !strings.Contains(err.Error(), s.Fault) {
			res.Failures = append(res.Failures, Failure{Step: number, What: name + ": fault", Want: s.Fault, Got: fmt.Sprint(err)})
		}
		return nil
	}
	r.effects(s, name, number, res)
	return nil
}

// effects compares what the plugin has done beside its verdicts.
func (r *Run) effects(s *Step, name string, number int, res *Result) {
	res.compare(Failure{Step: number, What: name + ": publishes"}, list(s.Publishes), list(r.published(len(s.Publishes))))
	res.compare(Failure{Step: number, What: name + ": store"}, list(s.Store), list(r.Services.takeKept()))
	kicked, wants := r.Services.takeTold()
	res.compare(Failure{Step: number, What: name + ": kicked"}, append([]string{}, s.Kicked...), append([]string{}, kicked...))
	if len(s.Wants) > 0 || s.Hook != "" && number > 1 && len(wants) > 0 { // what it wants from the start need not be said
		res.compare(Failure{Step: number, What: name + ": wants"}, s.Wants, wants)
	}
}

// scenarioError is a fault of the scenario, not of the plugin.
type scenarioError struct{ text string }

// Error is the text.
func (e *scenarioError) Error() string { return e.text }

// frame makes the call of a step.
func (r *Run) frame(s *Step) (*plugin.Call, []*Record, error) {
	k, ok := contract.ParseHook(s.Hook)
	if !ok {
		return nil, nil, fmt.Errorf("there is no hook %q", s.Hook)
	}
	fields, ok := r.Fields(k)
	if !ok {
		return nil, nil, fmt.Errorf("the manifest does not name the hook %q: the broker would not call it", s.Hook)
	}
	w := contract.Writer{Fields: fields}
	var recs []*Record
	for i := range s.Records {
		for range max(s.Records[i].Repeat, 1) {
			if err := s.Records[i].write(&w, k, s.Conn); err != nil {
				return nil, nil, fmt.Errorf("record %d: %w", i+1, err)
			}
			recs = append(recs, &s.Records[i])
			r.clock = s.Records[i].Time
		}
	}
	c := &plugin.Call{Hook: k, Observe: k.Class() == contract.Observe, Frame: w.Frame(), N: w.Count(), Key: s.Conn, Records: store{r.Services}}
	r.lobby.Let(c)
	return c, recs, nil
}

// earlier are the records of a step without a hook: what is wanted of those that wait.
func (r *Run) earlier(s *Step) (recs []*Record, err error) {
	if len(s.Records) > len(r.waiting) {
		return nil, fmt.Errorf("%d records, and %d of earlier steps wait", len(s.Records), len(r.waiting))
	}
	for i := range s.Records {
		if len(s.Records[i].Slots) > 0 {
			return nil, fmt.Errorf("record %d: a step without a hook has no new records", i+1)
		}
		s.Records[i].Later = true
		recs = append(recs, &s.Records[i])
	}
	return recs, nil
}

// answers compares the calls that wait for answers with those of the step, one after
// the other, and answers them. A call that the step does not name is a failure.
func (r *Run) answers(ctx context.Context, s *Step, number int, res *Result) error {
	for i, want := range s.Calls {
		say, answered := want["answer"].(map[string]any)
		about := map[string]any{}
		for k, v := range want {
			if k != "answer" {
				about[k] = v
			}
		}
		var a *asked
		if s.Hook == "" {
			a = r.Services.takeOpen(about)
		}
		if a == nil {
			a = r.awaitAsked()
		}
		f := Failure{Step: number, What: fmt.Sprintf("call %d", i+1), Want: plainJSON(about)}
		if a == nil || !within(about, a.shown) {
			if a != nil {
				f.Got = plainJSON(a.shown)
			}
			res.Failures = append(res.Failures, f)
		}
		switch {
		case a == nil:
			return nil
		case !answered:
			r.Services.leave(a)
			continue
		}
		if err := r.answer(ctx, a, say); err != nil {
			return err
		}
	}
	for a := r.Services.nextAsked(); a != nil; a = r.Services.nextAsked() {
		r.Services.leave(a)
		if a.hook != contract.HookTimer || len(s.Calls) > 0 { // a timer matters to who asks for it
			res.Failures = append(res.Failures, Failure{Step: number, What: "a call that the step does not name", Got: plainJSON(a.shown)})
		}
	}
	return nil
}

// awaitAsked takes the next call. A process that observes makes it in its own time.
func (r *Run) awaitAsked() *asked {
	a := r.Services.nextAsked()
	for end := time.Now().Add(publishTime); a == nil && !r.target.WASM() && time.Now().Before(end); a = r.Services.nextAsked() {
		runtime.Gosched()
	}
	return a
}

// compareRecord compares a verdict with what is wanted. The error is a fault.
func (r *Run) compareRecord(w waiting, want *Record, f Failure, res *Result) error {
	v, later, _, err := r.lobby.Final(w.call, w.record)
	if err != nil {
		return err
	}
	if later != want.Later {
		res.Failures = append(res.Failures, Failure{Step: f.Step, Record: f.Record, What: f.What + ": later", Want: want.Later, Got: later})
	}
	res.compare(f, orNext(want.Want), verdictOf(v))
	return nil
}

// stillWaiting are those of list, and of the earlier steps, without a verdict.
func (r *Run) stillWaiting(list []waiting) (out []waiting) {
	seen := map[waiting]bool{}
	for _, w := range append(append([]waiting{}, r.waiting...), list...) {
		if seen[w] {
			continue
		}
		seen[w] = true
		if _, _, open, err := r.lobby.Final(w.call, w.record); err == nil && open {
			out = append(out, w)
		}
	}
	return out
}
