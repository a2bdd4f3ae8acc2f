package rpc

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// BenchmarkCall measures one call of n records, alone and from 16 goroutines.
func BenchmarkCall(b *testing.B) {
	code, err := plugCode()
	if err != nil {
		b.Fatal(err)
	}
	tr := New(Config{})
	defer tr.Close()
	inst, err := tr.Open(b.Context(), spec(code, &services{}, zap.NewNop()))
	if err != nil {
		b.Fatal(err)
	}
	defer inst.Close(context.Background()) //nolint:errcheck // a benchmark
	for _, n := range []int{1, 8, 32, 128, 512} {
		payloads := make([]string, n)
		for i := range payloads {
			payloads[i] = strings.Repeat("x", 64)
		}
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			for b.Loop() {
				if err := inst.Call(context.Background(), frame(contract.HookPublish, payloads...)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
		})
		b.Run(fmt.Sprintf("records=%d/callers=16", n), func(b *testing.B) {
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := inst.Call(context.Background(), frame(contract.HookPublish, payloads...)); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
		})
	}
}
