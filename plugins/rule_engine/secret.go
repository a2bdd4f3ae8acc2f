//go:build !wasip1

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/files"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/resource"
)

// maxSecret bounds a file named by ${file:...}.
const maxSecret = 64 << 10

// resourceSpec is a resource of a file with its secrets put in: ${file:PATH} in a
// text of config, where a relative path starts in the folder of the rules.
func (e *Engine) resourceSpec(id string, r files.Resource) (resource.Spec, error) {
	config, err := e.secrets(r.Config)
	return resource.Spec{ID: id, Type: r.Type, Description: r.Description, Config: config}, err
}

func (e *Engine) secrets(config map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(config))
	for k, v := range config {
		var err error
		switch text := v.(type) {
		case string:
			v, err = e.secret(text)
		case map[string]any:
			v, err = e.secrets(text)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", resource.ErrInvalid, k, err)
		}
		out[k] = v
	}
	return out, nil
}

func (e *Engine) secret(text string) (string, error) {
	before, rest, ok := strings.Cut(text, "${file:")
	if !ok {
		return text, nil
	}
	path, after, closed := strings.Cut(rest, "}")
	if !closed {
		return "", fmt.Errorf("${file:%s: the closing } is missing", rest)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(e.cfg.RulesDir, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if len(b) > maxSecret {
		return "", fmt.Errorf("%s: larger than %d bytes", path, maxSecret)
	}
	return before + strings.TrimRight(string(b), "\r\n") + after, nil
}
