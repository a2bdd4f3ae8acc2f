package sink

import (
	"errors"
	"sync"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
)

// Actions are what the actions bound to a driver want of it, by their ids. The zero
// value is ready. Safe for concurrent use.
type Actions[T any] struct {
	mu   sync.RWMutex
	byID map[string]T // guarded by mu
}

// Set binds an action.
func (a *Actions[T]) Set(id string, v T) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byID == nil {
		a.byID = map[string]T{}
	}
	a.byID[id] = v
}

// Unbind forgets an action.
func (a *Actions[T]) Unbind(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.byID, id)
}

// Of is what the action of an item wants, and the item's fields. An error refuses the
// item.
func (a *Actions[T]) Of(it Item) (want T, row *sql.Map, err error) {
	a.mu.RLock()
	want, ok := a.byID[it.Action]
	a.mu.RUnlock()
	if !ok {
		return want, nil, ErrUnbound
	}
	v, err := sql.DecodeJSON(string(it.Row))
	if err != nil {
		return want, nil, err
	}
	if row = v.Map(); row == nil {
		return want, nil, errors.New("the row is no object")
	}
	return want, row, nil
}

// Refused is a *Bad of the items that were refused; nil if none was.
func Refused(items map[int]error) error {
	if len(items) == 0 {
		return nil
	}
	return &Bad{Items: items}
}
