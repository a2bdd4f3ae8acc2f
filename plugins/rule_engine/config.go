//go:build !wasip1

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/resource"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink/clickhouse"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink/file"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink/influxdb"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink/kafka"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink/mqtt"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink/mysql"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink/pgsql"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink/redis"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink/webhook"
	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/topic"
)

// config is the plugin's own configuration.
type config struct {
	// RulesDir is the folder of rules and resources; a relative path starts in the
	// folder of the plugin's file.
	RulesDir string `json:"rules_dir"`
	// DeadLetters begins the topic of rows that will never be taken, whose last level
	// is the resource; "": they are only logged.
	DeadLetters string `json:"dead_letters"`

	dataDir string // of the queues; "": there is none
}

// types are the resources that there are.
var types = map[string]resource.Opener{
	"bridge_mqtt": mqtt.Open, "clickhouse": clickhouse.Open, "file": file.Open, "influxdb": influxdb.Open, "kafka": kafka.Open, "mysql": mysql.Open, "pgsql": pgsql.Open,
	"redis": redis.Open, "web_hook": webhook.Open,
}

// parse reads the configuration.
func parse(text []byte) (config, error) {
	c := config{RulesDir: "../rules", DeadLetters: "dead/rules"}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	if c.DeadLetters != "" {
		if err := topic.ValidateName(c.DeadLetters); err != nil {
			return c, fmt.Errorf("dead_letters = %q: %w", c.DeadLetters, err)
		}
	}
	if !filepath.IsAbs(c.RulesDir) {
		c.RulesDir = filepath.Join(sdk.ConfigDir(), c.RulesDir)
	}
	if dir := sdk.DataDir(); dir != "" {
		c.dataDir = filepath.Join(dir, "queues")
	}
	return c, nil
}
