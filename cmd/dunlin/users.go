package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/cmd/dunlin/plugintool/dirlock"
	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/plugin/passhash"
	"github.com/dunlinmq/dunlin/pluginsdk/passwd"
)

// userFlags are what the commands about users share.
type userFlags struct {
	file, hash string
	clients    bool // client identifiers instead of users
	scram      bool // secrets of auth_scram
	superuser  bool
	clientIDs  []string
}

func (a *app) users() *cobra.Command {
	return group("users", "List and change who may log in (plugins auth_file and auth_scram)",
		a.usersList(), a.usersAdd(), a.usersPasswd(), a.usersDel(), a.usersImport())
}

// flags adds those that say which file it is about.
func (u *userFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&u.file, "file", "", "the file (default users, clients or scram_users beside the configuration)")
	f.BoolVar(&u.clients, "clients", false, "client ids with passwords of their own instead of users")
	f.BoolVar(&u.scram, "scram", false, "secrets of auth_scram instead of passwords of auth_file")
	cmd.MarkFlagsMutuallyExclusive("clients", "scram")
}

// making adds the flag that says how a password is kept.
func (u *userFlags) making(cmd *cobra.Command) {
	cmd.Flags().StringVar(&u.hash, "hash", "", "how the password is kept: "+hashNames()+" (default argon2id, with --scram scram-sha-256)")
}

// options adds the flags of what is kept beside the password.
func (u *userFlags) options(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&u.superuser, "superuser", false, "no rule of access holds for the user")
	cmd.Flags().StringArrayVar(&u.clientIDs, "client-id", nil, "client id that the user may have, or its beginning with * behind it; may be repeated")
}

// check completes the flags and refuses those that do not fit.
func (u *userFlags) check() error {
	if u.hash == "" {
		if u.hash = string(passhash.Kinds[0]); u.scram {
			u.hash = "scram-sha-256"
		}
	}
	_, isSCRAM := scramHashes[u.hash]
	u.scram = u.scram || isSCRAM
	switch {
	case !isSCRAM && !slices.Contains(passhash.Kinds, passwd.Kind(u.hash)):
		return status.Errorf(codes.InvalidArgument, "there is no hash %q: want one of %s", u.hash, hashNames())
	case u.scram && (!isSCRAM || u.clients):
		return status.Errorf(codes.InvalidArgument, "--hash %s is for users of the other plugin: auth_scram has scram-sha-256 and scram-sha-512", u.hash)
	case u.scram && u.extra() != "":
		return status.Error(codes.InvalidArgument, "--superuser and --client-id are not for auth_scram")
	}
	for _, id := range u.clientIDs {
		if id == "" || strings.ContainsAny(id, ",\n\r\x00") {
			return status.Errorf(codes.InvalidArgument, "--client-id %q: want one without comma and line break", id)
		}
	}
	return nil
}

// hashNames are what --hash may name.
func hashNames() string {
	var names []string
	for _, k := range passhash.Kinds {
		names = append(names, string(k))
	}
	return strings.Join(append(names, slices.Sorted(maps.Keys(scramHashes))...), ", ")
}

// extra is the third part of a user's line; "" without options.
func (u *userFlags) extra() string {
	var list []string
	if u.superuser {
		list = append(list, "superuser")
	}
	for _, id := range u.clientIDs {
		list = append(list, "client_id="+id)
	}
	return strings.Join(list, ",")
}

// at finds a user. In a file of auth_scram it has a line for each mechanism.
func (u *userFlags) at(f *usersFile, name string) int {
	if u.scram {
		return f.at(name, u.hash)
	}
	return f.at(name, "")
}

// path is the file that it is about.
func (u *userFlags) path(a *app) (string, error) {
	if u.file != "" {
		return u.file, nil
	}
	l, err := a.layout()
	if err != nil {
		return "", err
	}
	name := "users"
	switch {
	case u.clients:
		name = "clients"
	case u.scram:
		name = "scram_users"
	}
	return filepath.Join(l.etc.path, name), nil
}

// open reads the file.
func (u *userFlags) open(a *app) (*usersFile, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	path, err := u.path(a)
	if err != nil {
		return nil, err
	}
	return readUsers(path)
}

var userColumns = []column[user]{
	{"name", false, func(u user) any { return u.name }},
	{"hash", false, func(u user) any { return u.kind() }},
	{"options", false, func(u user) any { return u.options }},
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
			if err := checkName(args[0]); err != nil {
				return err
			}
			return a.setPassword(cmd.Context(), &u, func(f *usersFile) (*string, user, error) {
				if u.at(f, args[0]) >= 0 {
					return nil, user{}, fmt.Errorf("%s is in %s already; `dunlin ctl users passwd` changes the password", args[0], f.path)
				}
				f.lines = append(f.lines, "")
				return &f.lines[len(f.lines)-1], user{name: args[0], options: u.extra()}, nil
			})
		}}
	u.flags(cmd)
	u.making(cmd)
	u.options(cmd)
	return cmd
}

