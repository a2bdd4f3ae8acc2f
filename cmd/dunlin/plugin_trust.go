package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/cmd/dunlin/plugintool"
)

func (a *app) pluginKeygen() *cobra.Command {
	var form output
	cmd := &cobra.Command{
		Use:   "keygen FILE",
		Short: "Make a key that signs plugins",
		Long: "Write a private ed25519 key to FILE (mode 0600) and the public key to FILE.pub, and print\n" +
			"the public key: operators put it into plugins.trusted_keys. Files that exist are kept.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			k, err := plugintool.NewKey(args[0])
			if err != nil {
				return err
			}
			if form == outputJSON {
				return a.json(map[string]string{"private": args[0], "public": args[0] + ".pub", "key": k.String()})
			}
			fmt.Fprintln(a.out, k)
			return nil
		},
	}
	form.flag(cmd)
	return cmd
}

func (a *app) pluginSign() *cobra.Command {
	var form output
	var key string
	cmd := &cobra.Command{
		Use:   "sign FOLDER --key FILE",
		Short: "Sign a plugin's folder",
		Long: "Write plugin.sig into the folder: the sha256 of the manifest, the schema and all artefacts,\n" +
			"signed with the key. Do it after the last build; every changed byte breaks the signature.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := plugintool.Sign(args[0], key)
			if err != nil {
				return err
			}
			if form == outputJSON {
				return a.json(s)
			}
			fmt.Fprintf(a.out, "%s: %s signed by %s\n", relative(s.File), plural(len(s.Sums), "file"), s.Key)
			return nil
		},
	}
	form.flag(cmd)
	cmd.Flags().StringVar(&key, "key", "", "the private key, as `dunlin plugin keygen` or `openssl genpkey -algorithm ed25519` writes it")
	if err := cmd.MarkFlagRequired("key"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// place is where the configuration says that plugins lie.
func (a *app) place() (*plugintool.Place, error) {
	c, err := a.load()
	if err != nil {
		return nil, faults(err)
	}
	p := &c.Plugins
	return &plugintool.Place{Dir: p.Dirs[0], EtcDir: p.EtcDir, Loaded: p.Loaded, Trust: p.Trust}, nil
}

func (a *app) pluginAdd() *cobra.Command {
	var form output
	var o plugintool.AddOptions
	cmd := &cobra.Command{
		Use:   "add PATH",
		Short: "Install a plugin and note its bytes in plugins.lock",
		Long: "Copy a plugin into the first of plugins.dirs and note the sha256 of each of its files in\n" +
			"plugins.lock: from then on it loads from exactly these bytes. PATH is the folder that\n" +
			"`dunlin plugin build` makes, an artefact in it, or an archive of it (.tar.gz, .tgz, .zip).\n" +
			"Nothing of the plugin runs; manifest, schema, module and signature are checked. What it\n" +
			"asks for is shown; nothing is granted without --grant. A running node is not told.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			place, err := a.place()
			if err != nil {
				return err
			}
			b, err := plugintool.ReadBundle(args[0])
			if err != nil {
				return err
			}
			added, err := place.Add(b, o)
			if err != nil {
				return fmt.Errorf("plugin %s: %w", b.Manifest.Name, err)
			}
			if form == outputJSON {
				return a.json(added)
			}
			a.showAdded(added)
			return nil
		},
	}
	form.flag(cmd)
	cmd.Flags().BoolVar(&o.Grant, "grant", false, "write an etc/plugins/NAME.toml that grants what the plugin asks for, if there is none")
	cmd.Flags().BoolVar(&o.Force, "force", false, "take the plugin although the key that signed the installed version has not signed this one")
	return cmd
}

// showAdded says what was installed, what it may do and what comes next.
func (a *app) showAdded(p *plugintool.Added) {
	signed := "by nobody"
	switch {
	case p.Trusted:
		signed = "by " + p.SignedBy + " (trusted)"
	case p.SignedBy != "":
		signed = "by " + p.SignedBy + ", which is not in plugins.trusted_keys"
	}
	version := p.Version
	if p.Replaced != "" {
		version += ", in place of " + p.Replaced
	}
	asks := strings.Join(p.AsksFor, ", ")
	if asks == "" {
		asks = "nothing"
	}
	for _, row := range [][2]string{
		{"name", p.Name}, {"version", version}, {"description", p.Description}, {"license", p.License},
		{"hooks", strings.Join(p.Hooks, ", ")}, {"asks for", asks}, {"signed", signed},
		{"folder", relative(p.Folder)}, {"lock", relative(p.Lock)},
	} {
		a.showRow(row)
	}
	for _, file := range slices.Sorted(maps.Keys(p.SHA256)) {
		a.showRow([2]string{"sha256", p.SHA256[file] + " " + file})
	}
	for _, n := range p.Notes {
		a.showRow([2]string{"note", n})
	}
	a.showRow([2]string{"next", p.Next})
}

func (a *app) pluginRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a plugin that `dunlin plugin add` has installed",
		Long: "Delete the plugin's folder and its place in plugins.lock. One that is on in loaded_plugins\n" +
			"stays: unload it first. Its file in etc/plugins is kept.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			place, err := a.place()
			if err != nil {
				return err
			}
			switch err := place.Remove(args[0]); {
			case errors.Is(err, fs.ErrNotExist):
				return status.Error(codes.NotFound, err.Error())
			case err != nil:
				return err
			}
			fmt.Fprintf(a.out, "Plugin %s removed.\n", args[0])
			return nil
		},
	}
}
