package plugintool

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/dunlinmq/dunlin/core/plugin/manifest"
)

// Of plugins that are added and removed at the same moment none is lost from the lock,
// and none stays in it.
func TestAddAtTheSameMoment(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // it locks no directories
	}
	const many = 16
	p, from := placeIn(t), t.TempDir()
	name := func(kind string, i int) string { return fmt.Sprintf("%s%d", kind, i) }
	bundle := func(name string) *Bundle {
		dir := filepath.Join(from, name)
		put(t, filepath.Join(dir, "plugin.toml"), "name = \""+name+"\"\nversion = \"1\"\nabi = 1\n"+interceptPublish)
		put(t, filepath.Join(dir, name+"-"+runtime.GOOS+"-"+runtime.GOARCH), "program")
		b, err := ReadBundle(dir)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if err := p.Remove("old0"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("remove where nothing is: %v", err)
	}
	var fresh []*Bundle
	for i := range many {
		fresh = append(fresh, bundle(name("new", i)))
		if _, err := p.Add(bundle(name("old", i)), AddOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			<-begin
			if _, err := p.Add(fresh[i], AddOptions{}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			<-begin
			if err := p.Remove(name("old", i)); err != nil {
				t.Error(err)
			}
		})
	}
	close(begin)
	wg.Wait()
	l, err := manifest.ReadLock(p.Trust.LockFile)
	if err != nil {
		t.Fatal(err)
	}
	for i := range many {
		if _, ok := l.Plugins[name("new", i)]; !ok {
			t.Errorf("%s is lost", name("new", i))
		}
		if _, ok := l.Plugins[name("old", i)]; ok {
			t.Errorf("%s is still there", name("old", i))
		}
	}
}
