package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// envPrefix begins the names of variables that are keys: parts of a key are
// joined with __, in capitals (emqx4's EMQX_ rule).
const envPrefix = "DUNLIN_"

// fileSuffix at the end of a variable's name says that the value is in a file.
const fileSuffix = "_FILE"

// environment takes the variables that are keys, by name.
func (r *reader) environment(env []string) {
	env = slices.Sorted(slices.Values(env))
	seen := map[string]string{} // key to variable
	for _, e := range env {
		name, text, ok := strings.Cut(e, "=")
		rest, ours := strings.CutPrefix(name, envPrefix)
		if !ok || !ours {
			continue
		}
		from := Origin{Layer: LayerEnv, Name: name}
		path := strings.Split(strings.ToLower(rest), "__")
		if len(path) == 1 && !slices.Contains(rootKeys, strings.TrimSuffix(path[0], strings.ToLower(fileSuffix))) {
			r.oneWord(path[0], from)
			continue
		}
		if stem, ok := strings.CutSuffix(rest, fileSuffix); ok && !exists(path) {
			path = strings.Split(strings.ToLower(stem), "__")
			content, err := os.ReadFile(text)
			if err != nil {
				r.faultOf(leaf{path: path, from: from, layer: r.layer}, "%v", err)
				continue
			}
			text = strings.TrimRight(string(content), "\r\n")
		}
		if other, twice := seen[joinPath(path)]; twice {
			r.faultOf(leaf{path: path, from: from, layer: r.layer}, "is set by %s too", other)
			continue
		}
		seen[joinPath(path)] = name
		r.add(path, textValue(text), from)
	}
}

// oneWord looks at a variable without __ that is no key. Others use the prefix
// too (Kubernetes for the address of a service called dunlin), so it is a fault
// only if it is nearly a key.
func (r *reader) oneWord(word string, from Origin) {
	hint := ""
	if near, ok := nearest(word, rootKeys); ok {
		hint = near
	}
	for _, key := range flatKeys() {
		if strings.ReplaceAll(key, ".", "_") == word {
			hint = strings.ReplaceAll(key, ".", "__")
		}
	}
	if hint != "" {
		r.faults = append(r.faults, Fault{File: from.Name, layer: r.layer, Text: fmt.Sprintf("is not a key; did you mean %s%s?", envPrefix, strings.ToUpper(hint))})
	}
}

// flatKeys are the keys of the sections that exist once, of mqtt and of the
// standard listeners and zones.
func flatKeys() (keys []string) {
	for _, g := range schema() {
		for _, row := range g.rows {
			for _, at := range g.examples {
				keys = append(keys, at+"."+row.name)
			}
		}
	}
	return keys
}
