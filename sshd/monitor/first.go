package monitor

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/msteinert/pam/v2"
	"golang.org/x/crypto/ssh"

	"ksd/conf"
	"ksd/internal/wire"
	"ksd/sshd/link"
)

// maxPassword is the longest password that is tried, in bytes.
const maxPassword = 1024

// nobodys is a password that nobody has: it cannot be typed. nobody is a name that
// no account has: a colon ends the name in passwd(5).
const (
	nobodys = "\b\n\r\177INCORRECT"
	nobody  = "ksd-sshd:nobody"
)

// Key answers whether a public key may prove who somebody is, and, with Proven,
// takes it as proven.
func (m *Monitor) Key(ctx context.Context, k link.Key) (link.Proof, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// A client may ask about its keys before it tries one: so a few more of them.
	m.asked++
	if m.way != "" || m.shut || m.asked > 3*m.o.Config.SSHD.MaxTries {
		return link.Proof{}, errOrder
	}
	if err := m.mayTry(ctx); err != nil {
		return link.Proof{}, err
	}
	began := m.o.Now()
	key, err := ssh.ParsePublicKey(k.Key)
	if err != nil {
		return link.Proof{}, fmt.Errorf("%w: no public key", link.ErrProtocol)
	}
	log := m.log(k.User).With("method", "publickey", "key", ssh.FingerprintSHA256(key), "type", key.Type())
	a, r, err := m.keyOf(k.User, key)
	if err != nil {
		log.Info("first factor refused", "reason", err, "proven", k.Proven)
		return m.refused(ctx, k.User, leastKey, began)
	}
	if k.Proven {
		m.who, m.key, m.way = a, r, "publickey"
		log.Info("first factor accepted", "account", a.name)
	}
	return link.Proof{OK: true}, nil
}

// errNotListed is the fact that a key is in none of an account's files.
var errNotListed = errors.New("not in authorized_keys")

// keyOf returns whose key it is and what its line restricts. The files are read
// for everybody who exists, so that being locked costs no less time.
func (m *Monitor) keyOf(user string, key ssh.PublicKey) (account, restriction, error) {
	a, err := lookup(user)
	if err != nil {
		return account{}, restriction{}, err
	}
	weak := sound(key)
	r, ok := authorized(a, key, m.o.Config.SSHD.AuthorizedKeys, m.o.Remote.Addr(), m.o.Now(), m.log(user))
	unusable := usable(a, false, m.o.Config.SSHD)
	switch {
	case weak != nil:
		return account{}, restriction{}, weak
	case !ok:
		return account{}, restriction{}, errNotListed
	case unusable != nil:
		return account{}, restriction{}, unusable
	}
	return a, r, nil
}

// Password tries a password.
func (m *Monitor) Password(ctx context.Context, p link.Password) (link.Proof, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.way != "" || m.shut {
		return link.Proof{}, errOrder
	}
	if err := m.mayTry(ctx); err != nil {
		return link.Proof{}, err
	}
	began := m.o.Now()
	log := m.log(p.User).With("method", "password")
	if !m.o.Config.SSHD.Password {
		log.Info("first factor refused", "reason", "passwords are not taken")
		return m.refused(ctx, p.User, leastPassword, began)
	}
	a, why := lookup(p.User)
	if why == nil {
		why = usable(a, true, m.o.Config.SSHD)
	}
	s, err := m.tryPassword(a.name, p, why)
	if err != nil {
		log.Info("first factor refused", "reason", err)
		return m.refused(ctx, p.User, leastPassword, began)
	}
	m.who, m.way, m.pam = a, "password", s
	log.Info("first factor accepted", "account", a.name)
	return link.Proof{OK: true}, nil
}

// tryPassword asks PAM in every case, and about nobody with nobody's password
// where why says that the answer is no. By the name itself, modules that count
// failures (pam_faillock, or a directory behind pam_sss or pam_krb5) would lock
// accounts that cannot even log in here out of everywhere else, root first.
func (m *Monitor) tryPassword(name string, p link.Password, why error) (s *stack, err error) {
	password := []byte(p.Password)
	if why == nil && (len(password) == 0 || len(password) > maxPassword || strings.Contains(p.Password, "\x00")) {
		why = errors.New("no password")
	}
	if why != nil {
		name, password = nobody, []byte(nobodys)
	}
	m.o.Main(func() {
		if s, err = begin(name, m.o.Remote.Addr().Unmap().String(), m.connection()); err != nil {
			return
		}
		if err = s.authenticate(password); err != nil || why != nil {
			s.close(m.o.Log)
		}
	})
	if why != nil {
		return nil, why
	}
	return s, err
}

