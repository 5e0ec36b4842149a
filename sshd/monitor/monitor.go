// Package monitor is the root half of a connection to ksd-sshd. It keeps the
// order that package link describes, holds the host keys, asks PAM, reads
// authorized_keys, asks the daemon, and starts what the person asks for.
//
// It believes the network half in one thing alone: that a client has signed
// with a public key (link.Key.Proven), because golang.org/x/crypto/ssh does not
// hand out what was signed. A network half that somebody has taken over can
// therefore pass for a client with a key that stands in somebody's
// authorized_keys. It cannot make up a password, nor the second factor, nor a
// key that does not stand there.
//
// # Who may log in
//
// The account must exist, have a shell that can be run, and not be locked: a
// password field in shadow that begins with "!" keeps keys out, too, as sshd
// without PAM has it ("*" does not: an account without a password). Root goes
// by root_login. PAM's account phase is asked whatever the first factor was, and
// refuses expired accounts and passwords.
//
// To a client all of that looks alike, and like a wrong password: answers that
// refuse take a time that depends on the name alone, and PAM is asked every
// time: about nobody, with a password that is nobody's, where the answer is no
// already. Who was meant stands in this program's log, not in PAM's.
//
// # Threads
//
// /proc/self/loginuid, keyrings and security contexts belong to a thread, and
// are inherited by what this thread starts. All of PAM, and the start of every
// process, is handed to Options.Main, which runs it on the main thread.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"ksd/conf"
	"ksd/internal/wire"
	"ksd/sshd/link"
)

// Service is what ksd-sshd is called by PAM and by the daemon.
const Service = "ksd-sshd"

// Options is what a monitor needs.
type Options struct {
	Config        conf.Config
	HostKeys      []ssh.Signer
	Remote, Local netip.AddrPort
	// Main runs f on the main thread and returns when it has.
	Main func(f func())
	Now  func() time.Time
	// Sleep waits for d, or for the end of ctx.
	Sleep func(ctx context.Context, d time.Duration)
	// Claim says whether the person with a uid, which a first factor has told, may
	// have this connection beside their others.
	Claim func(ctx context.Context, uid uint32) bool
	// Passed is called once, when a second factor is proven.
	Passed func()
	Log    *slog.Logger // with the source of the connection
}

// Monitor serves one connection. It is a link.Monitor.
type Monitor struct {
	o     Options
	start time.Time
	once  sync.Once // of o.Passed

	mu         sync.Mutex
	tries      int // of first factors
	asked      int // keys asked about
	who        account
	way        string      // the first factor that was proven, "" for none yet
	key        restriction // of the key that proved it
	client     string      // its version
	opened     bool        // the account may be used
	shut       bool        // the account may not be used, or the second factor was refused
	rhythm     bool        // the second factor is proven, or none is asked
	admitted   bool        // let in without a terminal
	byToken    bool        // that by a token, so for one process
	spent      bool        // which was asked for
	challenges int
	admissions int
	id         string // of the challenge that is to be answered
	daemon     *wire.Client
	pam        *stack
	person     *person // once PAM has opened the session
	agents     []*agent
	listeners  int

	sessions sessions
	dials    atomic.Int32 // under way
}

var _ link.Monitor = (*Monitor)(nil)

// errOrder is the fact that the network half asks for what cannot be its turn.
var errOrder = fmt.Errorf("%w: out of order", link.ErrProtocol)

// New returns the monitor of one connection. Close ends it.
func New(o Options) *Monitor {
	return &Monitor{o: o, start: o.Now(), sessions: sessions{all: map[int]*session{}}}
}

// Close hangs up on everything that was started and closes what was opened.
func (m *Monitor) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions.hangUp()
	for _, a := range m.agents {
		a.remove()
	}
	m.agents = nil
	m.hangUp()
	if m.pam != nil {
		m.o.Main(func() { m.pam.close(m.o.Log) })
		m.pam = nil
	}
	m.shut = true
}

// Hello tells what of the configuration the network half needs.
func (m *Monitor) Hello(context.Context) (link.Hello, error) {
	c := m.o.Config.SSHD
	h := link.Hello{
		Banner: banner(c.Banner, m.o.Log), Password: c.Password, MaxTries: c.MaxTries,
		LoginGrace: c.LoginGrace, KeepAlive: c.KeepAlive, KeepAlives: c.KeepAlives, IdleTimeout: c.IdleTimeout,
		MaxSessions: c.MaxSessions, Forwarding: c.Forwarding, Agent: c.AgentForwarding, AcceptEnv: c.AcceptEnv,
	}
	for _, k := range m.o.HostKeys {
		h.HostKeys = append(h.HostKeys, k.PublicKey().Marshal())
	}
	if c.SFTPServer != "" {
		h.Subsystems = []string{"sftp"}
	}
	return h, nil
}

// maxBanner is how much of a banner is shown, in bytes.
const maxBanner = 1 << 14

// banner reads the text that is shown before anything else.
func banner(path string, log *slog.Logger) string {
	if path == "" {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		log.Warn("no banner", "error", err)
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxBanner))
	if err != nil {
		log.Warn("no banner", "error", err)
	}
	return string(b)
}

// source is where the attempt comes from, as the daemon names it: an IPv4
// address, or the 64 bits of an IPv6 address that one customer has.
func (m *Monitor) source() string {
	a := m.o.Remote.Addr().Unmap()
	if a.Is4() {
		return "host:" + a.String()
	}
	return "host:" + netip.PrefixFrom(a.WithZone(""), 64).Masked().String()
}

// log returns the log with who it is about. Whence they come it says already.
func (m *Monitor) log(user string) *slog.Logger { return m.o.Log.With("user", user) }

// passed is told that some second factor is proven.
func (m *Monitor) passed(factor string) {
	m.log(m.who.name).Info("let in", "first", m.way, "second", factor, "client", m.client,
		"took_ms", m.o.Now().Sub(m.start).Milliseconds())
	m.once.Do(m.o.Passed)
}

// let says whether what follows the second factor may be asked for, in the right
// order at all.
func (m *Monitor) let() error {
	if m.shut || !m.opened || !m.rhythm && !m.admitted {
		return errOrder
	}
	return nil
}

// failed logs what went wrong and returns what the network half is told of it.
func (m *Monitor) failed(what string, err error) error {
	var r link.Reason
	if errors.As(err, &r) {
		return r
	}
	m.log(m.who.name).Warn(what, "error", err)
	return link.Failed
}