func (a *app) usersPasswd() *cobra.Command {
	var u userFlags
	cmd := &cobra.Command{Use: "passwd NAME", Short: "Change a password; it is asked for, or is the first line of the standard input", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.setPassword(cmd.Context(), &u, func(f *usersFile) (*string, user, error) {
				i := u.at(f, args[0])
				if i < 0 {
					return nil, user{}, unknownUser(f, args[0])
				}
				old, _ := parseLine(f.lines[i])
				return &f.lines[i], old, nil
			})
		}}
	u.flags(cmd)
	u.making(cmd)
	return cmd
}

// setPassword asks for a password and writes the line that find names, of the user
// that find returns. It is found twice: nobody else is kept waiting while the
// password is typed.
func (a *app) setPassword(ctx context.Context, u *userFlags, find func(f *usersFile) (*string, user, error)) error {
	f, err := u.open(a)
	if err != nil {
		return err
	}
	if _, _, err := find(f); err != nil {
		return err
	}
	hash, err := a.newHash(u.hash)
	if err != nil {
		return err
	}
	return a.edit(ctx, u, func(f *usersFile) error {
		line, of, err := find(f)
		if err == nil {
			of.secret = hash
			*line = of.line()
		}
		return err
	})
}

func (a *app) usersDel() *cobra.Command {
	var u userFlags
	cmd := &cobra.Command{Use: "del NAME", Short: "Let somebody in no more; who is connected stays", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.edit(cmd.Context(), &u, func(f *usersFile) error {
				i := f.at(args[0], "")
				if i < 0 {
					return unknownUser(f, args[0])
				}
				for ; i >= 0; i = f.at(args[0], "") {
					f.lines = append(f.lines[:i], f.lines[i+1:]...)
				}
				return nil
			})
		}}
	u.flags(cmd)
	return cmd
}

func (a *app) usersImport() *cobra.Command {
	var u userFlags
	var replace bool
	cmd := &cobra.Command{Use: "import FILE", Short: "Take over the users of another file, for example of mosquitto_passwd: all of them or none; - is the standard input",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := a.readImport(args[0])
			if err != nil {
				return err
			}
			return a.edit(cmd.Context(), &u, func(f *usersFile) error {
				if u.scram {
					return status.Error(codes.InvalidArgument, "import is for auth_file")
				}
				return f.take(from, replace)
			})
		}}
	u.flags(cmd)
	cmd.Flags().BoolVar(&replace, "replace", false, "replace users that are there already, instead of refusing")
	return cmd
}

// readImport reads the file that is to be taken over.
func (a *app) readImport(name string) (*usersFile, error) {
	if name == "-" {
		text, err := io.ReadAll(io.LimitReader(a.in, maxUsersFile+1))
		if err != nil {
			return nil, err
		}
		return parseUsers("the standard input", text)
	}
	if _, err := os.Stat(name); err != nil {
		return nil, err
	}
	return readUsers(name)
}

// edit lets change change the file while nobody else does, and lets the plugin
// read it.
func (a *app) edit(ctx context.Context, u *userFlags, change func(f *usersFile) error) error {
	if err := u.check(); err != nil {
		return err
	}
	path, err := u.path(a)
	if err != nil {
		return err
	}
	unlock, err := dirlock.Take(filepath.Dir(path))
	if err != nil {
		return err
	}
	f, err := readUsers(path)
	if err == nil {
		f.owner, _ = a.dataDir() // of a new file: the broker's user has to read it
		if err = change(f); err == nil {
			err = f.save()
		}
	}
	unlock()
	if err != nil {
		return err
	}
	plugin := "auth_file"
	if u.scram {
		plugin = "auth_scram"
	}
	return a.reload(ctx, plugin, f.path)
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
	if _, ok := scramHashes[kind]; ok {
		return scramSecret(kind, password)
	}
	return passhash.Make(passwd.Kind(kind), password)
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

// reload lets the plugin read the file that was written.
func (a *app) reload(ctx context.Context, plugin, path string) error {
	err := a.ask(ctx, changeTime, func(ctx context.Context, c *admin.Client) error {
		_, err := c.ChangePlugin(ctx, &adminpb.ChangePluginRequest{Change: adminpb.ChangePluginRequest_CHANGE_RELOAD, Name: plugin})
		return err
	})
	fmt.Fprintln(a.out, "ok")
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.Unavailable, codes.NotFound, codes.FailedPrecondition:
		fmt.Fprintf(a.err, "%s is written. It holds as soon as %s is loaded: %v\n", path, plugin, message(err))
		return nil
	}
	return fmt.Errorf("%s is written, but does not hold: %w", path, err)
}
