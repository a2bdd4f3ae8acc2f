package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
)

// userFlags are what the commands about users share.
type userFlags struct {
	file string
	hash string
}

func (a *app) users() *cobra.Command {
	return group("users", "List and change who may log in by SCRAM (plugin auth_scram)",
		a.usersList(), a.usersAdd(), a.usersPasswd(), a.usersDel())
}

// flags adds the one that says which file it is about.
func (u *userFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&u.file, "file", "", "the file (default scram_users beside the configuration)")
}

// making adds the flag that says what the secret is for.
func (u *userFlags) making(cmd *cobra.Command) {
	cmd.Flags().StringVar(&u.hash, "hash", "scram-sha-256", "mechanism: scram-sha-256 or scram-sha-512; a user may have both")
}

// open reads the file.
func (u *userFlags) open(a *app) (*usersFile, error) {
	if _, ok := scramHashes[u.hash]; !ok && u.hash != "" {
		return nil, status.Errorf(codes.InvalidArgument, "there is no hash %q: want scram-sha-256 or scram-sha-512", u.hash)
	}
	if u.file == "" {
		l, err := a.layout()
		if err != nil {
			return nil, err
		}
		u.file = filepath.Join(l.etc.path, "scram_users")
	}
	return readUsers(u.file)
}

var userColumns = []column[user]{
	{"name", false, func(u user) any { return u.name }},
	{"hash", false, func(u user) any { return u.kind() }},
}

func (a *app) usersList() *cobra.Command {
	var u userFlags
	var form output
	cmd := &cobra.Command{Use: "list", Short: "List who may log in; hashes are not shown", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			f, err := u.open(a)
			if err != nil {
				return err
			}
			return show(a, form, listing[user]{columns: userColumns, items: f.users()})
		}}
	u.flags(cmd)
	form.flag(cmd)
	return cmd
}

func (a *app) usersAdd() *cobra.Command {
	var u userFlags
	cmd := &cobra.Command{Use: "add NAME", Short: "Let somebody in; the password is asked for, or is the first line of the standard input", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := u.open(a)
			if err != nil {
				return err
			}
			if err := checkName(args[0]); err != nil {
				return err
			}
			if f.at(args[0], u.hash) >= 0 {
				return fmt.Errorf("%s is in %s already; `dunlin ctl users passwd` changes the password", args[0], f.path)
			}
			hash, err := a.newHash(u.hash)
			if err != nil {
				return err
			}
			f.lines = append(f.lines, user{args[0], hash}.line())
			return a.changed(cmd.Context(), f)
		}}
	u.flags(cmd)
	u.making(cmd)
	return cmd
}

func (a *app) usersPasswd() *cobra.Command {
	var u userFlags
	cmd := &cobra.Command{Use: "passwd NAME", Short: "Change a password; it is asked for, or is the first line of the standard input", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := u.open(a)
			if err != nil {
				return err
			}
			i := f.at(args[0], u.hash)
			if i < 0 {
				return unknownUser(f, args[0])
			}
			hash, err := a.newHash(u.hash)
			if err != nil {
				return err
			}
			f.lines[i] = user{args[0], hash}.line()
			return a.changed(cmd.Context(), f)
		}}
	u.flags(cmd)
	u.making(cmd)
	return cmd
}

func (a *app) usersDel() *cobra.Command {
	var u userFlags
	cmd := &cobra.Command{Use: "del NAME", Short: "Let somebody in no more; who is connected stays", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := u.open(a)
			if err != nil {
				return err
			}
			i := f.at(args[0], "")
			if i < 0 {
				return unknownUser(f, args[0])
			}
			for ; i >= 0; i = f.at(args[0], "") {
				f.lines = append(f.lines[:i], f.lines[i+1:]...)
			}
			return a.changed(cmd.Context(), f)
		}}
	u.flags(cmd)
	return cmd
}

func unknownUser(f *usersFile, name string) error {
	return status.Errorf(codes.NotFound, "%s is not in %s; `dunlin ctl users list` shows who is", name, f.path)
}

// checkName refuses names that a line of the file cannot hold.
func checkName(name string) error {
	if name == "" || name[0] == '#' || strings.TrimSpace(name) != name || strings.ContainsAny(name, ":\n\r\x00") {
		return status.Errorf(codes.InvalidArgument, "%q cannot be kept: a name has no colon, no line break, no # at the front, and no blank at its ends", name)
	}
	return nil
}

// newHash asks for a password and returns how it is kept.
func (a *app) newHash(kind string) (string, error) {
	password, err := a.password()
	if err != nil {
		return "", err
	}
	return scramSecret(kind, password)
}

// password asks for a new password twice, or reads the first line of a standard
// input that is no terminal.
func (a *app) password() ([]byte, error) {
	in, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(a.in, 4096)).ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			return nil, errors.New("no password on the standard input")
		}
		return line, nil
	}
	var typed [2][]byte
	for i, prompt := range []string{"Password: ", "Again: "} {
		fmt.Fprint(a.err, prompt)
		var err error
		typed[i], err = term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(a.err)
		if err != nil {
			return nil, err
		}
	}
	if !bytes.Equal(typed[0], typed[1]) {
		return nil, errors.New("the passwords differ")
	}
	return typed[0], nil
}

// changed writes the file and lets the plugin read it.
func (a *app) changed(ctx context.Context, f *usersFile) error {
	if err := f.save(); err != nil {
		return err
	}
	const plugin = "auth_scram"
	err := a.ask(ctx, changeTime, func(ctx context.Context, c *admin.Client) error {
		_, err := c.ChangePlugin(ctx, &adminpb.ChangePluginRequest{Change: adminpb.ChangePluginRequest_CHANGE_RELOAD, Name: plugin})
		return err
	})
	fmt.Fprintln(a.out, "ok")
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.Unavailable, codes.NotFound, codes.FailedPrecondition:
		fmt.Fprintf(a.err, "%s is written. It holds as soon as %s is loaded: %v\n", f.path, plugin, message(err))
		return nil
	}
	return fmt.Errorf("%s is written, but does not hold: %w", f.path, err)
}
