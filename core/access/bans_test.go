package access_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/hook"
)

func openBans(t *testing.T, cfg access.BansConfig) *access.Bans {
	t.Helper()
	s, err := access.OpenBans(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func named(id, user, addr string) *hook.Client {
	return &hook.Client{ID: id, Username: user, HasUsername: user != "", Peer: netip.MustParseAddrPort(addr)}
}

func TestBansMatch(t *testing.T) {
	s := openBans(t, access.BansConfig{})
	if err := s.Add(
		access.Ban{As: access.BanClientID, Who: "bad"},
		access.Ban{As: access.BanUsername, Who: "mallory"},
		access.Ban{As: access.BanPeerHost, Who: "192.0.2.7"},
		access.Ban{As: access.BanPeerHost, Who: "198.51.100.77/24"},
		access.Ban{As: access.BanPeerHost, Who: "2001:db8::/32"},
		access.Ban{As: access.BanPeerHost, Who: "::ffff:203.0.113.9"},
	); err != nil {
		t.Fatal(err)
	}
	const home = "127.0.0.1:1"
	for _, tt := range []struct {
		c    *hook.Client
		want bool
	}{
		{named("bad", "", home), true},
		{named("bad2", "", home), false},
		{named("mallory", "", home), false},
		{named("c", "mallory", home), true},
		{named("c", "", "192.0.2.7:9"), true},
		{named("c", "", "[::ffff:192.0.2.7]:9"), true},
		{named("c", "", "192.0.2.8:9"), false},
		{named("c", "", "198.51.100.1:9"), true},
		{named("c", "", "198.51.101.1:9"), false},
		{named("c", "", "[2001:db8:1::1]:9"), true},
		{named("c", "", "[2001:db9::1]:9"), false},
		{named("c", "", "203.0.113.9:9"), true},
		{&hook.Client{ID: "no address"}, false},
	} {
		if _, got := s.Check(tt.c, time.Now().UnixNano()); got != tt.want {
			t.Errorf("%s %s %v: banned %v, want %v", tt.c.ID, tt.c.Username, tt.c.Peer, got, tt.want)
		}
	}
}

// A client without a user name is not one whose user name is empty.
func TestNilBansBanNobody(t *testing.T) {
	var s *access.Bans
	if _, banned := s.Check(named("c", "", "127.0.0.1:1"), 0); banned {
		t.Error("a list that is not there bans")
	}
}

func TestBansAreReplacedAndLifted(t *testing.T) {
	var added, removed []access.Ban
	s := openBans(t, access.BansConfig{
		Added:   func(b []access.Ban) { added = append(added, b...) },
		Removed: func(b []access.Ban) { removed = append(removed, b...) },
	})
	for _, reason := range []string{"one", "two"} {
		if err := s.Add(access.Ban{As: access.BanPeerHost, Who: "10.1.2.3/8", By: "me", Reason: reason}); err != nil {
			t.Fatal(err)
		}
	}
	list := s.List()
	if len(list) != 1 || s.Len() != 1 || list[0].Who != "10.0.0.0/8" || list[0].Reason != "two" || list[0].At.IsZero() {
		t.Errorf("list %+v", list)
	}
	if len(added) != 2 || added[1].Who != "10.0.0.0/8" {
		t.Errorf("told of %+v", added)
	}
	if ok, err := s.Delete(access.BanPeerHost, "10.255.0.0/8"); !ok || err != nil {
		t.Errorf("delete: %v %v", ok, err)
	}
	if ok, err := s.Delete(access.BanPeerHost, "10.0.0.0/8"); ok || err != nil {
		t.Errorf("delete again: %v %v", ok, err)
	}
	if ok, _ := s.Delete(access.BanPeerHost, "nonsense"); ok {
		t.Error("deleted what is no address")
	}
	if len(removed) != 1 || removed[0].Reason != "two" {
		t.Errorf("told of the end of %+v", removed)
	}
	if _, banned := s.Check(named("c", "", "10.0.0.1:1"), 0); banned || s.Len() != 0 {
		t.Error("a lifted ban holds")
	}
}

func TestWhatIsNoBan(t *testing.T) {
	s := openBans(t, access.BansConfig{})
	now := time.Now()
	for _, b := range []access.Ban{
		{},
		{As: "listener", Who: "x"},
		{As: access.BanClientID},
		{As: access.BanPeerHost, Who: "example.org"},
		{As: access.BanPeerHost, Who: "10.0.0.0/33"},
		{As: access.BanClientID, Who: "x", At: now, Until: now},
		{As: access.BanClientID, Who: strings.Repeat("x", access.MaxBanText+1)},
	} {
		if err := s.Add(access.Ban{As: access.BanClientID, Who: "good"}, b); !errors.Is(err, access.ErrBan) {
			t.Errorf("%.40v: %v", b, err)
		}
	}
	if s.Len() != 0 {
		t.Error("one bad ban must keep the others of its call out")
	}
}

func TestBansAreBounded(t *testing.T) {
	s := openBans(t, access.BansConfig{Max: 3})
	for i := range 3 {
		if err := s.Add(access.Ban{As: access.BanClientID, Who: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Add(access.Ban{As: access.BanClientID, Who: "more"}); !errors.Is(err, access.ErrBansFull) {
		t.Errorf("error %v", err)
	}
	if err := s.Add(access.Ban{As: access.BanClientID, Who: "1", Reason: "again"}); err != nil {
		t.Errorf("a full list must let a ban be replaced: %v", err)
	}
	s.SetMax(2)
	if err := s.Add(access.Ban{As: access.BanClientID, Who: "1"}); err != nil || s.Len() != 3 {
		t.Errorf("with a lower limit: %d bans, %v", s.Len(), err)
	}
	s.SetMax(4)
	if err := s.Add(access.Ban{As: access.BanClientID, Who: "more"}); err != nil {
		t.Errorf("with a higher limit: %v", err)
	}
}

func TestBansAreKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "banned.json")
	s := openBans(t, access.BansConfig{File: file})
	if len(s.List()) != 0 {
		t.Fatal("a new list is not empty")
	}
	until := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	want := []access.Ban{
		{As: access.BanClientID, Who: "c\x00\"é", By: "ops", Reason: "noise", Until: until},
		{As: access.BanPeerHost, Who: "192.0.2.0/24"},
	}
	if err := s.Add(want...); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("file: %v %v", info, err)
	}
	again := openBans(t, access.BansConfig{File: file}).List()
	if len(again) != 2 || again[0].Who != want[0].Who || again[0].By != "ops" || !again[0].Until.Equal(until) || !again[1].Until.IsZero() {
		t.Errorf("read back %+v", again)
	}
	if _, err := s.Delete(access.BanPeerHost, "192.0.2.0/24"); err != nil {
		t.Fatal(err)
	}
	if again := openBans(t, access.BansConfig{File: file}).List(); len(again) != 1 {
		t.Errorf("a lifted ban came back: %+v", again)
	}
	left, _ := os.ReadDir(filepath.Dir(file))
	if len(left) != 1 {
		t.Errorf("files are left behind: %v", left)
	}
}

// A file that is no banned list must not let in whom an operator shut out.
func TestCorruptBansAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"empty":     "",
		"cut short": `{"version":1,"bans":[{"as":"clientid","who":"x"`,
		"no list":   `[]`,
		"trailing":  `{"version":1,"bans":[]}{}`,
		"newer":     `{"version":2,"bans":[]}`,
		"unknown":   `{"version":1,"bans":[],"more":1}`,
		"bad kind":  `{"version":1,"bans":[{"as":"shoe","who":"x","at":"2026-01-01T00:00:00Z"}]}`,
		"bad time":  `{"version":1,"bans":[{"as":"clientid","who":"x","at":"yesterday"}]}`,
	} {
		file := filepath.Join(t.TempDir(), "banned.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := access.OpenBans(access.BansConfig{File: file}); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: error %v must name the file", name, err)
		}
	}
	if _, err := access.OpenBans(access.BansConfig{File: t.TempDir()}); err == nil {
		t.Error("a directory is not a list")
	}
}

