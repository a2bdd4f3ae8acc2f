package sql

// expr is a node of an expression.
type expr interface{ place() token }

type (
	// literal is a constant.
	literal struct {
		at  token
		val Value
	}
	// path is a column or alias and what is in it: payload.a[1].
	path struct {
		at    token
		root  string
		steps []step
	}
	// within is a step into what another expression yields.
	within struct {
		x     expr
		steps []step
	}
	// call is a function with its arguments.
	call struct {
		at   token
		name string
		args []expr
	}
	// binary is arithmetic, comparison, AND or OR.
	binary struct {
		at   token
		op   string
		l, r expr
	}
	// unary is NOT or a minus.
	unary struct {
		at token
		op string
		x  expr
	}
	// member is [NOT] IN.
	member struct {
		x     expr
		not   bool
		items []expr
	}
	// list is [a, b, c].
	list struct {
		at    token
		items []expr
	}
	// span is [a..b], the numbers from a to b; with x the elements from a to b.
	span struct {
		at       token
		x        expr // nil: the numbers themselves
		from, to int64
	}
	// choice is CASE.
	choice struct {
		at     token
		on     expr // nil: the conditions are complete
		whens  []when
		orElse expr // nil: undefined
	}
)

type when struct{ cond, then expr }

// step is .key or [index].
type step struct {
	key   string
	index expr // nil: key
}

func (e *literal) place() token { return e.at }
func (e *path) place() token    { return e.at }
func (e *within) place() token  { return e.x.place() }
func (e *call) place() token    { return e.at }
func (e *binary) place() token  { return e.at }
func (e *unary) place() token   { return e.at }
func (e *member) place() token  { return e.x.place() }
func (e *list) place() token    { return e.at }
func (e *span) place() token    { return e.at }
func (e *choice) place() token  { return e.at }

// field is one of SELECT, FOREACH or DO.
type field struct {
	at    token
	star  bool
	x     expr
	alias *path // nil: none was written
}

// statement is a parsed rule.
type statement struct {
	foreach bool
	fields  []field
	do      []field // nil: every element as it is
	incase  expr    // nil: all elements
	topics  []string
	where   expr // nil: always
}
