package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/ssh"

	"ksd/sshd/link"
)

// version is what strangers are told. It names no version to look up.
const version = "SSH-2.0-ksd"

// What is offered, best first: nothing with SHA-1, CBC, DSA or a MAC before
// encryption. The client's order decides (RFC 4253, 7.1).
var (
	keyExchanges = []string{
		ssh.KeyExchangeMLKEM768X25519,
		ssh.KeyExchangeCurve25519, // and its older name, which x/crypto adds
		ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521,
		ssh.KeyExchangeDH16SHA512, ssh.KeyExchangeDH14SHA256,
	}
	ciphers = []string{
		ssh.CipherChaCha20Poly1305,
		ssh.CipherAES256GCM, ssh.CipherAES128GCM,
		ssh.CipherAES256CTR, ssh.CipherAES192CTR, ssh.CipherAES128CTR,
	}
	macs = []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM}

	publicKeys = []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
		ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
	}
	hostKeys = []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	}
	hostKeysRSA = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
)

// config is the part of a server's configuration that is the same for all.
func config() *ssh.ServerConfig {
	return &ssh.ServerConfig{
		Config:                  ssh.Config{KeyExchanges: keyExchanges, Ciphers: ciphers, MACs: macs},
		PublicKeyAuthAlgorithms: publicKeys,
		ServerVersion:           version,
	}
}

// hostKey signs with a key that the monitor holds.
type hostKey struct {
	ctx        context.Context
	monitor    link.Monitor
	index      int
	public     ssh.PublicKey
	algorithms []string
}

// hostSigners returns a signer for each of the monitor's keys, which must be of
// a kind that is offered.
func hostSigners(ctx context.Context, m link.Monitor, keys [][]byte) ([]ssh.Signer, error) {
	if len(keys) == 0 {
		return nil, errors.New("no host keys")
	}
	out := make([]ssh.Signer, len(keys))
	for i, b := range keys {
		public, err := ssh.ParsePublicKey(b)
		if err != nil {
			return nil, fmt.Errorf("host key %d: %w", i, err)
		}
		k := &hostKey{ctx, m, i, public, []string{public.Type()}}
		switch {
		case public.Type() == ssh.KeyAlgoRSA:
			k.algorithms = hostKeysRSA
		case !slices.Contains(hostKeys, public.Type()):
			return nil, fmt.Errorf("host key %d: type %q is not offered", i, public.Type())
		}
		out[i] = k
	}
	return out, nil
}

// PublicKey returns the public half.
func (k *hostKey) PublicKey() ssh.PublicKey { return k.public }

// Algorithms returns what the key may sign with.
func (k *hostKey) Algorithms() []string { return k.algorithms }

// Sign has the monitor sign with the first of the key's algorithms.
func (k *hostKey) Sign(r io.Reader, data []byte) (*ssh.Signature, error) {
	return k.SignWithAlgorithm(r, data, "")
}

// SignWithAlgorithm has the monitor sign, with its own source of randomness.
func (k *hostKey) SignWithAlgorithm(_ io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	if algorithm == "" {
		algorithm = k.algorithms[0]
	}
	if !slices.Contains(k.algorithms, algorithm) {
		return nil, fmt.Errorf("host key %d does not sign with %q", k.index, algorithm)
	}
	s, err := k.monitor.Sign(k.ctx, link.Sign{Key: k.index, Data: data, Algorithm: algorithm})
	if err != nil {
		return nil, err
	}
	return &ssh.Signature{Format: s.Format, Blob: s.Blob}, nil
}
