package plugintool

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/wholefile"
)

// keyBlock is the kind of PEM block of a private key, as `openssl genpkey` makes it.
const keyBlock = "PRIVATE KEY"

// NewKey makes a key that signs plugins: the private one in path, for its owner alone,
// the public one in path.pub. Neither file may exist.
func NewKey(path string) (k manifest.PublicKey, err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return k, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return k, err
	}
	k = manifest.PublicKey(public)
	if err := writeNew(path, pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), 0o600); err != nil {
		return k, err
	}
	if err := writeNew(path+".pub", []byte(k.String()+"\n"), 0o644); err != nil {
		return k, errors.Join(err, os.Remove(path))
	}
	return k, nil
}

// writeNew writes a file that must not exist.
func writeNew(path string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// readKey reads a private key. One that others can read is refused: it would sign in
// their name too.
func readKey(path string) (ed25519.PrivateKey, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if m := fi.Mode().Perm(); runtime.GOOS != "windows" && m&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %04o: others can use the key; chmod 600 it, or make another one if they may have", path, m)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != keyBlock {
		return nil, fmt.Errorf("%s: not a private key: want a PEM block %q, as `dunlin plugin keygen` writes it", path, keyBlock)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: a key of type %T, want ed25519", path, key)
	}
	return private, nil
}

// Signed is what Sign has done.
type Signed struct {
	Name string            `json:"name"`
	File string            `json:"file"`
	Key  string            `json:"key"`
	Sums map[string]string `json:"sha256"`
}

// Sign writes plugin.sig into a plugin's folder, over the manifest, the schema and all
// artefacts. An old signature is replaced.
func Sign(dir, keyFile string) (*Signed, error) {
	key, err := readKey(keyFile)
	if err != nil {
		return nil, err
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return nil, fmt.Errorf("%s is not a folder: sign the folder that `dunlin plugin build` makes", dir)
	}
	b, err := collect(folder(dir), "")
	if err == nil {
		delete(b.Files, manifest.SignatureFile)
		err = b.check()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	path := filepath.Join(dir, manifest.SignatureFile)
	sums := b.Sums()
	if err := wholefile.Replace(path, manifest.Sign(key, sums), 0o644, nil); err != nil {
		return nil, err
	}
	return &Signed{Name: b.Manifest.Name, File: path, Key: manifest.PublicKey(key.Public().(ed25519.PublicKey)).String(), Sums: sums}, nil
}
