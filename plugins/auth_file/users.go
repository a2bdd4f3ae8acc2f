package main

import (
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"

	"github.com/dunlinmq/dunlin/pluginsdk/passwd"
)

// entry is one user, or one client identifier with a password of its own. Immutable.
type entry struct {
	list      *list
	hash      string
	superuser bool
	clientIDs []string // it may have; nil: what the list's rule says
}

// list is what one file says. Immutable once read.
type list struct {
	entries map[string]*entry
	hashes  []string // in the order of the file
	key     []byte   // makes the choice of decoys a secret
}

// find returns nil for nobody.
func (l *list) find(name string) *entry { return l.entries[name] }

// maxFaults bounds how many faults are told at once.
const maxFaults = 20

// read takes a file of lines name:hash[:options]. Empty lines and those with # are
// skipped. No fault quotes what may be a password.
func (l *list) read(file, text string) (faults []error) {
	l.entries = map[string]*entry{}
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, e, err := parseEntry(line)
		if err == nil && l.entries[name] != nil {
			err = errors.New(strconv.Quote(name) + " is there twice")
		}
		if err != nil {
			faults = append(faults, errors.New(file+": line "+strconv.Itoa(n)+": "+err.Error()))
			continue
		}
		e.list = l
		l.entries[name], l.hashes = e, append(l.hashes, e.hash)
	}
	sum := sha256.Sum256([]byte("dunlin decoy\x00" + text))
	l.key = sum[:]
	return faults
}

// explain makes one error of faults.
func explain(faults []error) error {
	if n := len(faults) - maxFaults; n > 0 {
		faults = append(faults[:maxFaults:maxFaults], errors.New("and "+strconv.Itoa(n)+" more"))
	}
	return errors.Join(faults...)
}

var errLine = errors.New("want name:hash or name:hash:options")

func parseEntry(line string) (name string, e *entry, err error) {
	parts := strings.SplitN(line, ":", 3)
	if len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		return "", nil, errLine
	}
	name, e = parts[0], &entry{hash: parts[1]}
	if _, err := passwd.Parse(e.hash); err != nil {
		return "", nil, errors.New(err.Error() + " (`dunlin ctl users passwd` makes one)")
	}
	if len(parts) < 3 {
		return name, e, nil
	}
	for option := range strings.SplitSeq(parts[2], ",") {
		id, rule := strings.CutPrefix(option, "client_id=")
		switch {
		case option == "superuser":
			e.superuser = true
		case rule && id != "":
			e.clientIDs = append(e.clientIDs, id)
		default:
			return "", nil, errors.New("option " + strconv.Quote(option) + ": want superuser or client_id=ID, with commas between")
		}
	}
	return name, e, nil
}

// covers tells whether a rule is about a client identifier: it is that one, or its
// beginning if * is the last character. %u stands for the user.
func covers(rule, user, id string) bool {
	begin, open := strings.CutSuffix(rule, "*")
	begin = strings.ReplaceAll(begin, "%u", user)
	if open {
		return strings.HasPrefix(id, begin)
	}
	return id == begin
}
