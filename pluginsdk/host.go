package sdk

import (
	"sync"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Errors of host calls; errors.Is works with them.
const (
	ErrNotFound = contract.ErrnoNotFound
	ErrDenied   = contract.ErrnoDenied
	ErrQuota    = contract.ErrnoQuota
	ErrInvalid  = contract.ErrnoInvalid
)

// Level is how much a log line matters.
type Level int32

// The levels.
const (
	Debug Level = Level(contract.LogDebug)
	Info  Level = Level(contract.LogInfo)
	Warn  Level = Level(contract.LogWarn)
	Error Level = Level(contract.LogError)
)

// Log writes a line to the plugin's log. The broker limits the rate.
func Log(level Level, text string) { hostLog(int32(level), text) }

// Publish publishes a message as the plugin's own (capability "publish"). It
// leaves when the handler has returned. The error is [ErrInvalid] for a bad
// topic, QoS or properties, [ErrQuota] when the plugin publishes too much. A
// process does not wait for the broker, so there ErrQuota is about a message
// before this one.
func Publish(m Message) error {
	publishing.Lock()
	defer publishing.Unlock()
	publishWriter.Reset(nil)
	appendMessage(&publishWriter, &m)
	return errnoOf(hostPublish(publishWriter.Frame()))
}

// publishWriter is reused by Publish, which goroutines of a process may call too.
var (
	publishing    sync.Mutex
	publishWriter contract.Writer // guarded by publishing
)

// Kept is how many messages of the plugin's topic store match the filter; all
// of them with "", which costs nothing (capability "topicstore").
func Kept(filter string) (int, error) {
	n := hostCount(filter)
	if n < 0 {
		return 0, contract.Errno(n)
	}
	return int(n), nil
}

// AddCounter adds v to the plugin's counter id (capability "metric").
func AddCounter(id uint32, v float64) { hostMetric(id, contract.MetricCounter, v) }

// SetGauge sets the plugin's gauge id to v (capability "metric").
func SetGauge(id uint32, v float64) { hostMetric(id, contract.MetricGauge, v) }

// Count adds v to the plugin's counter of a name: 1 to 256 bytes of UTF-8 without
// control characters (capability "metric"). [ErrInvalid], [ErrQuota]: a plugin has
// at most 8,192 metrics.
func Count(name string, v float64) error {
	return errnoOf(hostMetricNamed(name, contract.MetricCounter, v))
}

// Measure sets the plugin's gauge of a name to v; see [Count].
func Measure(name string, v float64) error {
	return errnoOf(hostMetricNamed(name, contract.MetricGauge, v))
}

// RemoveMetric removes the counter or gauge of a name. [ErrNotFound].
func RemoveMetric(name string) error {
	return errnoOf(hostMetricNamed(name, contract.MetricRemove, 0))
}

// Want says which topics a hook is called for from now on, of those that the
// manifest allows; the manifest has to call the hook dynamic. With no filter the
// hook is off; where events have no topic, any filter turns it on. What Configure
// wants holds from the first event on. The filters are the plugin's and not an
// instance's: a module with several instances wants the same in each, or has
// state = "shared". [ErrDenied]: the hook is not dynamic; [ErrInvalid]: a bad filter;
// [ErrQuota]: more than contract.MaxWanted.
func Want(h contract.Hook, filters []string) error { return hostWant(h, filters) }

// Refuse says for which topics a plugin of the hook message has no room now: messages
// to them are refused to their publishers, with 0x97 where they have QoS 1 or 2, until
// another list takes the place of this one. Others go on: it is for a plugin that
// keeps messages for several destinations of which one is full. It may be called by
// any goroutine. Processes only, once the broker has opened the stream; errors as
// those of Want.
func Refuse(h contract.Hook, filters []string) error { return hostRefuse(h, filters) }

// filterList is how filters are handed to the host.
func filterList(filters []string) (list []byte, err error) {
	for _, f := range filters {
		if len(f) > 65535 {
			return nil, ErrInvalid
		}
		list = contract.AppendFilter(list, f)
	}
	return list, nil
}

// DataDir is a directory of the plugin's own that outlives the process and the
// broker, with mode 0700; a plugin keeps there what must not be lost. "" for a
// module. It is known from Configure on. While a reload hands over, the old
// process may still have files open there: lock what must not be shared.
func DataDir() string { return dirs.data }

// ConfigDir is the directory of the operator's file, where relative paths in it
// start; "" for a module. It is known from Configure on.
func ConfigDir() string { return dirs.config }

var dirs struct{ data, config string }

// Node is the broker's node name. It is known from Configure on.
func Node() string { return node }

var node string

// Granted tells whether the broker has what a plugin that relies on f needs. It is
// known from Configure on, which is the place to refuse an older broker.
func Granted(f contract.Features) bool { return features.Has(f) }

var features contract.Features

func errnoOf(result int32) error {
	if result < 0 {
		return contract.Errno(result)
	}
	return nil
}