// A ban that could not be written holds all the same, and the caller is told.
func TestBanThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := openBans(t, access.BansConfig{File: filepath.Join(dir, "banned.json")})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Add(access.Ban{As: access.BanClientID, Who: "c"}); err == nil || errors.Is(err, access.ErrBan) {
		t.Errorf("error %v", err)
	}
	if _, banned := s.Check(named("c", "", "127.0.0.1:1"), 0); !banned {
		t.Error("the ban does not hold")
	}
}

func TestBansEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var ended []access.Ban
		file := filepath.Join(t.TempDir(), "banned.json")
		s := openBans(t, access.BansConfig{File: file, Removed: func(b []access.Ban) {
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, b...)
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		soon := []access.Ban{
			{As: access.BanClientID, Who: "c", Until: time.Now().Add(90 * time.Second)},
			{As: access.BanPeerHost, Who: "192.0.2.1", Until: time.Now().Add(90 * time.Second)},
			{As: access.BanUsername, Who: "u"},
		}
		if err := s.AddSoon(soon...); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(openBans(t, access.BansConfig{File: file}).List()); n != 3 {
			t.Errorf("%d bans on disk, want 3", n)
		}
		<-time.After(89 * time.Second)
		if _, banned := s.Check(named("c", "", "127.0.0.1:1"), time.Now().UnixNano()); !banned {
			t.Error("the ban ended early")
		}
		<-time.After(time.Second)
		if _, banned := s.Check(named("c", "", "192.0.2.1:1"), time.Now().UnixNano()); banned || len(s.List()) != 1 {
			t.Error("the ban did not end")
		}
		<-time.After(time.Minute)
		synctest.Wait()
		mu.Lock()
		if len(ended) != 2 || s.Len() != 1 {
			t.Errorf("swept %+v", ended)
		}
		mu.Unlock()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := len(openBans(t, access.BansConfig{File: file}).List()); n != 1 {
			t.Errorf("%d bans on disk, want 1", n)
		}
	})
}

