package network

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"ksd/sshd/link"
)

// old is what must never be offered.
var old = regexp.MustCompile(`sha1|-cbc|arcfour|3des|ssh-dss|ssh-rsa$|md5|umac-64|group1-|group-exchange|hmac-sha2-(256|512)$|none$`)

func TestNothingOld(t *testing.T) {
	cfg := config()
	all := slices.Concat(cfg.KeyExchanges, cfg.Ciphers, cfg.MACs, cfg.PublicKeyAuthAlgorithms, hostKeys, hostKeysRSA)
	for _, name := range all {
		if old.MatchString(name) {
			t.Errorf("%s is offered", name)
		}
	}
	insecure := ssh.InsecureAlgorithms()
	for _, name := range slices.Concat(insecure.KeyExchanges, insecure.Ciphers, insecure.MACs, insecure.HostKeys, insecure.PublicKeyAuths) {
		if slices.Contains(all, name) {
			t.Errorf("%s is offered, and x/crypto calls it insecure", name)
		}
	}
}

// TestNegotiation has a client that can do one thing only of each list.
func TestNegotiation(t *testing.T) {
	r := serveEach(t, func() *monitor { return newMonitor(t) }, realEnv())
	for _, c := range []struct {
		kind  string
		names []string
		ok    bool
		set   func(*ssh.ClientConfig, string)
		got   func(ssh.NegotiatedAlgorithms) string
	}{
		{
			"key exchange", append(slices.Clone(keyExchanges), "curve25519-sha256@libssh.org"), true,
			func(c *ssh.ClientConfig, s string) { c.KeyExchanges = []string{s} }, func(n ssh.NegotiatedAlgorithms) string { return n.KeyExchange },
		},
		{
			"key exchange", append(ssh.InsecureAlgorithms().KeyExchanges, ssh.KeyExchangeDHGEXSHA256), false,
			func(c *ssh.ClientConfig, s string) { c.KeyExchanges = []string{s} }, nil,
		},
		{
			"cipher", ciphers, true,
			func(c *ssh.ClientConfig, s string) { c.Ciphers = []string{s} }, func(n ssh.NegotiatedAlgorithms) string { return n.Write.Cipher },
		},
		{"cipher", ssh.InsecureAlgorithms().Ciphers, false, func(c *ssh.ClientConfig, s string) { c.Ciphers = []string{s} }, nil},
		{
			"MAC", macs, true,
			func(c *ssh.ClientConfig, s string) { c.Ciphers, c.MACs = []string{ssh.CipherAES128CTR}, []string{s} }, func(n ssh.NegotiatedAlgorithms) string { return n.Read.MAC },
		},
		{
			"MAC",
			[]string{ssh.HMACSHA1, ssh.InsecureHMACSHA196, ssh.HMACSHA256, ssh.HMACSHA512},
			false,
			func(c *ssh.ClientConfig, s string) { c.Ciphers, c.MACs = []string{ssh.CipherAES128CTR}, []string{s} }, nil,
		},
		{
			"host key",
			[]string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512},
			true,
			func(c *ssh.ClientConfig, s string) { c.HostKeyAlgorithms = []string{s} }, func(n ssh.NegotiatedAlgorithms) string { return n.HostKey },
		},
		{
			"host key", append(ssh.InsecureAlgorithms().HostKeys, ssh.KeyAlgoECDSA521), false,
			func(c *ssh.ClientConfig, s string) { c.HostKeyAlgorithms = []string{s} }, nil,
		},
	} {
		for _, name := range c.names {
			t.Run(fmt.Sprintf("%s %s", c.kind, name), func(t *testing.T) {
				cfg := clientConfig()
				c.set(cfg, name)
				client, err := ssh.Dial("tcp", r.addr, cfg)
				if (err == nil) != c.ok {
					t.Fatalf("%v", err)
				}
				if err == nil {
					defer client.Close()
					if got := c.got(client.Conn.(ssh.AlgorithmsConnMetadata).Algorithms()); got != name {
						t.Errorf("negotiated %q", got)
					}
					if v := string(client.ServerVersion()); v != "SSH-2.0-ksd" {
						t.Errorf("it calls itself %q", v)
					}
				}
			})
		}
	}
}

// TestHostKeys refuses keys that nothing could be done with.
func TestHostKeys(t *testing.T) {
	for name, keys := range map[string][][]byte{
		"none": nil, "junk": {[]byte("junk")}, "a certificate's": {marshal(oneString{"ssh-ed25519-cert-v01@openssh.com"})},
	} {
		if _, err := hostSigners(t.Context(), newMonitor(t), keys); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	m := newMonitor(t)
	signers, err := hostSigners(t.Context(), m, m.hello.HostKeys)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range signers {
		s := s.(ssh.MultiAlgorithmSigner)
		data := []byte(strings.Repeat("h", 32))
		sig, err := s.Sign(nil, data)
		if err != nil || s.PublicKey().Verify(data, sig) != nil || old.MatchString(sig.Format) {
			t.Errorf("%s: %v, %v", s.PublicKey().Type(), sig, err)
		}
		if _, err := s.SignWithAlgorithm(nil, data, ssh.KeyAlgoRSA); err == nil {
			t.Errorf("%s signs with SHA-1", s.PublicKey().Type())
		}
	}
	broken := &hostKey{t.Context(), refusing{m}, 0, signers[0].PublicKey(), hostKeys[:1]}
	if _, err := broken.Sign(nil, nil); err == nil {
		t.Error("a monitor that refuses to sign goes unseen")
	}
}

// refusing refuses to sign.
type refusing struct{ *monitor }

func (refusing) Sign(context.Context, link.Sign) (link.Signature, error) {
	return link.Signature{}, link.Refused
}
