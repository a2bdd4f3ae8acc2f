package plugintool

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Language is one language that plugins are written in.
type Language struct {
	Name    string
	Main    string // the file that makes a folder one of this language
	Process bool   // makes a process, not a module

	sdk     string   // glob of the SDK's files below pluginsdk
	sdkDir  string   // where a new plugin has them
	example string   // of the example's source below pluginsdk; %s: its name
	replace []string // in the example: old, new
	files   map[string]string
	tools   []tool
	command func(*build) ([]string, error)
}

// tool is a program that a build needs.
type tool struct {
	name    string
	needed  string // how to get it
	install bool   // looked for in node_modules too
}

// Languages are those that the tool knows, in the order in which they are told.
func Languages() []Language {
	return []Language{
		{Name: "go", Main: "main.go", example: "examples/%s/go/main.go", sdkDir: "sdk", command: buildGo, tools: []tool{{name: "go", needed: "Go 1.26 or later (https://go.dev/dl)"}}},
		{Name: "assemblyscript", Main: "plugin.ts", sdk: "assemblyscript/*.ts", sdkDir: "sdk", example: "assemblyscript/examples/%s.ts", replace: []string{`"../`, `"./sdk/`},
			files: map[string]string{"package.json": packageJSON(`"devDependencies": {"assemblyscript": "^0.28.20"}`)}, command: buildAssembly,
			tools: []tool{{name: "asc", needed: "npm install (the package assemblyscript)", install: true}}},
		{Name: "c", Main: "plugin.c", sdk: "c/*.h", sdkDir: "sdk", example: "c/examples/%s.c", command: buildC, tools: []tool{
			{name: "clang", needed: "apt-get install clang"}, {name: "wasm-ld", needed: "apt-get install lld"}}},
		{Name: "rust", Main: "plugin.rs", sdk: "rust/*.rs", sdkDir: "sdk", example: "rust/examples/%s.rs", replace: []string{`"../`, `"sdk/`}, command: buildRust,
			tools: []tool{{name: "wasm-ld", needed: "apt-get install lld"}}},
		{Name: "node", Main: "plugin.js", Process: true, sdk: "node/*.js", sdkDir: "sdk", example: "node/examples/%s.js", replace: []string{`"../`, `"./sdk/`}, command: buildNode,
			files: map[string]string{"package.json": packageJSON(`"dependencies": {"@grpc/grpc-js": "^1.14.0"},
  "devDependencies": {"esbuild": "^0.28.0"}`)},
			tools: []tool{{name: "node", needed: "apt-get install nodejs"}, {name: "esbuild", needed: "npm install (the package esbuild)", install: true}}},
		{Name: "python", Main: "plugin.py", Process: true, sdk: "python/dunlin/*.py", sdkDir: "dunlin", example: "python/examples/%s.py",
			tools: []tool{{name: "python3", needed: "apt-get install python3"}}},
	}
}

func packageJSON(deps string) string {
	return "{\n  \"name\": \"@NAME@\",\n  \"private\": true,\n  " + deps + "\n}\n"
}

// LanguageNames lists the names.
func LanguageNames() (names []string) {
	for _, l := range Languages() {
		names = append(names, l.Name)
	}
	return names
}

func language(name string) (*Language, error) {
	list := Languages()
	i := slices.IndexFunc(list, func(l Language) bool { return l.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no language %q; there are %s", name, strings.Join(LanguageNames(), ", "))
	}
	return &list[i], nil
}

// languageOf finds out what the plugin in dir is written in.
func languageOf(dir string) (*Language, error) {
	list := Languages()
	var mains []string
	for i := range list {
		if _, err := os.Stat(filepath.Join(dir, list[i].Main)); err == nil {
			return &list[i], nil
		}
		mains = append(mains, list[i].Main)
	}
	return nil, fmt.Errorf("%s: there is no source: looked for %s; `dunlin plugin new` makes a plugin", dir, strings.Join(mains, ", "))
}

// build is one build under way.
type build struct {
	dir, out string
	process  bool
	env      []string
	paths    map[string]string // of tools by name
}

// find looks for the tools of the language and names all that are missing.
func (l *Language) find(dir string) (map[string]string, error) {
	paths := map[string]string{}
	var missing []string
	for _, t := range l.tools {
		path, err := t.find(dir)
		if err != nil {
			missing = append(missing, fmt.Sprintf("%s: %s", t.name, t.needed))
			continue
		}
		paths[t.name] = path
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("a plugin in %s needs what this machine does not have: %s", l.Name, strings.Join(missing, "; "))
	}
	return paths, nil
}

// find looks into node_modules from dir upwards, then on the PATH.
func (t *tool) find(dir string) (string, error) {
	if t.install {
		for at := dir; ; at = filepath.Dir(at) {
			path := filepath.Join(at, "node_modules", ".bin", t.name)
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
			if at == filepath.Dir(at) {
				break
			}
		}
	}
	return exec.LookPath(t.name)
}

func buildGo(b *build) ([]string, error) {
	args := []string{"go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.out}
	if !b.process {
		b.env = append(b.env, "GOOS=wasip1", "GOARCH=wasm")
		args = append(args, "-buildmode=c-shared")
	}
	return append(args, "."), nil
}

func buildC(b *build) ([]string, error) {
	return []string{"clang", "--target=wasm32", "-O2", "-nostdlib", "-mbulk-memory", "-Wall", "-Isdk",
		"-Wl,--no-entry,--stack-first,--strip-all", "-o", b.out, "plugin.c"}, nil
}

func buildAssembly(b *build) ([]string, error) {
	return []string{"asc", "plugin.ts", "-O3", "--runtime", "incremental", "--exportStart", "_initialize", "--use", "abort=sdk/dunlin/abort", "-o", b.out}, nil
}

func buildNode(b *build) ([]string, error) {
	return []string{"esbuild", "plugin.js", "--bundle", "--platform=node", "--log-level=warning", "--outfile=" + b.out,
		"--banner:js=#!/usr/bin/env -S node --preserve-symlinks-main"}, nil
}

// buildRust looks for a rustc that has the library of the target: Debian's is in
// a package of its own, and a rustup toolchain often lacks it.
func buildRust(b *build) ([]string, error) {
	const target = "wasm32-unknown-unknown"
	for _, name := range []string{"rustc", "/usr/bin/rustc"} {
		out, err := exec.Command(name, "--print", "target-libdir", "--target", target).Output()
		if err != nil {
			continue
		}
		if files, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "libstd-*")); len(files) > 0 {
			b.paths["rustc"] = name
			return []string{"rustc", "--edition", "2021", "--crate-type", "cdylib", "--target", target, "-O", "-C", "panic=abort", "-C", "lto",
				"-C", "strip=symbols", "-C", "linker=wasm-ld", "-o", b.out, "plugin.rs"}, nil
		}
	}
	return nil, fmt.Errorf("a plugin in rust needs what this machine does not have: rustc with the target %s: apt-get install rustc libstd-rust-dev-wasm32", target)
}

// executable is the name of a process's file on this system.
func executable(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}