func TestBansTogether(t *testing.T) {
	s := openBans(t, access.BansConfig{File: filepath.Join(t.TempDir(), "banned.json")})
	var g sync.WaitGroup
	for i := range 4 {
		g.Go(func() {
			for j := range 10 {
				who := fmt.Sprintf("%d/%d", i, j)
				if err := s.Add(access.Ban{As: access.BanClientID, Who: who}); err != nil {
					t.Error(err)
				}
				if _, banned := s.Check(named(who, "", "127.0.0.1:1"), 0); !banned {
					t.Errorf("%s is not banned", who)
				}
				if ok, err := s.Delete(access.BanClientID, who); !ok || err != nil {
					t.Errorf("delete %s: %v %v", who, ok, err)
				}
			}
		})
	}
	g.Wait()
	if s.Len() != 0 {
		t.Errorf("%d bans are left", s.Len())
	}
}

// An empty list, and one without the client, cost a CONNECT no allocation.
func TestCheckDoesNotAllocate(t *testing.T) {
	s := openBans(t, access.BansConfig{})
	c := named("c", "u", "192.0.2.1:1")
	check := func() { s.Check(c, 1) }
	if n := testing.AllocsPerRun(100, check); n != 0 {
		t.Errorf("%v allocations with an empty list", n)
	}
	if err := s.Add(access.Ban{As: access.BanClientID, Who: "x"}, access.Ban{As: access.BanPeerHost, Who: "10.0.0.0/8"}); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, check); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
