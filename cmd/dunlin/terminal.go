package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// color is an ANSI colour.
type color string

// The colours in use.
const (
	red    color = "\x1b[31m"
	green  color = "\x1b[32m"
	yellow color = "\x1b[33m"
	plain  color = ""
)

// paint colours s when w is a terminal that wants colours.
func (a *app) paint(w io.Writer, c color, s string) string {
	if c == plain || !colorful(w) {
		return s
	}
	return string(c) + s + "\x1b[0m"
}

// colorful tells whether w is a terminal and nobody has asked for plain text.
func colorful(w io.Writer) bool {
	return terminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// terminal tells whether w is a terminal.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
