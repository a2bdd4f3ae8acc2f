package admin

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/dunlinmq/dunlin/core/admin/adminpb"
)

// Client speaks to a node of this machine.
type Client struct {
	adminpb.AdminClient
	conn *grpc.ClientConn
}

// maxReply bounds an answer: the metrics of one plugin alone may come to 2 MiB.
const maxReply = 64 << 20

// Dial returns a client of the node with this data directory. It does not
// connect: a call to a node that does not run ends with codes.Unavailable.
func Dial(dataDir string) (*Client, error) {
	socket := SocketPath(dataDir)
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	conn, err := grpc.NewClient("passthrough:///"+socket, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReply)),
		grpc.WithContextDialer(dial), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("dial the node: %w", err)
	}
	return &Client{AdminClient: adminpb.NewAdminClient(conn), conn: conn}, nil
}

// Close ends the client's connection.
func (c *Client) Close() error { return c.conn.Close() }
