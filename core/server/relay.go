package server

import "context"

// relay runs a part that a reload can replace by another of its kind.
type relay[T interface{ Run(context.Context) error }] struct {
	first T // immutable
	next  chan func(old T) T
}

func newRelay[T interface{ Run(context.Context) error }](first T) *relay[T] {
	return &relay[T]{first: first, next: make(chan func(T) T, 1)}
}

// replace ends the part that runs and lets make build the one that follows. It
// does not wait; of two that come at once only the later may count.
func (r *relay[T]) replace(make func(old T) T) {
	select {
	case <-r.next:
	default:
	}
	r.next <- make
}

// Run runs the part, and those that follow, until ctx ends or one returns by
// itself.
func (r *relay[T]) Run(ctx context.Context) error {
	part := r.first
	for {
		turn, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- part.Run(turn) }()
		select {
		case err := <-ended:
			stop()
			return err
		case make := <-r.next:
			stop()
			if err := <-ended; err != nil || ctx.Err() != nil {
				return err
			}
			part = make(part)
		}
	}
}
