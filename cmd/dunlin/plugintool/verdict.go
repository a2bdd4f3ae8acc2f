package plugintool

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// verdictOf shows a verdict as a scenario says it: what is absent is left out.
func verdictOf(v contract.Verdict) map[string]any {
	m := map[string]any{"action": v.Action.String()}
	if v.Reason != 0 {
		m["reason"] = int64(v.Reason)
	}
	if v.CacheTTL != 0 {
		m["cache_ttl_ms"] = int64(v.CacheTTL)
	}
	if s := v.Flags.CacheScope(); s != contract.CacheTopic {
		m["cache_scope"] = map[contract.VerdictFlags]string{contract.CacheFilter: "filter", contract.CacheConnection: "connection"}[s]
	}
	if v.Flags&contract.VerdictSuperuser != 0 {
		m["superuser"] = true
	}
	for x := contract.Ext(0); x < 64; x++ {
		if b, ok := v.Ext(x); ok {
			showExt(m, x, b, v)
		}
	}
	return m
}

// numbersOf are extensions that hold one number, by their name in scenarios.
var numbersOf = map[contract.Ext]string{
	contract.ExtExpiry: "expiry", contract.ExtThrottle: "throttle_ms", contract.ExtExpiresAt: "expires_at",
}

// textsOf are extensions that hold text or bytes.
var textsOf = map[contract.Ext]string{
	contract.ExtText: "text", contract.ExtPrincipal: "principal", contract.ExtTenant: "tenant", contract.ExtReply: "reply",
	contract.ExtState: "state", contract.ExtTopic: "topic", contract.ExtPayload: "payload",
	contract.ExtClientID: "client_id", contract.ExtCacheFilter: "cache_filter",
}

func showExt(m map[string]any, x contract.Ext, b []byte, v contract.Verdict) {
	if name := textsOf[x]; name != "" {
		m[name] = show(b)
		return
	}
	if name := numbersOf[x]; name != "" {
		if n, ok := v.Uint32(x); ok {
			m[name] = int64(n)
		} else if n, ok := v.Uint64(x); ok {
			m[name] = int64(n)
		}
		return
	}
	switch x {
	case contract.ExtAttributes:
		m["attributes"] = v.Attributes()
	case contract.ExtPermissions:
		list, _ := v.Permissions()
		lines := []any{}
		for _, p := range list {
			lines = append(lines, permission(p))
		}
		m["permissions"] = lines
	case contract.ExtFlags:
		n, _ := v.Uint64(x)
		mask, value := contract.Flags(n), contract.Flags(n>>32)
		if mask&contract.FlagQoS != 0 {
			m["qos"] = int64(value.QoS())
		}
		if mask&contract.FlagRetain != 0 {
			m["retain"] = value.Has(contract.FlagRetain)
		}
	case contract.ExtPending:
		_, ms, _ := v.Pending()
		m["within_ms"] = int64(ms)
	case contract.ExtPublishes:
		m["publishes"] = messages(b)
	case contract.ExtLimits:
		l, _ := v.Limits()
		for name, n := range map[string]uint32{
			"receive_max": l.ReceiveMax, "packet_size": l.PacketSize, "keep_alive": l.KeepAlive, "session_expiry": l.SessionExpiry,
		} {
			if n != contract.KeepLimit {
				m[name] = int64(n)
			}
		}
	case contract.ExtCodes:
		codes := []any{}
		for _, c := range b {
			codes = append(codes, int64(c))
		}
		m["codes"] = codes
	default:
		m[extName(x)] = "hex:" + hex.EncodeToString(b)
	}
}

// messages shows the publish records in b.
func messages(b []byte) []any {
	list := []any{}
	for len(b) > 0 {
		r, rest, err := contract.Split(b)
		if err != nil {
			break
		}
		list, b = append(list, message(r)), rest
	}
	return list
}

// extName names the extensions that are shown as bytes.
func extName(x contract.Ext) string {
	switch x {
	case contract.ExtProps:
		return "props"
	case contract.ExtFilters:
		return "filters"
	}
	return fmt.Sprintf("extension_%d", x)
}

// permission is one line of a permission list: "allow publish subscribe retain
// qos2 u/alice/#".
func permission(p contract.Permission) string {
	words := []string{"deny"}
	if p.Allow {
		words[0] = "allow"
	}
	for _, w := range []struct {
		on   bool
		word string
	}{{p.Publish, "publish"}, {p.Subscribe, "subscribe"}, {p.Retain, "retain"}, {p.Exact, "exact"}, {p.Any, "any"}} {
		if w.on {
			words = append(words, w.word)
		}
	}
	return strings.Join(append(words, fmt.Sprintf("qos%d", p.MaxQoS), p.Filter), " ")
}
