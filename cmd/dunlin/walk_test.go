package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command has a place in docs/operations.md.
func TestOperationsNamesEveryVerb(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	each((&app{}).root(), func(cmd *cobra.Command) {
		if !strings.Contains(string(doc), cmd.Name()) {
			t.Errorf("%s is not in docs/operations.md", cmd.CommandPath())
		}
	})
}
