package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/store"
)

// cellar is a store that notes what is asked of it.
type cellar struct {
	asked string
	err   error
}

func (c *cellar) Check(context.Context) (int64, error) { c.asked = "check"; return 7, c.err }
func (c *cellar) Compact(context.Context) error        { c.asked = "compact"; return c.err }
func (c *cellar) Backup(_ context.Context, dir string) error {
	c.asked = "backup " + dir
	return c.err
}

// TestMaintainStore: each action reaches the store, and its errors come as the
// codes that the service promises.
func TestMaintainStore(t *testing.T) {
	c := new(cellar)
	s := &service{Server: &Server{cfg: Config{Log: zap.NewNop(), Operator: Operator{Store: c}}}}
	ask := func(action adminpb.MaintainStoreRequest_Action, dir string) (int64, codes.Code) {
		reply, err := s.MaintainStore(t.Context(), &adminpb.MaintainStoreRequest{Action: action, Dir: dir})
		return reply.GetKeys(), status.Code(err)
	}
	for _, row := range []struct {
		action adminpb.MaintainStoreRequest_Action
		dir    string
		err    error
		asked  string
		keys   int64
		code   codes.Code
	}{
		{adminpb.MaintainStoreRequest_ACTION_CHECK, "", nil, "check", 7, codes.OK},
		{adminpb.MaintainStoreRequest_ACTION_COMPACT, "", nil, "compact", 0, codes.OK},
		{adminpb.MaintainStoreRequest_ACTION_BACKUP, "/b", nil, "backup /b", 0, codes.OK},
		{adminpb.MaintainStoreRequest_ACTION_BACKUP, "b", nil, "", 0, codes.InvalidArgument},
		{adminpb.MaintainStoreRequest_ACTION_UNSPECIFIED, "", nil, "", 0, codes.InvalidArgument},
		{adminpb.MaintainStoreRequest_ACTION_BACKUP, "/b", fmt.Errorf("there: %w", fs.ErrExist), "backup /b", 0, codes.FailedPrecondition},
		{adminpb.MaintainStoreRequest_ACTION_COMPACT, "", store.ErrReadOnly, "compact", 0, codes.FailedPrecondition},
		{adminpb.MaintainStoreRequest_ACTION_CHECK, "", errors.New("broken"), "check", 0, codes.Unknown},
	} {
		c.asked, c.err = "", row.err
		if keys, code := ask(row.action, row.dir); keys != row.keys || code != row.code || c.asked != row.asked {
			t.Errorf("%v %q: %d keys, %v, asked %q", row.action, row.dir, keys, code, c.asked)
		}
	}
	s.cfg.Operator.Store = nil
	if _, code := ask(adminpb.MaintainStoreRequest_ACTION_CHECK, ""); code != codes.Unimplemented {
		t.Errorf("without a store: %v", code)
	}
}
