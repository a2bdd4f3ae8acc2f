package pebble

import (
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// What a faultDisk can refuse.
const (
	opCreate = "create"
	opReuse  = "reuse"
	opWrite  = "write"
	opSync   = "sync"
	opClose  = "close"
)

// faultDisk is a file system that refuses what it is told to, once it is armed.
// A write that is refused writes half.
type faultDisk struct {
	vfs.FS
	refuse func(op, name string, c vfs.DiskWriteCategory) bool
	err    error
	armed  atomic.Bool
	hits   atomic.Int64
}

func (d *faultDisk) fault(op, name string, c vfs.DiskWriteCategory) error {
	if d.armed.Load() && d.refuse(op, name, c) {
		d.hits.Add(1)
		return d.err
	}
	return nil
}

// at refuses one operation on files with part in their names.
func at(op, part string) func(op, name string, c vfs.DiskWriteCategory) bool {
	return func(o, name string, _ vfs.DiskWriteCategory) bool { return o == op && strings.Contains(name, part) }
}

// by refuses one operation on files of one category.
func by(op string, category vfs.DiskWriteCategory) func(op, name string, c vfs.DiskWriteCategory) bool {
	return func(o, _ string, c vfs.DiskWriteCategory) bool { return o == op && c == category }
}

func (d *faultDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.fault(opCreate, name, c); err != nil {
		return nil, err
	}
	f, err := d.FS.Create(name, c)
	return d.wrap(f, err, faultFile{d: d, name: name, c: c})
}

func (d *faultDisk) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.fault(opReuse, name, c); err != nil {
		return nil, err
	}
	f, err := d.FS.ReuseForWrite(old, name, c)
	return d.wrap(f, err, faultFile{d: d, name: name, c: c})
}

func (d *faultDisk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	return d.wrap(f, err, faultFile{d: d, name: name + "/"})
}

func (d *faultDisk) wrap(f vfs.File, err error, w faultFile) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	w.File = f
	return w, nil
}

type faultFile struct {
	vfs.File
	d    *faultDisk
	name string
	c    vfs.DiskWriteCategory
}

func (f faultFile) Write(p []byte) (int, error) {
	if err := f.d.fault(opWrite, f.name, f.c); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func (f faultFile) Sync() error {
	if err := f.d.fault(opSync, f.name, f.c); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f faultFile) SyncData() error {
	if err := f.d.fault(opSync, f.name, f.c); err != nil {
		return err
	}
	return f.File.SyncData()
}

func (f faultFile) Close() error {
	if err := f.d.fault(opClose, f.name, f.c); err != nil {
		_ = f.File.Close()
		return err
	}
	return f.File.Close()
}
