package server

import (
	"context"

	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/store"
)

// diskFigures tells of the store: sizes in bytes, counts since the start. Its
// mode is 0 ready, 1 full, 2 read only, 3 closed.
func diskFigures(i store.Info, st store.State, j journal.Stats) []*adminpb.Figure {
	return []*adminpb.Figure{
		{Name: "disk/mode", Value: int64(st.Mode)},
		{Name: "disk/format", Value: int64(i.Format)},
		{Name: "disk/bytes", Value: i.Bytes},
		{Name: "disk/free", Value: i.Free},
		{Name: "disk/log", Value: i.Log},
		{Name: "disk/tables", Value: i.Tables},
		{Name: "disk/cache", Value: i.Cache},
		{Name: "disk/tail", Value: i.Tail},
		{Name: "disk/queued", Value: i.Queued},
		{Name: "disk/batches", Value: i.Batches},
		{Name: "disk/groups", Value: i.Groups},
		{Name: "disk/operations", Value: i.Operations},
		{Name: "disk/payload_bytes", Value: i.PayloadBytes},
		{Name: "disk/written_bytes", Value: i.WrittenBytes},
		{Name: "disk/syncs", Value: i.Syncs},
		{Name: "disk/transactions", Value: int64(j.Transactions)},
		{Name: "disk/transactions_failed", Value: int64(j.Failed)},
		{Name: "disk/transactions_late", Value: int64(j.Late)},
	}
}

// upkeep implements admin.Store. The store is opened after the admin service
// listens and before it answers.
type upkeep struct{ s *Server }

// Check implements admin.Store.
func (k upkeep) Check(ctx context.Context) (int64, error) { return k.s.disk.store.Check(ctx) }

// Compact implements admin.Store.
func (k upkeep) Compact(ctx context.Context) error { return k.s.disk.store.Compact(ctx) }

// Backup implements admin.Store.
func (k upkeep) Backup(ctx context.Context, dir string) error { return k.s.disk.store.Backup(ctx, dir) }
