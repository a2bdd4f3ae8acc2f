// Package config reads etc/dunlin.toml into one typed, frozen value. It owns
// the names of the keys, their defaults and their words (each package owns the
// struct that its keys fill), and finds every fault of a file at once, with its
// place. It refuses to open, start or create anything: what it returns is what
// the file says, and a file with a fault yields nothing.
package config

//go:generate go test -count=1 -run TestDocumentation . -rewrite
//go:generate go test -count=1 -run TestManPages ../../cmd/dunlin -rewrite
