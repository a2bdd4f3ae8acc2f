package journal

import (
	"context"

	"github.com/dunlinmq/dunlin/core/store"
)

// Room brings what a room has in the store to the room's format, before anything
// reads or writes it. The errors are those of [store.Format.Open].
func (j *Journal) Room(ctx context.Context, f store.Format) error { return f.Open(ctx, j.st) }
