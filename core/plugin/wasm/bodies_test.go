package wasm

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// The bytes of functions go after the compilation, by either engine, and guests made
// later work without them. If this fails after another wazero was taken, its fields
// have changed: dropBodies has to follow, or go.
func TestBodiesAreDropped(t *testing.T) {
	for _, engine := range []string{EngineCompiler, EngineInterpreter} {
		t.Run(engine, func(t *testing.T) {
			tr := transport(t, 2)
			tr.engine = engine
			in, err := tr.Open(context.Background(), spec(t, read(t, "acts.wasm")))
			if err != nil {
				t.Fatal(err)
			}
			p := in.(*Plugin)
			defer func() { _ = p.Close(context.Background()) }()
			if n := dropBodies(p.compiled); n != 0 {
				t.Errorf("%d bytes of functions were kept", n)
			}
			for key := range uint64(16) { // of both shards
				c := frame(key, 1)
				call(t, p, c)
				if v, err := c.Verdict(0); err != nil || v.Action != contract.Allow {
					t.Fatalf("%v, %v", v.Action, err)
				}
			}
			if n := p.Status().Instances; n != 2 {
				t.Errorf("%d guests", n)
			}
		})
	}
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer func() { _ = r.Close(ctx) }()
	kept, err := r.CompileModule(ctx, read(t, "cguest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if n := dropBodies(kept); n < 1000 {
		t.Errorf("%d bytes were found to drop", n)
	}
	if n := dropBodies(nil); n != 0 {
		t.Errorf("%d bytes of nothing", n)
	}
}
