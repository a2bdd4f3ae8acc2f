package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// topicMetricsPlugin carries out what is asked about the counts of topics.
const topicMetricsPlugin = "topic_metrics"

// topicCounts is what the plugin says of a topic.
type topicCounts struct {
	Topic   string             `json:"topic"`
	Since   int64              `json:"since"`
	Metrics map[string]float64 `json:"metrics"`
}

// topicColumns are all metrics of a topic by EMQ X 4's names; the plain table has the
// sums and leaves QoS and rates of what was dropped to -o wide.
var topicColumns = func() []column[topicCounts] {
	list := []column[topicCounts]{
		{"topic", false, func(t topicCounts) any { return t.Topic }},
		{"since", true, func(t topicCounts) any { return moment(t.Since) }},
	}
	for _, name := range []string{"in", "out", "dropped", "qos0.in", "qos0.out", "qos1.in", "qos1.out", "qos2.in", "qos2.out"} {
		count, rate := "messages."+name+".count", "messages."+name+".rate"
		ofQoS := strings.HasPrefix(name, "qos")
		list = append(list,
			column[topicCounts]{count, ofQoS, func(t topicCounts) any { return uint64(t.Metrics[count]) }},
			column[topicCounts]{rate, ofQoS || name == "dropped", func(t topicCounts) any { return json.Number(fmt.Sprintf("%.1f", t.Metrics[rate])) }})
	}
	return list
}()

func (a *app) topicMetrics() *cobra.Command {
	return group("topic-metrics", "Count the messages of topics (plugin topic_metrics)",
		a.topicMetricsList(), a.topicMetricsShow(), a.topicMetricsRegister(),
		a.topicMetricsChange("unregister", "Count a topic no more until the plugin is unloaded or its file changes"), a.topicMetricsChange("reset", "Set the counts of a topic to zero"))
}

func (a *app) topicMetricsList() *cobra.Command {
	var form output
	cmd := &cobra.Command{Use: "list", Short: "List the topics that are counted, with their counts and rates a second", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []topicCounts
			if err := a.command(cmd.Context(), topicMetricsPlugin, "topic_metrics.list", nil, &list); err != nil {
				return err
			}
			return show(a, form, listing[topicCounts]{columns: topicColumns, items: list})
		}}
	form.flag(cmd)
	return cmd
}

func (a *app) topicMetricsShow() *cobra.Command {
	var form output
	cmd := &cobra.Command{Use: "show TOPIC", Short: "Show the counts of a topic", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var t topicCounts
			if err := a.command(cmd.Context(), topicMetricsPlugin, "topic_metrics.show", map[string]string{"topic": args[0]}, &t); err != nil {
				return err
			}
			return showOne(a, form, topicColumns, t)
		}}
	form.flag(cmd)
	return cmd
}

func (a *app) topicMetricsRegister() *cobra.Command {
	return &cobra.Command{Use: "register TOPIC", Short: "Count a topic until the plugin is unloaded or its file changes", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.topicMetricsDo(cmd, "register", map[string]any{"topic": args[0]})
		}}
}

// topicMetricsChange is a verb about one topic or, with --all, about every one.
func (a *app) topicMetricsChange(verb, short string) *cobra.Command {
	var all bool
	cmd := &cobra.Command{Use: verb + " [TOPIC]", Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if all {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if all {
				return a.topicMetricsDo(cmd, verb, map[string]any{"all": true})
			}
			return a.topicMetricsDo(cmd, verb, map[string]any{"topic": args[0]})
		}}
	cmd.Flags().BoolVar(&all, "all", false, "every topic that is registered")
	return cmd
}

func (a *app) topicMetricsDo(cmd *cobra.Command, verb string, body map[string]any) error {
	if err := a.command(cmd.Context(), topicMetricsPlugin, "topic_metrics."+verb, body, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.out, "ok")
	return err
}

// topicsCounted completes a registered topic.
func topicsCounted(ctx context.Context, a *app, _ asked) ([]string, error) {
	var list []topicCounts
	err := a.command(ctx, topicMetricsPlugin, "topic_metrics.list", nil, &list)
	var topics []string
	for _, t := range list {
		topics = append(topics, cell(t.Topic))
	}
	return topics, err
}
