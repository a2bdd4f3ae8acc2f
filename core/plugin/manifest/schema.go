package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// noLoader refuses references to other documents: a schema is one file.
type noLoader struct{}

// Load always fails.
func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s: references to other documents are not followed", url)
}

// compileSchema reads a JSON Schema; name is for messages.
func compileSchema(name string, schema []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	const url = "dunlin:config.json"
	if err := c.AddResource(url, doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	compiled, err := c.Compile(url)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return compiled, nil
}

// CheckSchema tells what is wrong with a JSON Schema; name is for messages.
func CheckSchema(name string, schema []byte) error {
	_, err := compileSchema(name, schema)
	return err
}

// configJSON turns the [config] table into the JSON object that the plugin
// gets, validated against schema (nil: anything goes). Faults have the line of
// the offending key; resolved secrets never appear in them.
func (o *Operator) configJSON(schemaName string, schema []byte) (json.RawMessage, error) {
	text, err := json.Marshal(o.Config)
	if err != nil {
		return nil, fmt.Errorf("%s: [config]: %w", o.doc.name, err)
	}
	if schema == nil {
		return text, nil
	}
	compiled, err := compileSchema(schemaName, schema)
	if err != nil {
		return nil, err
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: [config]: %w", o.doc.name, err)
	}
	var bad *jsonschema.ValidationError
	if err := compiled.Validate(instance); errors.As(err, &bad) {
		o.schemaFaults(bad)
	} else if err != nil {
		return nil, fmt.Errorf("%s: [config]: %w", o.doc.name, err)
	}
	return text, o.doc.err()
}

// schemaFaults notes the leaves of a validation error.
func (o *Operator) schemaFaults(e *jsonschema.ValidationError) {
	for _, c := range e.Causes {
		o.schemaFaults(c)
	}
	if len(e.Causes) > 0 {
		return
	}
	text := e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	for _, secret := range o.secrets {
		text = strings.ReplaceAll(text, secret, "***")
	}
	key := append([]string{"config"}, e.InstanceLocation...)
	o.doc.fault(fmt.Sprintf("%s: %s", strings.Join(key, "."), text), key...)
}
