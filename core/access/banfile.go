package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/dunlinmq/dunlin/core/wholefile"
)

// banFileVersion is the form of the file; a higher one is refused.
const banFileVersion = 1

// banFile is what the file holds, as JSON.
type banFile struct {
	Version int   `json:"version"`
	Bans    []Ban `json:"bans"`
}

// ReadBans reads the file of a banned list; one that is not there is empty. The list
// may have bans that are over.
func ReadBans(file string) ([]Ban, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("banned list: %w", err)
	}
	var f banFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("banned list %s cannot be read, repair it or move it away: %w", file, err)
	}
	if d.More() {
		return nil, fmt.Errorf("banned list %s cannot be read, repair it or move it away: something follows the list", file)
	}
	if f.Version != banFileVersion {
		return nil, fmt.Errorf("banned list %s has version %d, and this is a reader of version %d", file, f.Version, banFileVersion)
	}
	return f.Bans, nil
}

// save writes the list if it has changed since the last time.
func (s *Bans) save() error {
	if s.cfg.File == "" {
		return nil
	}
	s.saving.Lock()
	defer s.saving.Unlock()
	list, changes := s.snapshot()
	if changes == s.saved {
		return nil
	}
	data, err := json.MarshalIndent(banFile{Version: banFileVersion, Bans: list}, "", " ")
	if err == nil {
		err = wholefile.Replace(s.cfg.File, append(data, '\n'), 0o600, nil)
	}
	if err != nil {
		return fmt.Errorf("write the banned list: %w", err)
	}
	s.saved = changes
	return nil
}
