package main

import (
	"bytes"
	"go/constant"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

func layoutOf(t *testing.T) *layout {
	t.Helper()
	l, err := read("../contract")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// What is committed is what the contract says today.
func TestGeneratedFilesAreFresh(t *testing.T) {
	files, err := generate("..")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("pluginsdk/%s is not what the contract says (%v): run make generate", name, err)
		}
	}
}

// Every hook, slot and extension of the contract is in the layout.
func TestLayoutIsWhole(t *testing.T) {
	l := layoutOf(t)
	if len(l.Hooks) != len(contract.Hooks()) {
		t.Fatalf("%d hooks of %d", len(l.Hooks), len(contract.Hooks()))
	}
	for _, h := range l.Hooks {
		if len(h.Slots) != contract.Hook(h.Number).NumSlots() || h.group == "" {
			t.Errorf("%s: %d slots, group %q", h.Name, len(h.Slots), h.group)
		}
		if h.Name == "acl" && (strings.Join(h.Actions, " ") != "next allow deny pending" || len(h.Reasons) == 0 || len(h.Exts) < 3) {
			t.Errorf("acl: %+v", h)
		}
	}
	kinds := map[string]map[string]int64{}
	for kind, ns := range l.Constants {
		kinds[kind] = map[string]int64{}
		for _, n := range ns {
			if _, twice := kinds[kind][n.Name]; twice {
				t.Errorf("%s %s is there twice", kind, n.Name)
			}
			kinds[kind][n.Name] = n.Value
		}
	}
	for _, want := range []struct {
		kind, name string
		value      int64
	}{
		{"ext", "cache_filter", 19}, {"ext", "client_id", 18}, {"action", "rewrite", 5}, {"slot", "auth_state", 17}, {"flag", "qos", 3},
		{"reason", "not_authorized", 0x87}, {"errno", "quota", -3}, {"size", "header", 32}, {"size", "verdict", 16},
		{"kind", "hostreply", 5}, {"call", "kv_cas", 13}, {"permit", "qos2", 0x20}, {"hook", "session_taken_over", 22}, {"cache", "connection", 2},
	} {
		if got, ok := kinds[want.kind][want.name]; !ok || got != want.value {
			t.Errorf("%s %s = %d, %v; want %d", want.kind, want.name, got, ok, want.value)
		}
	}
}

// The signatures of imports come out of the comments beside their names.
func TestSignatures(t *testing.T) {
	want := map[string]string{
		"dunlin_kv.cas": "i32 i32 i32 i32 i32 i32 -> i32", "dunlin_kv.set": "i32 i32 i32 i32 i64 -> i32", "dunlin_kv.incr": "i32 i32 i64 -> i64",
		"dunlin_metric.add": "i32 i32 f64 -> ", "dunlin_time.now": " -> i64", "dunlin_topicstore.put": "i32 i64 -> i32",
		"dunlin_topicstore.count": "i32 i32 -> i32", "dunlin_log.write": "i32 i32 i32 -> ",
	}
	for _, f := range layoutOf(t).Imports {
		name := f.Module + "." + f.Name
		if w, ok := want[name]; ok && strings.Join(f.Params, " ")+" -> "+f.Result != w {
			t.Errorf("%s is %v -> %s, want %s", name, f.Params, f.Result, w)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("not in the layout: %v", want)
	}
	var l layout
	if err := l.add(named{name: "ImportX", doc: "no signature", value: constant.MakeString("x")}); err == nil {
		t.Error("a comment without a signature was accepted")
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{
		"ClientID": "client_id", "SubIDsNotSupported": "sub_ids_not_supported", "QoS2": "qos2", "QoS": "qos", "KVGet": "kv_get", "DN": "dn",
		"MaxRecordsWASM": "max_records_wasm", "SessionTakenOver": "session_taken_over", "ACLTenant": "acl_tenant", "MessageID": "message_id",
	} {
		if got := snake(in); got != want {
			t.Errorf("snake(%s) = %s, want %s", in, got, want)
		}
	}
	if camel("client_id") != "clientId" || pascal("auth_data") != "AuthData" {
		t.Error(camel("client_id"), pascal("auth_data"))
	}
}
