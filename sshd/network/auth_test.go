package network

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"ksd/sshd/link"
)

// attempt logs in with the configuration changed as given, and returns the error
// and the banners.
func (r *rig) attempt(change func(*ssh.ClientConfig)) (banners string, err error) {
	r.tb.Helper()
	cfg := clientConfig()
	cfg.BannerCallback = func(b string) error { banners += b; return nil }
	change(cfg)
	c, err := ssh.Dial("tcp", r.addr, cfg)
	if err == nil {
		c.Close()
	}
	return banners, err
}

func TestFirstFactor(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Log("no short RSA key to try here:", err)
	}
	for name, c := range map[string]struct {
		auth []ssh.AuthMethod
		user string
		ok   bool
	}{
		"nothing":           {nil, goodUser, false},
		"another key":       {[]ssh.AuthMethod{ssh.PublicKeys(keys().other)}, goodUser, false},
		"another user":      {[]ssh.AuthMethod{ssh.PublicKeys(keys().client)}, "eva", false},
		"no user":           {[]ssh.AuthMethod{ssh.PublicKeys(keys().client)}, "", false},
		"a long user":       {[]ssh.AuthMethod{ssh.PublicKeys(keys().client)}, strings.Repeat("x", 256), false},
		"a wrong password":  {[]ssh.AuthMethod{ssh.Password("wrong")}, goodUser, false},
		"an empty password": {[]ssh.AuthMethod{ssh.Password("")}, goodUser, false},
		"a huge password":   {[]ssh.AuthMethod{ssh.Password(strings.Repeat("x", maxPassword+1))}, goodUser, false},
		"the key":           {[]ssh.AuthMethod{ssh.PublicKeys(keys().client)}, goodUser, true},
		"the second key":    {[]ssh.AuthMethod{ssh.PublicKeys(keys().other, keys().client)}, goodUser, true},
		"the password":      {[]ssh.AuthMethod{ssh.Password(goodPassword)}, goodUser, true},
		"key, then password": {
			[]ssh.AuthMethod{ssh.PublicKeys(keys().other), ssh.Password(goodPassword)}, goodUser, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMonitor(t)
			m.hello.Banner = "be kind\n"
			r := serve(t, m, realEnv())
			banner, err := r.attempt(func(cfg *ssh.ClientConfig) { cfg.Auth, cfg.User = c.auth, c.user })
			if (err == nil) != c.ok {
				t.Errorf("%v", err)
			}
			if banner != "be kind\n" {
				t.Errorf("banner %q", banner)
			}
			r.end()
			if name == "an empty password" || name == "a huge password" {
				if slices.Contains(m.asked, "password") {
					t.Error("the monitor was asked")
				}
			}
			if opened := slices.Contains(m.asked, "open"); opened != c.ok {
				t.Errorf("asked %v", m.asked)
			}
		})
	}
	t.Run("a short RSA key", func(t *testing.T) {
		if short == nil {
			t.Skip("none could be made")
		}
		s, err := ssh.NewPublicKey(&short.PublicKey)
		if err != nil || strong(s) {
			t.Errorf("strong, %v", err)
		}
	})
	t.Run("a certificate", func(t *testing.T) {
		if strong(&ssh.Certificate{Key: keys().client.PublicKey()}) {
			t.Error("strong")
		}
	})
}

// TestNoPasswords has them switched off.
func TestNoPasswords(t *testing.T) {
	m := newMonitor(t)
	m.hello.Password = false
	r := serve(t, m, realEnv())
	if _, err := r.attempt(func(cfg *ssh.ClientConfig) { cfg.Auth = []ssh.AuthMethod{ssh.Password(goodPassword)} }); err == nil {
		t.Error("let in")
	}
	if r.end(); slices.Contains(m.asked, "password") {
		t.Error("the monitor was asked")
	}
}

// TestTries counts attempts.
func TestTries(t *testing.T) {
	m := newMonitor(t)
	m.hello.MaxTries = 3
	r := serve(t, m, realEnv())
	tries := 0
	_, err := r.attempt(func(cfg *ssh.ClientConfig) {
		cfg.Auth = []ssh.AuthMethod{ssh.RetryableAuthMethod(ssh.PasswordCallback(func() (string, error) {
			tries++
			return "wrong", nil
		}), 10)}
	})
	if err == nil || tries != 3 {
		t.Errorf("%d tries, %v", tries, err)
	}
}

