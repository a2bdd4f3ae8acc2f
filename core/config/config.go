package config

import (
	"time"

	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/listener"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/sys"
)

// Config is everything that the layers say, with the defaults filled in.
// It is frozen: nobody writes it after [Load] has returned it.
type Config struct {
	// File is the file that was read; "" when all values are defaults.
	File string
	// Home is the directory that relative paths of the file start from, but for
	// those that Dirs speaks of. Paths in this struct are already absolute.
	Home string
	Dirs Dirs // complete

	Node      Node
	Listeners []listener.Config        // ordered by protocol and name
	Zones     map[string]*channel.Zone // has the zone of each listener
	Router    router.Config
	Disk      Disk
	Store     TopicStore
	Plugins   Plugins
	Access    Access
	Memory    sys.MemoryConfig
	Alarms    sys.AlarmsConfig
	Sys       sys.Config
	Log       Log

	values []Value
}

// Node names this broker and its files.
type Node struct {
	Name    string // appears in $SYS/brokers/<name>/
	DataDir string // state of the node: the store, the banned list, the admin socket
}

// Disk bounds the store of what survives a restart, in store/ of the data
// directory.
type Disk struct {
	SyncInterval time.Duration // how long what is acknowledged with durability async may be unsynced
	MaxBytes     int64         // on the disk, beyond which nothing durable is taken; 0: no limit
	MinFree      int64         // on the disk for others, below which nothing durable is taken; 0: no limit
	CacheBytes   int64         // of memory for what is read back
}

// TopicStore bounds the store of retained messages.
type TopicStore struct {
	MaxMessages int   // 0: no limit
	MaxBytes    int64 // of topics, payloads and properties; 0: no limit
}

// Plugins says where plugins are found and what they may use together.
type Plugins struct {
	Dirs         []string // searched in order for <name>/plugin.toml
	EtcDir       string   // <name>.toml: grants, overrides and the plugin's own keys
	Loaded       string   // the loaded_plugins file
	CacheDir     string   // compiled WASM modules; private to the node
	Trust        manifest.Trust
	TrustedKeys  []string // Trust.Keys as they are written
	MemoryBudget int64    // bytes of linear memory of all WASM instances together
}

// Log says what is logged and where to.
type Log struct {
	Level  string // debug, info, warning or error
	Format string // text or json
	File   string // appended to; "": not to a file
	// Console logs to standard error.
	Console bool
	// File is moved to <File>.1 before it passes RotateSize bytes, .1 to .2 and so
	// on; RotateCount of them are kept.
	RotateSize  int64
	RotateCount int

	toFile bool
}
