package wasm

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/tetratelabs/wazero/api"
	"go.uber.org/zap"
)

// Error numbers of WASI preview 1.
const (
	wasiOK     = 0
	wasiBadf   = 8
	wasiFault  = 21
	wasiInval  = 28
	wasiNoSys  = 52
	wasiNotSup = 58
)

// Bounds on what one WASI call may ask for.
const (
	maxRandom = 1 << 20 // bytes
	maxIovecs = 1024
	maxEvents = 1024
	maxLine   = 8 << 10 // bytes of a line on stdout or stderr; longer ones are cut
)

// wasi is WASI preview 1 as guests get it: the clock, random numbers, stdout
// and stderr into the plugin's log, no arguments, no environment, no files and
// no sockets. Functions that are not offered answer ENOSYS, so that the runtimes
// of languages start which import them and live without.
var wasi = buildWASI()

func buildWASI() map[string]hostFunc {
	m := map[string]hostFunc{}
	for name, params := range map[string]string{
		"fd_advise": "iIIi", "fd_allocate": "iII", "fd_datasync": "i",
		"fd_fdstat_set_rights": "iII", "fd_filestat_get": "ii",
		"fd_filestat_set_size": "iI", "fd_filestat_set_times": "iIIi", "fd_pread": "iiiIi",
		"fd_pwrite": "iiiIi", "fd_readdir": "iiiIi", "fd_renumber": "ii", "fd_sync": "i", "fd_tell": "ii",
		"path_create_directory": "iii", "path_filestat_get": "iiiii", "path_filestat_set_times": "iiiiIIi",
		"path_link": "iiiiiii", "path_open": "iiiiiIIii", "path_readlink": "iiiiii",
		"path_remove_directory": "iii", "path_rename": "iiiiii", "path_symlink": "iiiii",
		"path_unlink_file": "iii", "proc_raise": "i",
		"sock_accept": "iii", "sock_recv": "iiiiii", "sock_send": "iiiii", "sock_shutdown": "ii",
	} {
		m[name] = wasiFunc(params, func(*guest, []uint64) uint32 { return wasiNoSys })
	}
	for name, params := range map[string]string{
		"fd_close": "i", "fd_prestat_get": "ii", "fd_prestat_dir_name": "iii", "fd_read": "iiii", "fd_seek": "iIii",
	} {
		m[name] = wasiFunc(params, func(*guest, []uint64) uint32 { return wasiBadf })
	}
	ok := func(*guest, []uint64) uint32 { return wasiOK }
	m["args_get"], m["environ_get"] = wasiFunc("ii", ok), wasiFunc("ii", ok)
	m["args_sizes_get"], m["environ_sizes_get"] = wasiFunc("ii", noStrings), wasiFunc("ii", noStrings)
	m["sched_yield"], m["fd_fdstat_set_flags"] = wasiFunc("", ok), wasiFunc("ii", ok)
	m["fd_fdstat_get"] = wasiFunc("ii", fdStat)
	m["fd_write"] = wasiFunc("iiii", fdWrite)
	m["clock_time_get"] = wasiFunc("iIi", clockTime)
	m["clock_res_get"] = wasiFunc("ii", clockRes)
	m["random_get"] = wasiFunc("ii", randomGet)
	m["poll_oneoff"] = wasiFunc("iiii", pollOneoff)
	m["proc_exit"] = hostFunc{sig(i32), func(_ *guest, s []uint64) {
		panic(exitError(uint32(s[0]))) // the engine turns it into the call's error
	}}
	return m
}

// wasiFunc is a function that returns an error number. In params, i stands for
// i32 and I for i64.
func wasiFunc(params string, fn func(*guest, []uint64) uint32) hostFunc {
	types := make([]api.ValueType, len(params))
	for i, c := range params {
		if types[i] = i32; c == 'I' {
			types[i] = i64
		}
	}
	return hostFunc{sig(types...).returns(i32), func(g *guest, s []uint64) { s[0] = uint64(fn(g, s)) }}
}

func fault(ok bool) uint32 {
	if !ok {
		return wasiFault
	}
	return wasiOK
}

// noStrings answers for arguments and environment: none, in no bytes.
func noStrings(g *guest, s []uint64) uint32 {
	return fault(g.mem.WriteUint32Le(uint32(s[0]), 0) && g.mem.WriteUint32Le(uint32(s[1]), 0))
}

