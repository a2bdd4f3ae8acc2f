package plugintool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/dunlinmq/dunlin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
)

// Examples are what a new plugin can begin with.
func Examples() []string { return []string{"auth", "acl", "rewrite"} }

// New makes a folder of the plugin name in a language, from one of the examples:
// source, manifest, scenario and the SDK. It builds without a download, but for
// what npm brings.
func New(dir, name, lang, example string) error {
	if err := manifest.CheckName(name); err != nil {
		return err
	}
	l, err := language(lang)
	if err != nil {
		return err
	}
	if !slices.Contains(Examples(), example) {
		return fmt.Errorf("there is no example %q; there are %s", example, strings.Join(Examples(), ", "))
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists already", dir)
	}
	files, err := l.scaffold(name, example)
	if err != nil {
		return err
	}
	for rel, text := range files {
		to := filepath.Join(dir, filepath.FromSlash(rel))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

var exampleName = regexp.MustCompile(`(?m)^name = "[^"]*"`)

// scaffold lists the files of a new plugin by their path.
func (l *Language) scaffold(name, example string) (map[string][]byte, error) {
	files := map[string][]byte{}
	source, err := dunlin.SDK.ReadFile("pluginsdk/" + fmt.Sprintf(l.example, example))
	if err != nil {
		return nil, err
	}
	text := strings.NewReplacer(l.replace...).Replace(string(source))
	text = regexp.MustCompile(`(name: |name, version = )"[^"]*"`).ReplaceAllString(text, `${1}"`+name+`"`)
	files[l.Main] = []byte(text)
	for _, f := range []string{"plugin.toml", "schema.json", "scenario.toml"} {
		text, err := dunlin.SDK.ReadFile("pluginsdk/examples/" + example + "/" + f)
		if errors.Is(err, fs.ErrNotExist) {
			continue // an example without a configuration
		}
		if f == "plugin.toml" {
			text = rename(text, name)
		}
		files[f] = text
	}
	for f, text := range l.files {
		files[f] = []byte(strings.ReplaceAll(text, "@NAME@", name))
	}
	files[".gitignore"] = []byte("/build/\n/node_modules/\n__pycache__/\n")
	files["README.md"] = []byte(l.readme(name, example))
	return files, l.addSDK(files, name)
}

// rename renames the plugin of a manifest and leaves the names of its hooks.
func rename(text []byte, name string) []byte {
	at := exampleName.FindIndex(text)
	return slices.Concat(text[:at[0]], []byte(`name = "`+name+`"`), text[at[1]:])
}

// addSDK adds the SDK's files.
func (l *Language) addSDK(files map[string][]byte, name string) error {
	if l.Name == "go" {
		return addGo(files, name)
	}
	list, err := fs.Glob(dunlin.SDK, "pluginsdk/"+l.sdk)
	if err != nil {
		return err
	}
	for _, f := range list {
		text, err := dunlin.SDK.ReadFile(f)
		if err != nil {
			return err
		}
		files[l.sdkDir+"/"+path.Base(f)] = text
	}
	return nil
}

const goModule = "github.com/dunlinmq/dunlin"

var required = regexp.MustCompile(`(?m)^\t((?:github\.com/hashicorp/go-(?:plugin|hclog)|google\.golang\.org/(?:grpc|protobuf)) v\S+)$`)

// addGo adds the Go SDK as a module of its own beside the plugin's, so that a
// module is built without a download.
func addGo(files map[string][]byte, name string) error {
	for _, dir := range []string{"pluginsdk", "pluginsdk/contract", "pluginsdk/contract/pluginpb", "pluginsdk/flatjson"} {
		list, err := fs.Glob(dunlin.SDK, dir+"/*.go")
		if err != nil {
			return err
		}
		for _, f := range list {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			text, err := dunlin.SDK.ReadFile(f)
			if err != nil {
				return err
			}
			files["sdk/"+f] = text
		}
	}
	version := regexp.MustCompile(`(?m)^go \S+$`).FindString(dunlin.GoMod)
	var needs strings.Builder
	for _, m := range required.FindAllStringSubmatch(dunlin.GoMod, -1) {
		needs.WriteString("\t" + m[1] + "\n")
	}
	files["sdk/go.mod"] = []byte("module " + goModule + "\n\n" + version + "\n\nrequire (\n" + needs.String() + ")\n")
	files["go.mod"] = []byte("module " + name + "\n\n" + version + "\n\nrequire " + goModule + " v0.0.0\n\nreplace " + goModule + " => ./sdk\n")
	return nil
}

// readme tells the author what to do next.
func (l *Language) readme(name, example string) string {
	artefact := "build/" + name + "/" + name
	if !l.Process {
		artefact += ".wasm"
	}
	npm := ""
	if l.files["package.json"] != "" {
		npm = "npm install\n"
	}
	return fmt.Sprintf("# %s\n\nA Dunlin plugin in %s, from the example %q.\n\n```\n%sdunlin plugin build\ndunlin plugin test %s scenario.toml\ndunlin plugin conform %s scenario.toml\n```\n\n"+
		"`%s` is the source, `plugin.toml` the manifest, `scenario.toml` the test: records in, verdicts out.\n", name, l.Name, example, npm, artefact, artefact, l.Main)
}
