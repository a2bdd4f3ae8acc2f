package sql

import (
	"strings"

	"github.com/dunlinmq/dunlin/pluginsdk/topic"
)

// statement reads SELECT or FOREACH to the end (emqx4 §7.1).
func (p *parser) statement() (*statement, error) {
	s := &statement{}
	var err error
	switch {
	case p.keyword("SELECT"):
		if s.fields, err = p.fields(); err != nil {
			return nil, err
		}
	case p.keyword("FOREACH"):
		if err := p.foreach(s); err != nil {
			return nil, err
		}
	default:
		return nil, p.unexpected("SELECT or FOREACH")
	}
	if !p.keyword("FROM") {
		return nil, p.unexpected(`FROM "topic"`)
	}
	if s.topics, err = p.topics(); err != nil {
		return nil, err
	}
	if p.keyword("WHERE") {
		if s.where, err = p.expression(0); err != nil {
			return nil, err
		}
	}
	if p.peek().kind != tokEnd {
		e := p.unexpected("AND, OR or the end")
		if t := p.peek(); t.kind == tokName {
			switch strings.ToUpper(t.text) {
			case "GROUP", "ORDER", "LIMIT", "JOIN", "LIKE", "HAVING":
				e.Hint = "rules have no " + strings.ToUpper(t.text)
			}
		}
		return nil, e
	}
	return s, nil
}

func (p *parser) foreach(s *statement) (err error) {
	s.foreach = true
	if s.fields, err = p.fields(); err != nil {
		return err
	}
	if last := s.fields[len(s.fields)-1]; last.star {
		return faultAt(last.at, "FOREACH wants an array, not *")
	}
	if p.keyword("DO") {
		if s.do, err = p.fields(); err != nil {
			return err
		}
	}
	if p.keyword("INCASE") {
		s.incase, err = p.expression(0)
	}
	return err
}

func (p *parser) topics() (topics []string, err error) {
	for {
		t := p.peek()
		if t.kind != tokQuoted && t.kind != tokString {
			return nil, p.unexpected(`a "topic"`)
		}
		p.take()
		if err := topic.ValidateFilter(t.text); err != nil {
			return nil, faultAt(t, "not a topic filter: %v", err)
		}
		topics = append(topics, t.text)
		if !p.symbol(",") {
			return topics, nil
		}
	}
}

func (p *parser) fields() (fields []field, err error) {
	for {
		f, err := p.field()
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
		if !p.symbol(",") {
			return fields, nil
		}
	}
}

func (p *parser) field() (f field, err error) {
	f.at = p.peek()
	if p.symbol("*") {
		f.star = true
		return f, nil
	}
	if f.x, err = p.expression(0); err != nil {
		return f, err
	}
	as := p.keyword("AS")
	if t := p.peek(); t.kind == tokName || t.kind == tokQuoted {
		at := p.take()
		f.alias = &path{at: at, root: at.text}
		f.alias.steps, err = p.steps()
		return f, err
	}
	if as {
		return f, p.unexpected("a name")
	}
	return f, nil
}
