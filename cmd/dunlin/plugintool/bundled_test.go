package plugintool

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Bundled plugins keep the contract and the scenario file in their folder, as modules
// and as processes: with answers of servers, and with servers that are down and
// passwords that are wrong.
func TestBundledScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../plugins/*/scenario.toml")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		from := filepath.Dir(file)
		name := filepath.Base(from)
		for _, kind := range []string{"wasm", "process"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				target := bundled(t, from, name, kind == "wasm")
				s, err := ReadScenario(file)
				if err != nil {
					t.Fatal(err)
				}
				res, err := target.Test(t.Context(), s)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range res.Failures {
					t.Errorf("step %d, record %d, %s: want %v, got %v", f.Step, f.Record, f.What, f.Want, f.Got)
				}
				checks, err := target.Conform(t.Context(), s, 60_000)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range checks {
					if !c.OK {
						t.Errorf("%s: %s", c.Name, c.Detail)
					}
				}
			})
		}
	}
}

// bundled builds a plugin of the repository and lays it out as its author has it.
func bundled(t *testing.T, from, name string, module bool) *Target {
	t.Helper()
	dir := t.TempDir()
	at := filepath.Join(dir, name)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", at, ".")
	if module {
		at += ".wasm"
		cmd = exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-buildmode=c-shared", "-o", at, ".")
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	}
	cmd.Dir = from
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, text)
	}
	for _, file := range []string{"plugin.toml", "schema.json"} {
		text, err := os.ReadFile(filepath.Join(from, file))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return &Target{Path: at}
}
