package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

const prompt = "dunlin> "

func (a *app) console() *cobra.Command {
	return &cobra.Command{
		Use:   "console",
		Short: "Run the broker in this process with a prompt for ctl commands",
		Long: "Run the broker in this process with a prompt for ctl commands. The log is written above the\n" +
			"prompt, if log.to says console. Arrows and Tab do what they do in a shell. quit, Ctrl-D and\n" +
			"Ctrl-C stop the broker cleanly. Without a terminal, commands are read line by line.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, restore, err := a.openPrompt()
			if err != nil {
				return err
			}
			inner := *a
			inner.out, inner.err = t, t
			err = inner.serve(cmd.Context(), func(ctx context.Context, stop func()) {
				go func() {
					inner.converse(ctx, t)
					stop()
				}()
			})
			return errors.Join(err, restore())
		},
	}
}

// prompter reads lines of an operator and writes between them.
type prompter interface {
	io.Writer
	// ReadLine returns io.EOF when the operator has had enough.
	ReadLine() (string, error)
}

// openPrompt takes the terminal over; restore gives it back.
func (a *app) openPrompt() (_ prompter, restore func() error, _ error) {
	f, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &pipe{to: a.out, lines: bufio.NewScanner(a.in)}, func() error { return nil }, nil
	}
	fd := int(f.Fd())
	old, err := term.MakeRaw(fd)
	if err != nil {
		return nil, nil, fmt.Errorf("take the terminal over: %w", err)
	}
	t := &screen{term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{f, a.out}, prompt), fd}
	return t, func() error { return term.Restore(fd, old) }, nil
}

// screen is a terminal that follows the size of its window.
type screen struct {
	*term.Terminal
	fd int
}

// ReadLine implements prompter.
func (s *screen) ReadLine() (string, error) {
	if width, height, err := term.GetSize(s.fd); err == nil {
		_ = s.SetSize(width, height) // writes to the terminal, which the reading will find broken too
	}
	line, err := s.Terminal.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return line, err
}

// pipe is what stands in for a terminal.
type pipe struct {
	mu    sync.Mutex
	to    io.Writer // guarded by mu: the log writes too
	lines *bufio.Scanner
}

// Write implements io.Writer.
func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.to.Write(b)
}

// ReadLine implements prompter.
func (p *pipe) ReadLine() (string, error) {
	if p.lines.Scan() {
		return p.lines.Text(), nil
	}
	if err := p.lines.Err(); err != nil {
		return "", err
	}
	return "", io.EOF
}

// converse runs the operator's commands until the operator quits.
func (a *app) converse(ctx context.Context, t prompter) {
	dir, err := a.dataDir()
	if err != nil {
		fmt.Fprintln(t, err)
		return
	}
	if s, ok := t.(*screen); ok {
		s.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
			if key != '\t' {
				return "", 0, false
			}
			before := complete(ctx, t, dir, line[:pos])
			return before + line[pos:], len(before), true
		}
		fmt.Fprintln(t, "help lists the commands, quit stops the broker.")
	}
	for {
		line, err := t.ReadLine()
		if err != nil {
			return
		}
		words, err := split(line)
		switch {
		case err != nil:
			fmt.Fprintln(t, err)
			continue
		case len(words) == 0:
			continue
		case words[0] == "quit" || words[0] == "exit":
			return
		case words[0] == "help":
			words = append(words[1:], "--help")
		}
		if words[0] == "ctl" {
			words = words[1:]
		}
		run(ctx, append([]string{"--data-dir", dir, "ctl"}, words...), t, t)
	}
}

// complete is the line up to the cursor with as much more as is certain. Where
// there is a choice, it is written above.
func complete(ctx context.Context, w io.Writer, dir, line string) string {
	words, err := split(line)
	if err != nil {
		return line
	}
	last := ""
	if len(words) > 0 && !strings.HasSuffix(line, " ") {
		last = words[len(words)-1]
		words = words[:len(words)-1]
	}
	var out bytes.Buffer
	args := append([]string{"__complete", "--data-dir", dir, "ctl"}, words...)
	run(ctx, append(args, last), &out, io.Discard)
	var choice []string
	for l := range strings.Lines(out.String()) {
		word, _, _ := strings.Cut(strings.TrimSuffix(l, "\n"), "\t")
		if strings.HasPrefix(word, last) && !strings.HasPrefix(word, ":") && word != "" {
			choice = append(choice, word)
		}
	}
	switch len(choice) {
	case 0:
		return line
	case 1:
		return strings.TrimSuffix(line, last) + choice[0] + " "
	}
	fmt.Fprintln(w, strings.Join(choice, "  "))
	same := choice[0]
	for _, c := range choice {
		for !strings.HasPrefix(c, same) {
			same = same[:len(same)-1]
		}
	}
	return strings.TrimSuffix(line, last) + same
}

// split cuts a line into words as a shell does: blanks between them, quotes of
// both kinds around those that have blanks.
func split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	in := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, in = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if in {
				words = append(words, word.String())
				word.Reset()
			}
			in = false
		default:
			word.WriteRune(r)
			in = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a %c is not closed", quote)
	}
	if in {
		words = append(words, word.String())
	}
	return words, nil
}