// The least time that a refusal takes. PAM hashes the passwords of accounts alone,
// some 60 ms with yescrypt, and waits for 1 to 3 s after one that is wrong: how
// long hangs on the second of the day alone, so that whoever picks the second
// could see the hash beside it. A refusal takes longer than both together.
const (
	leastKey      = 5 * time.Millisecond
	leastPassword = 4 * time.Second
)

// mayTry fails where no further first factor is heard: what a network half has
// queued up beyond that is not looked at.
func (m *Monitor) mayTry(ctx context.Context) error {
	if m.tries >= m.o.Config.SSHD.MaxTries {
		return fmt.Errorf("%w: too many first factors", link.ErrProtocol)
	}
	return ctx.Err()
}

// refused counts a first factor that failed, and answers no sooner than the
// name's own time.
func (m *Monitor) refused(ctx context.Context, user string, least time.Duration, began time.Time) (link.Proof, error) {
	m.tries++
	m.o.Sleep(ctx, remaining(user, least, m.o.Now().Sub(began)))
	return link.Proof{}, nil
}

// remaining returns how long to wait with a refusal that took so long: until the
// next of 1, 2, 4 … times a while that depends on the name, from least to 1.2
// times that, so that neither the work nor the name shows. OpenSSH does much the
// same for 5 ms (auth2.c, ensure_minimum_time_since).
func remaining(user string, least, took time.Duration) time.Duration {
	h := sha256.Sum256([]byte(user))
	while := least + time.Duration(binary.LittleEndian.Uint32(h[:])%1000)*least/5000
	for while < took {
		while *= 2
	}
	return while - took
}

// Open looks at the account, whatever the first factor was.
func (m *Monitor) Open(ctx context.Context, o link.Open) (link.Opened, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.way == "" || m.opened || m.shut {
		return link.Opened{}, errOrder
	}
	if a, err := lookup(o.User); err != nil || a.name != m.who.name {
		return link.Opened{}, fmt.Errorf("%w: %q has not proven to be %q", link.ErrProtocol, m.who.name, o.User)
	}
	if wire.CleanClient(o.Client) {
		m.client = o.Client
	}
	texts, err := m.accountPhase()
	if err == nil && !m.o.Claim(ctx, m.who.uid) {
		err, texts = errShare, append(texts, "You have too many connections open here: close one, and try again.")
	}
	if err != nil {
		m.shut = true
		m.log(m.who.name).Info("account refused", "reason", err)
		return link.Opened{Texts: texts}, nil
	}
	m.opened = true
	c := m.o.Config.SSHD
	out := link.Opened{
		OK: true, Texts: texts, Pty: !m.key.noPty,
		Forwarding: c.Forwarding && !m.key.noForwarding, Agent: c.AgentForwarding && !m.key.noAgent,
	}
	if c.Unenrolled == conf.UnenrolledAllow && m.unenrolled(ctx) {
		m.rhythm, out.Passed = true, true
		m.passed("none: not enrolled, and unenrolled = \"allow\"")
	}
	return out, nil
}

// errShare is the fact that a person has as many connections as one may have.
var errShare = errors.New("the person has too many connections (per_person)")

// accountPhase asks PAM whether the account may be used, now and from there.
func (m *Monitor) accountPhase() (texts []string, err error) {
	m.o.Main(func() {
		if m.pam == nil {
			if m.pam, err = begin(m.who.name, m.o.Remote.Addr().Unmap().String(), m.connection()); err != nil {
				return
			}
		}
		err = m.pam.account(m.who.name)
		texts = m.pam.talk.take()
	})
	if errors.Is(err, pam.ErrNewAuthtokReqd) {
		texts = append(texts, "Your password has expired. Change it at a console, or ask your administrator to.")
	}
	return texts, err
}
