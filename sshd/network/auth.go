package network

import (
	"crypto/rsa"
	"errors"
	"strings"

	gliderlabs "github.com/gliderlabs/ssh"
	"golang.org/x/crypto/ssh"

	"ksd/internal/wire"
	"ksd/sshd/link"
)

// Limits of what the first factor may bring. OpenSSH's are the same.
const (
	maxUser     = 255
	maxPassword = 1024
	minRSA      = 2048 // bits
)

var (
	errRefused = errors.New("permission denied")
	errUser    = errors.New("the user was changed")
	errAccount = errors.New("the account may not be used")
)

// auth is the first factor of a connection. x/crypto calls its methods one
// after the other. Whom a connection is for is fixed with its first attempt, as
// OpenSSH has it: gliderlabs/ssh goes on to tell the first name whatever comes
// later, and x/crypto the last.
type auth struct {
	c    *connection
	user string
	seen bool  // an attempt was made; user is for good
	over error // what ended it: nothing succeeds any more
}

// configure adds the first factor to a server's configuration, but for public
// keys themselves, which gliderlabs/ssh insists on handing over (publicKey).
func (a *auth) configure(cfg *ssh.ServerConfig) {
	h := &a.c.hello
	cfg.MaxAuthTries = max(h.MaxTries, 1)
	cfg.BannerCallback = func(m ssh.ConnMetadata) string {
		a.attempt(m)
		return h.Banner
	}
	cfg.AuthLogCallback = a.log
	cfg.VerifiedPublicKeyCallback = a.verified
	if h.Password {
		cfg.PasswordCallback = a.password
	}
}

// attempt reports whether an attempt may go on. It fixes the user at the first.
func (a *auth) attempt(m ssh.ConnMetadata) error {
	if !a.seen {
		a.seen, a.user = true, m.User()
		if a.user == "" || len(a.user) > maxUser || strings.ContainsRune(a.user, 0) {
			a.over = errRefused
		}
	}
	if m.User() != a.user {
		a.over = errUser
	}
	return a.over
}

// publicKey says whether a key is worth signing with. It goes by the first
// user; that this attempt is of another one shows in verified.
func (a *auth) publicKey(_ gliderlabs.Context, key gliderlabs.PublicKey) bool {
	if a.over != nil || !a.seen || !strong(key) {
		return false
	}
	proof, err := a.c.monitor.Key(a.c.ctx, link.Key{User: a.user, Key: key.Marshal()})
	return err == nil && proof.OK
}

// strong reports whether a key is of a kind that counts: no certificate, whose
// rules nobody here enforces, and no short RSA.
func strong(key ssh.PublicKey) bool {
	if _, ok := key.(*ssh.Certificate); ok {
		return false
	}
	if k, ok := key.(ssh.CryptoPublicKey); ok {
		if r, ok := k.CryptoPublicKey().(*rsa.PublicKey); ok {
			return r.N.BitLen() >= minRSA
		}
	}
	return true
}

// verified is told that the client signed with a key that publicKey approved.
func (a *auth) verified(m ssh.ConnMetadata, key ssh.PublicKey, p *ssh.Permissions, _ string) (*ssh.Permissions, error) {
	if err := a.attempt(m); err != nil {
		return nil, err
	}
	proof, err := a.c.monitor.Key(a.c.ctx, link.Key{User: a.user, Key: key.Marshal(), Proven: true})
	if err != nil || !proof.OK {
		return nil, errRefused
	}
	return p, a.proven(m)
}

func (a *auth) password(m ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
	defer clear(password)
	if err := a.attempt(m); err != nil {
		return nil, err
	}
	if len(password) == 0 || len(password) > maxPassword {
		return nil, errRefused
	}
	proof, err := a.c.monitor.Password(a.c.ctx, link.Password{User: a.user, Password: string(password)})
	if err != nil || !proof.OK {
		return nil, errRefused
	}
	return nil, a.proven(m)
}

// proven has the account looked at, once a first factor was proven. An account
// that may not be used ends the connection, as it does with OpenSSH, and the
// person is told why.
func (a *auth) proven(m ssh.ConnMetadata) error {
	o, err := a.c.monitor.Open(a.c.ctx, link.Open{User: a.user, Client: clientOf(m)})
	if err == nil && o.OK {
		a.c.opened(o, clientOf(m))
		return nil
	}
	a.over = errAccount
	a.c.endSoon(errAccount)
	return &ssh.BannerError{Err: errAccount, Message: lines(o.Texts, "\r\n")}
}

// log is told of each attempt. One that is over for good ends the connection.
func (a *auth) log(m ssh.ConnMetadata, method string, err error) {
	_ = a.attempt(m)
	a.c.env.Log.Debug("first factor", "method", method, "ok", err == nil)
	if errors.Is(a.over, errUser) {
		a.c.end(errUser)
	}
}

// clientOf returns the name and version of the client's program, such as
// "OpenSSH_9.9p1 Debian-3", and "" where it is not as RFC 4253, 4.2 has it.
func clientOf(m ssh.ConnMetadata) string {
	v := string(m.ClientVersion())
	for _, prefix := range []string{"SSH-2.0-", "SSH-1.99-"} {
		if after, ok := strings.CutPrefix(v, prefix); ok && wire.CleanClient(after) {
			return after
		}
	}
	return ""
}
