// Package catalog lists the actions and the types of resources with what people want
// to know of them. It owns the words. It refuses to do anything: a test compares it
// with the code.
package catalog

// Action is an action that a rule may have.
type Action struct {
	Name        string   `json:"name"`
	App         string   `json:"app"`
	For         string   `json:"for"`   // the event that it is for
	Types       []string `json:"types"` // of the resource; none: it needs none
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Params      []string `json:"params"`
}

// Type is a type of resources.
type Type struct {
	Name        string   `json:"name"`
	Provider    string   `json:"provider"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Params      []string `json:"params"` // of its config, without those that every type has
}

const app = "rule_engine"

// Common are the settings that every type of resource has.
var Common = []string{"batch_size", "batch_bytes", "batch_time", "write_timeout", "retry_min", "retry_max", "health_check_interval", "buffer_size", "buffer_full"}

// secure are the settings of a connection that may be by TLS.
var secure = []string{"ssl", "verify", "server_name_indication", "cacertfile", "certfile", "keyfile"}

// Actions are all actions, by name.
var Actions = []Action{
	{"data_to_clickhouse", app, "$any", []string{"clickhouse"}, "Data to ClickHouse", "Insert rows into a table of ClickHouse", []string{"$resource", "table", "row"}},
	{"data_to_file", app, "$any", []string{"file"}, "Data to File", "Append rows to a file", []string{"$resource", "line"}},
	{"data_to_influxdb", app, "$any", []string{"influxdb"}, "Data to InfluxDB", "Write rows as points of InfluxDB or VictoriaMetrics", []string{"$resource", "measurement", "tags", "fields", "timestamp"}},
	{"data_to_kafka", app, "$any", []string{"kafka"}, "Data to Kafka", "Produce rows to a topic of Kafka", []string{"$resource", "topic", "key", "payload_tmpl"}},
	{"data_to_mqtt_broker", app, "$any", []string{"bridge_mqtt"}, "Data to MQTT Broker", "Publish rows to another MQTT broker", []string{"$resource", "forward_topic", "payload_tmpl", "qos", "retain"}},
	{"data_to_mysql", app, "$any", []string{"mysql"}, "Data to MySQL", "Run a statement of MySQL or MariaDB for each row", []string{"$resource", "sql"}},
	{"data_to_pgsql", app, "$any", []string{"pgsql"}, "Data to PostgreSQL", "Run a statement of PostgreSQL for each row", []string{"$resource", "sql"}},
	{"data_to_redis", app, "$any", []string{"redis"}, "Data to Redis", "Run a command of Redis for each row", []string{"$resource", "cmd"}},
	{"data_to_webserver", app, "$any", []string{"web_hook"}, "Data to Web Server", "Forward rows to a web server", []string{"$resource", "method", "path", "headers", "body"}},
	{"do_nothing", app, "$any", []string{}, "Do Nothing (debug)", "This action does nothing and never fails. It is for debugging", []string{}},
	{"inspect", app, "$any", []string{}, "Inspect (debug)", "Writes the rows to the log", []string{}},
	{"republish", app, "$any", []string{}, "Republish", "Publish rows as MQTT messages", []string{"target_topic", "target_qos", "target_retain", "payload_tmpl"}},
}

// Types are all types of resources, by name.
var Types = []Type{
	{"bridge_mqtt", app, "MQTT Broker", "Another MQTT broker", append([]string{"address", "proto_ver", "clientid", "append", "username", "password", "mountpoint", "keepalive",
		"bridge_mode", "max_inflight", "connect_timeout"}, secure...)},
	{"clickhouse", app, "ClickHouse", "A ClickHouse server, over HTTP", []string{"url", "database", "user", "password", "request_timeout"}},
	{"file", app, "File", "A file that rotates", []string{"path", "max_size", "max_files"}},
	{"influxdb", app, "InfluxDB", "InfluxDB 1 or 2, or VictoriaMetrics", []string{"url", "database", "username", "password", "token", "org", "bucket", "precision", "request_timeout"}},
	{"kafka", app, "Kafka", "A Kafka cluster", append([]string{"servers", "username", "password", "mechanism", "compression"}, secure...)},
	{"mysql", app, "MySQL", "A MySQL or MariaDB server", []string{"server", "database", "user", "password", "ssl", "cacertfile", "connect_timeout"}},
	{"pgsql", app, "PostgreSQL", "A PostgreSQL server", []string{"server", "database", "username", "password", "sslmode", "cacertfile", "certfile", "keyfile", "connect_timeout"}},
	{"redis", app, "Redis", "A Redis server", append([]string{"server", "database", "username", "password", "connect_timeout"}, secure...)},
	{"web_hook", app, "WebHook", "A web server", []string{"url", "pool_size", "connect_timeout", "request_timeout", "verify", "server_name_indication", "cacertfile", "certfile", "keyfile"}},
}
