// Package rdb is what the drivers of relational databases share: a statement with
// ${...} for each action, whose values are parameters and never part of the text, in
// batches that are taken whole or not at all. It refuses to know a database.
package rdb

import (
	"context"
	"errors"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/template"
)

// Statement is the statement of an action.
type Statement struct {
	Text  string
	paths []*template.Path
}

// Query is a statement with its values.
type Query struct {
	Text string
	Args []any // string, or nil
}

// Database carries queries out.
type Database interface {
	// All carries out all queries or, with an error, none.
	All(ctx context.Context, qs []Query) error
	// Refuses tells whether an error is about the query and not about the database:
	// trying again is vain.
	Refuses(err error) bool
}

// Read reads the parameter sql of an action. mark is the database's placeholder of
// the n-th value.
func Read(p *params.Params, mark func(n int) string) (Statement, error) {
	p.Required("sql")
	t := p.Template("sql", "")
	if err := p.Err(); err != nil {
		return Statement{}, err
	}
	text, paths := t.Prepare(mark)
	return Statement{text, paths}, nil
}

// Fill puts the fields of a row in the places of the values. Maps and arrays are
// JSON, what is not there is NULL. All are texts: the database makes of them what
// the column wants.
func (s Statement) Fill(row *sql.Map) Query {
	q := Query{Text: s.Text, Args: make([]any, len(s.paths))}
	for i, p := range s.paths {
		switch v := p.Get(row); v.Kind() {
		case sql.Undefined, sql.Null:
		case sql.Object, sql.Array:
			q.Args[i] = string(sql.AppendJSON(nil, v))
		default:
			q.Args[i] = v.Text()
		}
	}
	return q
}

// Write brings items into db: together, and one by one if the database refuses one
// of them, so that only that is lost.
func Write(ctx context.Context, db Database, actions *sink.Actions[Statement], items []sink.Item) error {
	bad := map[int]error{}
	var qs []Query
	var at []int
	for i, it := range items {
		s, row, err := actions.Of(it)
		if err != nil {
			bad[i] = err
			continue
		}
		qs, at = append(qs, s.Fill(row)), append(at, i)
	}
	if len(qs) == 0 {
		return sink.Refused(bad)
	}
	err := db.All(ctx, qs)
	if err == nil {
		return sink.Refused(bad)
	}
	if !db.Refuses(err) {
		return err
	}
	for j := range qs {
		switch err := db.All(ctx, qs[j:j+1]); {
		case err == nil:
		case db.Refuses(err):
			bad[at[j]] = err
		default:
			return errors.Join(err) // those before come twice
		}
	}
	return sink.Refused(bad)
}
