// Package dunlin holds the sources of the plugin SDKs, so that `dunlin plugin
// new` makes folders that build without a download. It refuses to hold code.
package dunlin

import "embed"

// SDK is the folder pluginsdk as it was when the broker was built: the SDK of
// each language, the examples and their scenarios. GoMod is go.mod.
//
//go:embed pluginsdk/*.go pluginsdk/contract/*.go pluginsdk/contract/pluginpb/*.go pluginsdk/flatjson/*.go
//go:embed pluginsdk/c/*.h pluginsdk/c/examples/*.c pluginsdk/rust/*.rs pluginsdk/rust/examples/*.rs
//go:embed pluginsdk/assemblyscript/*.ts pluginsdk/assemblyscript/examples/*.ts
//go:embed pluginsdk/node/*.js pluginsdk/node/examples/*.js pluginsdk/python/dunlin/*.py pluginsdk/python/examples/*.py
//go:embed pluginsdk/examples
var SDK embed.FS

// GoMod is the go.mod of the broker, for the versions of what a Go process needs.
//
//go:embed go.mod
var GoMod string
