package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/store"
)

// MaintainStore implements adminpb.AdminServer.
func (s *service) MaintainStore(ctx context.Context, r *adminpb.MaintainStoreRequest) (*adminpb.MaintainStoreReply, error) {
	st := s.cfg.Operator.Store
	if st == nil {
		return nil, errNoRoom
	}
	reply := &adminpb.MaintainStoreReply{}
	var err error
	switch r.GetAction() {
	case adminpb.MaintainStoreRequest_ACTION_CHECK:
		reply.Keys, err = st.Check(ctx)
	case adminpb.MaintainStoreRequest_ACTION_COMPACT:
		err = st.Compact(ctx)
	case adminpb.MaintainStoreRequest_ACTION_BACKUP:
		if !filepath.IsAbs(r.GetDir()) {
			return nil, status.Error(codes.InvalidArgument, "the directory of a backup is not absolute")
		}
		err = st.Backup(ctx, r.GetDir())
	default:
		return nil, status.Error(codes.InvalidArgument, "action is neither check, compact nor backup")
	}
	if errors.Is(err, fs.ErrExist) || errors.Is(err, store.ErrReadOnly) {
		err = fmt.Errorf("%w: %w", ErrState, err)
	}
	if _, logged := s.done("store "+r.GetAction().String(), r.GetDir(), err); logged != nil {
		return nil, logged
	}
	return reply, nil
}
