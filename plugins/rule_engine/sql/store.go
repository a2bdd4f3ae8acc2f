package sql

import "sync"

// Store is what rules remember between messages: kv_store for all of them,
// proc_dict likewise (a rule has no process of its own here). It is in memory
// and bounded. Safe for concurrent use.
type Store struct {
	most int // immutable

	mu   sync.RWMutex
	vals map[string]Value // guarded by mu
}

// DefaultStoreKeys is how many keys a Store holds unless told otherwise.
const DefaultStoreKeys = 100_000

// NewStore returns an empty store of at most that many keys; 0:
// DefaultStoreKeys.
func NewStore(most int) *Store {
	if most <= 0 {
		most = DefaultStoreKeys
	}
	return &Store{most: most, vals: map[string]Value{}}
}

func (s *Store) get(k string) Value {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.vals[k]
}

func (s *Store) put(k string, v Value) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.vals[k]; !ok && len(s.vals) >= s.most {
		return errorf("the store is full: %d keys", s.most)
	}
	s.vals[k] = v.own() // not parts of the event
	return nil
}

func (s *Store) del(k string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.vals, k)
}

// The two families have keys of their own.
const (
	procDict = "p\x00"
	kvStore  = "k\x00"
)

var storeFunctions = map[string]function{
	"proc_dict_get": storeGet(procDict, 1), "proc_dict_put": storePut(procDict), "proc_dict_del": storeDel(procDict),
	"kv_store_get": storeGet(kvStore, 2), "kv_store_put": storePut(kvStore), "kv_store_del": storeDel(kvStore),
}

func storeGet(prefix string, most int) function {
	return function{min: 1, max: most, call: func(e *env, args []Value) (Value, error) {
		v := e.vars.get(prefix + args[0].Text())
		if v.kind == Undefined && len(args) == 2 {
			return args[1], nil
		}
		return v, nil
	}}
}

// storePut yields the value that was put.
func storePut(prefix string) function {
	return function{min: 2, max: 2, effect: true, call: func(e *env, args []Value) (Value, error) {
		return args[1], e.vars.put(prefix+args[0].Text(), args[1])
	}}
}

func storeDel(prefix string) function {
	return function{min: 1, max: 1, effect: true, call: func(e *env, args []Value) (Value, error) {
		e.vars.del(prefix + args[0].Text())
		return Value{}, nil
	}}
}