func fdStat(g *guest, s []uint64) uint32 {
	if fd := uint32(s[0]); fd > 2 {
		return wasiBadf
	}
	var stat [24]byte
	stat[0] = 2                                   // a character device
	binary.LittleEndian.PutUint64(stat[8:], 1<<6) // the right to write
	return fault(g.mem.Write(uint32(s[1]), stat[:]))
}

func clockTime(g *guest, s []uint64) uint32 {
	if uint32(s[0]) > 3 {
		return wasiInval
	}
	now := uint64(g.now().UnixNano())
	if uint32(s[0]) != 0 { // any but the wall clock
		now = uint64(time.Since(epoch))
	}
	return fault(g.mem.WriteUint64Le(uint32(s[2]), now))
}

// epoch is the start of the monotonic clock that guests see.
var epoch = time.Now().Add(-time.Hour)

func clockRes(g *guest, s []uint64) uint32 {
	if uint32(s[0]) > 3 {
		return wasiInval
	}
	return fault(g.mem.WriteUint64Le(uint32(s[1]), 1000))
}

func randomGet(g *guest, s []uint64) uint32 {
	if uint32(s[1]) > maxRandom {
		return wasiInval
	}
	b, ok := g.mem.Read(uint32(s[0]), uint32(s[1]))
	if !ok {
		return wasiFault
	}
	g.pay(int64(len(b)))
	_, _ = rand.Read(b) // never fails
	return wasiOK
}

// fdWrite takes what a guest prints, line by line, into the plugin's log.
func fdWrite(g *guest, s []uint64) uint32 {
	fd, list, n := uint32(s[0]), uint32(s[1]), uint32(s[2])
	if fd != 1 && fd != 2 {
		return wasiBadf
	}
	if n > maxIovecs {
		return wasiInval
	}
	vecs, ok := g.mem.Read(list, n*8)
	if !ok {
		return wasiFault
	}
	total := uint32(0)
	for ; len(vecs) > 0; vecs = vecs[8:] {
		b, ok := g.bytes(uint64(binary.LittleEndian.Uint32(vecs)), uint64(binary.LittleEndian.Uint32(vecs[4:])))
		if !ok || total+uint32(len(b)) < total {
			return wasiFault
		}
		total += uint32(len(b))
		g.print(fd, b)
	}
	return fault(g.mem.WriteUint32Le(uint32(s[3]), total))
}

// print collects lines. What stderr says is also the message of a fault.
func (g *guest) print(fd uint32, b []byte) {
	if fd == 2 {
		g.said.write(b)
	}
	for len(b) > 0 {
		line, rest, ended := bytes.Cut(b, []byte{'\n'})
		if room := maxLine - len(g.line); room > 0 {
			g.line = append(g.line, line[:min(room, len(line))]...)
		}
		if b = rest; ended {
			g.pay(logUnits) // a line in the log
			g.flushLine()
		}
	}
}

// flushLine logs the line that the guest has written so far.
func (g *guest) flushLine() {
	if len(g.line) == 0 {
		return
	}
	g.p.log.Info(clean(g.line, maxText), zap.String("from", "output"))
	g.line = g.line[:0]
}

// Layout of subscriptions and events of poll_oneoff.
const (
	subscriptionSize = 48
	eventSize        = 32
)

// pollOneoff answers that everything it was asked to wait for has happened. It
// does not sleep: a guest that sleeps would hold its connection's thread. What
// waits in a loop for time to pass runs out of fuel.
func pollOneoff(g *guest, s []uint64) uint32 {
	in, out, n := uint32(s[0]), uint32(s[1]), uint32(s[2])
	if n == 0 || n > maxEvents {
		return wasiInval
	}
	subs, ok := g.mem.Read(in, n*subscriptionSize)
	if !ok {
		return wasiFault
	}
	events, ok := g.mem.Read(out, n*eventSize)
	if !ok {
		return wasiFault
	}
	g.pay(int64(n))
	done := make([]byte, len(events))
	for i := range int(n) {
		sub, ev := subs[i*subscriptionSize:], done[i*eventSize:]
		copy(ev, sub[:8]) // user data
		if sub[8] != 0 {  // not a clock
			binary.LittleEndian.PutUint16(ev[8:], wasiNotSup)
		}
		ev[10] = sub[8]
	}
	copy(events, done)
	return fault(g.mem.WriteUint32Le(uint32(s[3]), n))
}
