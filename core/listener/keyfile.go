package listener

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // what old key files were made with
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"os"
)

// mostRounds bounds what a key file may cost.
const mostRounds = 50_000_000

var errPassword = errors.New("key_password does not open it")

// loadPair reads a certificate chain and its key, which may be encrypted.
func (c *TLSConfig) loadPair() (tls.Certificate, error) {
	chain, err := os.ReadFile(c.CertFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certfile: %w", err)
	}
	key, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("keyfile: %w", err)
	}
	if key, err = openKey(key, c.KeyPassword); err != nil {
		return tls.Certificate{}, fmt.Errorf("keyfile %s: %w", c.KeyFile, err)
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certfile, keyfile: %w", err)
	}
	return cert, nil
}

// openKey decrypts the first encrypted key in text; without one text is as it
// was.
func openKey(text []byte, password string) ([]byte, error) {
	for rest := text; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return text, nil
		}
		//lint:ignore SA1019 old files are what it is for
		legacy := x509.IsEncryptedPEMBlock(b)
		if !legacy && b.Type != "ENCRYPTED PRIVATE KEY" {
			continue
		}
		if password == "" {
			return nil, errors.New("it is encrypted: key_password is needed")
		}
		if legacy {
			//lint:ignore SA1019 see above
			der, err := x509.DecryptPEMBlock(b, []byte(password))
			if err != nil {
				return nil, errors.Join(errPassword, err)
			}
			return pem.EncodeToMemory(&pem.Block{Type: b.Type, Bytes: der}), nil
		}
		der, err := openPKCS8(b.Bytes, password)
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
	}
}

// The structures of RFC 5958 and RFC 8018.
type (
	encryptedKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbes2Params struct {
		Derivation, Encryption pkix.AlgorithmIdentifier
	}
	pbkdf2Params struct {
		Salt   []byte
		Rounds int
		Length int                      `asn1:"optional"`
		PRF    pkix.AlgorithmIdentifier `asn1:"optional"`
	}
)

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}

	hashes = map[string]func() hash.Hash{
		"": sha1.New, "1.2.840.113549.2.7": sha1.New, "1.2.840.113549.2.9": sha256.New,
		"1.2.840.113549.2.10": sha512.New384, "1.2.840.113549.2.11": sha512.New,
	}
	aesKeys = map[string]int{ // in CBC
		"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32,
	}
)

// openPKCS8 decrypts a key of PBES2 with PBKDF2 and AES-CBC, which is what
// OpenSSL writes.
func openPKCS8(der []byte, password string) ([]byte, error) {
	var k encryptedKey
	var p pbes2Params
	var kdf pbkdf2Params
	var iv []byte
	if _, err := asn1.Unmarshal(der, &k); err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	if !k.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, fmt.Errorf("encrypted with %v: only PBES2 is supported, write it again with `openssl pkcs8 -topk8 -v2 aes256`", k.Algorithm.Algorithm)
	}
	if _, err := asn1.Unmarshal(k.Algorithm.Parameters.FullBytes, &p); err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	if !p.Derivation.Algorithm.Equal(oidPBKDF2) {
		return nil, fmt.Errorf("key derivation %v: only PBKDF2 is supported", p.Derivation.Algorithm)
	}
	if _, err := asn1.Unmarshal(p.Derivation.Parameters.FullBytes, &kdf); err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	prf := ""
	if len(kdf.PRF.Algorithm) > 0 {
		prf = kdf.PRF.Algorithm.String()
	}
	size, h := aesKeys[p.Encryption.Algorithm.String()], hashes[prf]
	if size == 0 || h == nil {
		return nil, fmt.Errorf("encrypted with %v and %s: only AES in CBC and HMAC with SHA are supported", p.Encryption.Algorithm, prf)
	}
	if _, err := asn1.Unmarshal(p.Encryption.Parameters.FullBytes, &iv); err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	if len(iv) != aes.BlockSize || len(k.Data) == 0 || len(k.Data)%aes.BlockSize != 0 || kdf.Rounds <= 0 || kdf.Rounds > mostRounds {
		return nil, errors.New("encrypted key: bad lengths")
	}
	key, err := pbkdf2.Key(h, password, kdf.Salt, kdf.Rounds, size)
	if err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("encrypted key: %w", err)
	}
	out := make([]byte, len(k.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, k.Data)
	return unpad(out)
}

// unpad takes the padding off, and tells a wrong password by it.
func unpad(b []byte) ([]byte, error) {
	n := int(b[len(b)-1])
	if n == 0 || n > aes.BlockSize {
		return nil, errPassword
	}
	for _, x := range b[len(b)-n:] {
		if int(x) != n {
			return nil, errPassword
		}
	}
	b = b[:len(b)-n]
	if _, err := x509.ParsePKCS8PrivateKey(b); err != nil {
		return nil, errPassword
	}
	return b, nil
}
