package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// started is how a node was started; it is kept in the data directory so that
// a restart does the same.
type started struct {
	Config  string   `json:"config"`
	Home    string   `json:"home"`
	Etc     string   `json:"etc"`
	Data    string   `json:"data"`
	Log     string   `json:"log"`
	Plugins string   `json:"plugins"`
	DataDir string   `json:"data_dir"` // of --data-dir; "": none
	Set     []string `json:"set"`
}

func startedPath(dataDir string) string { return filepath.Join(dataDir, "started.json") }

// noteStarted writes down how this node was started.
func (a *app) noteStarted(dataDir string) error {
	l, err := a.layout()
	if err != nil {
		return err
	}
	s := started{
		Home: l.home.path, Etc: l.etc.path, Data: l.data.path, Log: l.log.path, Plugins: l.plugins.path,
		DataDir: a.flags.dataDir, Set: a.flags.set,
	}
	if s.Config, err = filepath.Abs(l.config.path); err != nil {
		return err
	}
	if s.DataDir != "" {
		s.DataDir = dataDir
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = os.WriteFile(startedPath(dataDir), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("note how the node was started: %w", err)
	}
	return nil
}

// readStarted says how the node of a data directory was started last; nil: it
// never was.
func readStarted(dataDir string) (*started, error) {
	path := startedPath(dataDir)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var s started
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return nil, fmt.Errorf("read how the node was started: %s: %w; stop and start it, or remove the file", path, err)
	}
	return &s, nil
}

// resume completes the options of this command line with those of a start
// before and returns the layout of both.
func (a *app) resume(was *started) (layout, error) {
	own, err := a.layout()
	if err != nil || was == nil {
		return own, err
	}
	a.flags.set = append(was.Set[:len(was.Set):len(was.Set)], a.flags.set...)
	if a.flags.dataDir == "" {
		a.flags.dataDir = was.DataDir
	}
	if a.flags.home != "" {
		return own, nil
	}
	const by = "the last start"
	l := layout{
		config: found{was.Config, by}, home: found{was.Home, by}, etc: found{was.Etc, by},
		data: found{was.Data, by}, log: found{was.Log, by}, plugins: found{was.Plugins, by},
	}
	if a.flags.config != "" {
		l.config = own.config
	}
	return l, nil
}