// TestAccountRefused tells why an account may not be used, and ends.
func TestAccountRefused(t *testing.T) {
	m := newMonitor(t)
	m.opened = link.Opened{Texts: []string{"This account has expired.\nAsk somebody."}}
	r := serve(t, m, realEnv())
	banner, err := r.attempt(func(cfg *ssh.ClientConfig) {
		cfg.Auth = append(cfg.Auth, ssh.Password(goodPassword)) // the other factor does not help
	})
	if err == nil || banner != "This account has expired.\r\nAsk somebody.\r\n" {
		t.Errorf("%q, %v", banner, err)
	}
	if err := r.end(); err == nil {
		t.Error("Serve says nothing of it")
	}
	if n := len(slices.DeleteFunc(m.asked, func(op string) bool { return op != "open" && op != "password" })); n != 1 {
		t.Errorf("asked %v", m.asked)
	}
}

// TestUserIsFixed changes the user between attempts, which x/crypto's own client
// does not: what it sends is taken apart and put together again here.
func TestUserIsFixed(t *testing.T) {
	a := &auth{c: &connection{env: realEnv(), monitor: newMonitor(t)}}
	a.c.ctx, a.c.cancel = t.Context(), func(error) {}
	ended := error(nil)
	a.c.cancel = func(err error) { ended = err }
	if a.publicKey(nil, keys().client.PublicKey()) {
		t.Error("a key is taken before there was an attempt")
	}
	if err := a.attempt(meta{"eva"}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.password(meta{goodUser}, []byte(goodPassword)); !errors.Is(err, errUser) {
		t.Errorf("a password of another user: %v", err)
	}
	if _, err := a.verified(meta{goodUser}, keys().client.PublicKey(), nil, ""); !errors.Is(err, errUser) {
		t.Errorf("a key of another user: %v", err)
	}
	if _, err := a.password(meta{"eva"}, []byte(goodPassword)); err == nil {
		t.Error("it goes on after that")
	}
	if a.publicKey(nil, keys().client.PublicKey()) {
		t.Error("a key is taken after that")
	}
	a.log(meta{goodUser}, "password", errRefused)
	if !errors.Is(ended, errUser) {
		t.Errorf("the connection goes on: %v", ended)
	}
	if n := len(a.c.monitor.(*monitor).asked); n != 0 {
		t.Errorf("the monitor was asked %d times", n)
	}
}

// meta is an attempt in the name of a user.
type meta struct{ user string }

func (m meta) User() string          { return m.user }
func (m meta) SessionID() []byte     { return []byte("id") }
func (m meta) ClientVersion() []byte { return []byte("SSH-2.0-OpenSSH_9.9p1 Debian-3") }
func (m meta) ServerVersion() []byte { return []byte(version) }
func (m meta) RemoteAddr() net.Addr  { return nil }
func (m meta) LocalAddr() net.Addr   { return nil }

type versioned struct {
	meta
	version string
}

func (v versioned) ClientVersion() []byte { return []byte(v.version) }

func TestClientOf(t *testing.T) {
	for in, want := range map[string]string{
		"SSH-2.0-OpenSSH_9.9p1 Debian-3": "OpenSSH_9.9p1 Debian-3",
		"SSH-1.99-OpenSSH_3":             "OpenSSH_3",
		"SSH-2.0-":                       "",
		"SSH-1.5-old":                    "",
		"SSH-2.0-a\x1b[2J":               "",
		"HTTP/1.1":                       "",
	} {
		if got := clientOf(versioned{version: in}); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestGrace ends a connection that proves nothing, at every stage.
func TestGrace(t *testing.T) {
	stage := map[string]func(*rig){
		"says nothing": func(r *rig) {
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = io.Copy(io.Discard, c)
		},
		"opens nothing": func(r *rig) { _ = r.dial().Wait() },
		"types nothing": func(r *rig) {
			p := r.at(r.dial()).shell()
			p.expect("Too late")
			if status, err := p.wait(); status != 1 {
				t.Errorf("status %d, %v", status, err)
			}
		},
	}
	for name, do := range stage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMonitor(t)
			m.hello.LoginGrace = time.Second
			r := serve(t, m, realEnv())
			do(r)
			if err := r.end(); !errors.Is(err, errGrace) {
				t.Errorf("Serve: %v", err)
			}
		})
	}
}
