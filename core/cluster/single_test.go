package cluster_test

import (
	"testing"

	"github.com/dunlinmq/dunlin/core/cluster"
	"github.com/dunlinmq/dunlin/core/cluster/clustertest"
)

// TestSingle runs the suite against the node that is alone.
func TestSingle(t *testing.T) {
	clustertest.Run(t, func(*testing.T) cluster.Fabric {
		return cluster.NewSingle(cluster.NodeID{Node: 1, Incarnation: 3}, "dunlin@127.0.0.1")
	})
}

func TestNodeIDString(t *testing.T) {
	if s := (cluster.NodeID{Node: 7, Incarnation: 12}).String(); s != "7.12" {
		t.Errorf("got %q", s)
	}
}
