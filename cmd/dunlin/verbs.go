package main

import (
	"github.com/spf13/cobra"
)

// verb is what a command has beyond its code: an example for --help and the man
// page, and what completes its arguments, one for each.
type verb struct {
	example string // without "dunlin"
	args    []completer
}

// verbs are the commands by their path. A test insists that every command has a
// row and that every row has a command.
var verbs = map[string]verb{
	"foreground":   {example: "foreground --home /srv/dunlin"},
	"console":      {example: "console --set log.level=debug"},
	"start":        {example: "start --config /etc/dunlin/dunlin.toml"},
	"stop":         {example: "stop"},
	"restart":      {example: "restart --set log.level=debug"},
	"ping":         {example: "ping && echo it lives"},
	"pid":          {example: "pid"},
	"status":       {example: "status -o json"},
	"check-config": {example: "check-config --config new.toml"},
	"dirs":         {example: "dirs"},
	"store dump":   {example: "store dump --kind queued --client sensor-7"},
	"cert dev":     {example: "cert dev --host broker.example.org"},
	"version":      {example: "version"},

	"plugin new":     {example: "plugin new acme --lang rust --example acl", args: []completer{nothing}},
	"plugin build":   {example: "plugin build plugins/acme --out build/plugins"},
	"plugin conform": {example: "plugin conform build/acme scenario.toml"},
	"plugin bench":   {example: "plugin bench build/acme scenario.toml --time 2s"},
	"plugin keygen":  {example: "plugin keygen acme.key"},
	"plugin sign":    {example: "plugin sign build/acme --key acme.key"},
	"plugin add":     {example: "plugin add acme-1.4.0.tar.gz --grant"},
	"plugin remove":  {example: "plugin remove acme", args: []completer{pluginsFound}},
	"plugin test":    {example: "plugin test build/acme/acme.wasm scenario.toml -o json"},

	"bench conn":  {example: "bench conn -c 1000 -R 500 -d 1m"},
	"bench pub":   {example: "bench pub -c 100 -t 'bench/%i' -q 1 -s 64 -I 100"},
	"bench sub":   {example: "bench sub -c 10 -t 'bench/#' -q 1 -d 30s"},
	"bench p2p":   {example: "bench p2p -c 10 -q 1 -s 64 --pid 4711 -o json"},
	"bench fan":   {example: "bench fan -c 1000 --rate 100"},
	"bench storm": {example: "bench storm -c 50 --ssl --insecure"},

	"ctl status":         {example: "ctl status -o wide"},
	"ctl broker":         {example: "ctl broker"},
	"ctl broker stats":   {example: "ctl broker stats"},
	"ctl broker metrics": {example: "ctl broker metrics -o json"},

	"ctl clients list": {example: "ctl clients list --online --address 10.0.0.0/8 --limit 20"},
	"ctl clients show": {example: "ctl clients show sensor-7 -o json", args: []completer{clientIDs}},
	"ctl clients kick": {example: "ctl clients kick sensor-7", args: []completer{clientIDs}},

	"ctl subscriptions list": {example: "ctl subscriptions list --all -o json"},
	"ctl subscriptions show": {example: "ctl subscriptions show sensor-7", args: []completer{clientIDs}},
	"ctl subscriptions add":  {example: "ctl subscriptions add sensor-7 'config/+' 1", args: []completer{clientIDs, nothing, words("0", "1", "2")}},
	"ctl subscriptions del":  {example: "ctl subscriptions del sensor-7 'config/+'", args: []completer{clientIDs, filtersOfClient}},
	"ctl routes list":        {example: "ctl routes list --limit 10"},
	"ctl routes show":        {example: "ctl routes show 'config/+'", args: []completer{filters}},

	"ctl listeners":         {example: "ctl listeners"},
	"ctl listeners list":    {example: "ctl listeners list -o json"},
	"ctl listeners stop":    {example: "ctl listeners stop tcp:external", args: []completer{listenerIDs}},
	"ctl listeners start":   {example: "ctl listeners start tcp:external", args: []completer{listenerIDs}},
	"ctl listeners restart": {example: "ctl listeners restart ssl:external", args: []completer{listenerIDs}},

	"ctl plugins list":    {example: "ctl plugins list -o wide"},
	"ctl plugins show":    {example: "ctl plugins show retainer", args: []completer{pluginsLoaded}},
	"ctl plugins metrics": {example: "ctl plugins metrics -o json"},
	"ctl plugins top":     {example: "ctl plugins top --interval 5s"},
	"ctl plugins command": {example: "ctl plugins command rule_engine rules.list", args: []completer{pluginsLoaded}},
	"ctl plugins load":    {example: "ctl plugins load retainer", args: []completer{pluginsFound}},
	"ctl plugins unload":  {example: "ctl plugins unload retainer", args: []completer{pluginsLoaded}},
	"ctl plugins reload":  {example: "ctl plugins reload retainer", args: []completer{pluginsLoaded}},
	"ctl plugins enable":  {example: "ctl plugins enable retainer", args: []completer{pluginsFound}},
	"ctl plugins disable": {example: "ctl plugins disable retainer", args: []completer{pluginsLoaded}},

	"ctl bridges list":   {example: "ctl bridges list -o wide"},
	"ctl bridges show":   {example: "ctl bridges show cloud -o json"},
	"ctl bridges start":  {example: "ctl bridges start cloud"},
	"ctl bridges stop":   {example: "ctl bridges stop cloud"},
	"ctl bridges import": {example: "ctl bridges import /etc/mosquitto/mosquitto.conf"},
	"ctl delayed list":   {example: "ctl delayed list --all -o json"},
	"ctl delayed show":   {example: "ctl delayed show 1764090000000001", args: []completer{delayedNumbers}},
	"ctl delayed cancel": {example: "ctl delayed cancel 1764090000000001", args: []completer{delayedNumbers}},
	"ctl users list":     {example: "ctl users list -o json"},
	"ctl users add":      {example: "ctl users add sensor-7 --client-id 'sensor-7*'"},
	"ctl users passwd":   {example: "ctl users passwd sensor-7 --hash bcrypt"},
	"ctl users del":      {example: "ctl users del sensor-7"},
	"ctl users import":   {example: "ctl users import /etc/mosquitto/passwd"},

	"ctl topic-metrics list":       {example: "ctl topic-metrics list -o wide"},
	"ctl topic-metrics show":       {example: "ctl topic-metrics show sensors/hall -o json", args: []completer{topicsCounted}},
	"ctl topic-metrics register":   {example: "ctl topic-metrics register sensors/hall"},
	"ctl topic-metrics unregister": {example: "ctl topic-metrics unregister sensors/hall", args: []completer{topicsCounted}},
	"ctl topic-metrics reset":      {example: "ctl topic-metrics reset --all", args: []completer{topicsCounted}},

	"ctl rules list":          {example: "ctl rules list -o wide"},
	"ctl rules show":          {example: "ctl rules show hot -o json", args: []completer{ruleIDs}},
	"ctl rules create":        {example: `ctl rules create 'SELECT payload.t as t FROM "s/#" WHERE t > 30' '[{"name": "republish", "params": {"target_topic": "hot"}}]' -i hot`},
	"ctl rules update":        {example: "ctl rules update hot -e false", args: []completer{ruleIDs}},
	"ctl rules delete":        {example: "ctl rules delete hot", args: []completer{ruleIDs}},
	"ctl rules reset":         {example: "ctl rules reset hot", args: []completer{ruleIDs}},
	"ctl rules test":          {example: `ctl rules test --sql 'SELECT payload.t as t FROM "s/#" WHERE t > 30' --payload '{"t": 31}'`},
	"ctl resources list":      {example: "ctl resources list -t web_hook"},
	"ctl resources show":      {example: "ctl resources show ops", args: []completer{resourceIDs}},
	"ctl resources create":    {example: `ctl resources create web_hook -i ops -c '{"url": "http://127.0.0.1:8000"}'`},
	"ctl resources update":    {example: `ctl resources update ops -c '{"url": "http://127.0.0.1:9000"}'`, args: []completer{resourceIDs}},
	"ctl resources delete":    {example: "ctl resources delete ops", args: []completer{resourceIDs}},
	"ctl resources test":      {example: `ctl resources test web_hook -c '{"url": "http://127.0.0.1:8000"}'`, args: []completer{resourceIDs}},
	"ctl rule-actions list":   {example: "ctl rule-actions list"},
	"ctl rule-actions show":   {example: "ctl rule-actions show republish -o json"},
	"ctl resource-types list": {example: "ctl resource-types list"},
	"ctl resource-types show": {example: "ctl resource-types show web_hook -o json"},

	"ctl banned list": {example: "ctl banned list"},
	"ctl banned add":  {example: "ctl banned add peerhost 192.0.2.0/24 --reason noisy --for 10m", args: []completer{words("clientid", "username", "peerhost")}},
	"ctl banned del":  {example: "ctl banned del peerhost 192.0.2.0/24", args: []completer{words("clientid", "username", "peerhost"), bans}},
	"ctl alarms list": {example: "ctl alarms list --past"},

	"ctl acl cache-clean":   {example: "ctl acl cache-clean all", args: []completer{clientIDs}},
	"ctl log set-level":     {example: "ctl log set-level debug --logger channel"},
	"ctl log primary-level": {example: "ctl log primary-level"},
	"ctl log levels":        {example: "ctl log levels"},
	"ctl config show":       {example: "ctl config show listener.tcp --origin", args: []completer{configKeys}},
	"ctl config reload":     {example: "ctl config reload"},

	"ctl vm":            {example: "ctl vm memory"},
	"ctl store info":    {example: "ctl store info"},
	"ctl store check":   {example: "ctl store check"},
	"ctl store compact": {example: "ctl store compact"},
	"ctl store backup":  {example: "ctl store backup /backup/dunlin-monday"},
	"ctl store restore": {example: "ctl store restore /backup/dunlin-monday"},
	"ctl mnesia":        {example: "ctl mnesia"},
}

// describe gives cmd and those below it what their rows say.
func (a *app) describe(cmd *cobra.Command) {
	if v, ok := verbs[pathOf(cmd)]; ok {
		cmd.Example = "  dunlin " + v.example
		if v.args != nil {
			cmd.ValidArgsFunction = a.completing(v.args)
		}
	}
	for _, sub := range cmd.Commands() {
		a.describe(sub)
	}
}

// pathOf is how a command is called, without "dunlin".
func pathOf(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return ""
	}
	if above := pathOf(cmd.Parent()); above != "" {
		return above + " " + cmd.Name()
	}
	return cmd.Name()
}
