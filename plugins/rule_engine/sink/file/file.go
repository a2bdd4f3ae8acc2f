// Package file appends rows to a file: resource file, action data_to_file. A batch is
// on the disk when it is done. A file that has grown to max_size is moved to path.1,
// that to path.2, up to max_files of them.
package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/template"
)

// File is a file that rotates.
type File struct {
	sink.Actions[*template.Template] // a line; an empty one is all fields as JSON

	// Immutable.
	path  string
	most  int64 // bytes; 0: it does not rotate
	files int

	out *os.File // owned by Write; nil: not open
}

var _ sink.Resource = (*File)(nil)

// Open reads the resource's configuration. It does not open the file.
func Open(p *params.Params) (sink.Resource, error) {
	f := &File{path: p.Required("path"), most: p.Bytes("max_size", 100<<20), files: p.Int("max_files", 10, 0, 10_000)}
	if !filepath.IsAbs(f.path) {
		p.Fault("path", errors.New("a path from the root is wanted"))
	}
	return f, p.Err()
}

// Bind implements sink.Resource.
func (f *File) Bind(action string, p *params.Params) error {
	t := p.Template("line", "")
	if err := p.Err(); err != nil {
		return err
	}
	f.Set(action, t)
	return nil
}

// Write implements sink.Driver.
func (f *File) Write(_ context.Context, items []sink.Item) error {
	bad := map[int]error{}
	var text []byte
	for i, it := range items {
		t, row, err := f.Of(it)
		if err != nil {
			bad[i] = err
			continue
		}
		if t.Constant() && t.Text(row) == "" {
			text = row.AppendJSON(text)
		} else {
			text = t.Append(text, row)
		}
		text = append(text, '\n')
	}
	if err := f.append(text); err != nil {
		return errors.Join(fmt.Errorf("file: %w", err), f.Close())
	}
	return sink.Refused(bad)
}

// append writes the text and waits until it is on the disk. What a failed write has
// left is cut off, so that no line is torn.
func (f *File) append(text []byte) error {
	if f.out == nil {
		var err error
		if f.out, err = os.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return err
		}
	}
	info, err := f.out.Stat()
	if err != nil {
		return err
	}
	if f.most > 0 && info.Size() > 0 && info.Size()+int64(len(text)) > f.most {
		if err := f.rotate(); err != nil {
			return err
		}
		return f.append(text)
	}
	if _, err := f.out.Write(text); err != nil {
		return errors.Join(err, f.out.Truncate(info.Size()))
	}
	return f.out.Sync()
}

func (f *File) rotate() error {
	if err := f.Close(); err != nil {
		return err
	}
	name := func(i int) string { return fmt.Sprintf("%s.%d", f.path, i) }
	if f.files == 0 {
		return os.Remove(f.path)
	}
	for i := f.files - 1; i >= 1; i-- {
		if err := os.Rename(name(i), name(i+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(f.path, name(1))
}

// Check implements sink.Driver: the file can be opened for writing.
func (f *File) Check(context.Context) error {
	out, err := os.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	return out.Close()
}

// Close implements sink.Driver.
func (f *File) Close() error {
	if f.out == nil {
		return nil
	}
	err := f.out.Close()
	f.out = nil
	return err
}
