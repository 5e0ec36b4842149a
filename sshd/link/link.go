// Package link is what the two halves of a connection's ksd-sshd say to each
// other: the network half, which speaks SSH with a stranger and may do nothing
// else, and the monitor, which is root and does what needs root, if the
// connection has come far enough.
//
// The network half asks, the monitor answers. Both ends are one AF_UNIX
// socketpair of type SOCK_SEQPACKET: one message is one packet, a JSON object
// of at most MaxPacket bytes. Unknown fields, unknown operations and
// descriptors where none belong end the connection, for then one half is not
// what it should be.
//
//	{"id":7,"op":"start","body":{…}}           network → monitor
//	{"id":7,"body":{…}}                        monitor → network, descriptors beside it
//	{"id":7,"error":"refused"}                 or why not
//
// Requests may overlap; an answer bears the id of its request. An error is one
// of the Reason constants, a fact without advice or detail: what went wrong
// stands in the monitor's log, where strangers do not read.
//
// # The order of things
//
//	hello, sign                     any time
//	key, password                   until a first factor is proven
//	open                            once, after it: the account is looked at
//	challenge, answer               until the rhythm is proven
//	admit                           until there is any second factor, or a token alone
//	start without a terminal,       after either
//	wait, signal, dial, listen
//	start with a terminal           after the rhythm alone
//
// Admitted by a one-time token, a connection has one start without a terminal and
// no forwarding, and may ask to be admitted again.
//
// The monitor keeps this order, whatever the network half believes. What is out
// of order ends the connection; what is in order and not allowed is Refused.
package link

import (
	"time"

	"ksd/internal/keystroke"
	"ksd/internal/wire"
)

// Op is what is asked for.
type Op string

// The operations. Beside each stand its request and its answer.
const (
	OpHello     Op = "hello"     // Nothing → Hello
	OpSign      Op = "sign"      // Sign → Signature
	OpKey       Op = "key"       // Key → Proof
	OpPassword  Op = "password"  // Password → Proof
	OpOpen      Op = "open"      // Open → Opened
	OpChallenge Op = "challenge" // Challenge → Judged: what to type, or why nothing is asked
	OpAnswer    Op = "answer"    // Answer → Judged
	OpAdmit     Op = "admit"     // Admit → Judged
	OpStart     Op = "start"     // Start → Started and descriptors
	OpWait      Op = "wait"      // Wait → Exited, when it has
	OpSignal    Op = "signal"    // Signal → Nothing
	OpDial      Op = "dial"      // Dial → Nothing and one descriptor
	OpListen    Op = "listen"    // Listen → Listening and one descriptor
)

// Reason is why the monitor does not do what it is asked for.
type Reason string

// The reasons.
const (
	Refused   Reason = "refused"   // the configuration or the state of the connection forbids it
	NotFound  Reason = "not found" // there is no such session, program or address
	Failed    Reason = "failed"    // it was tried and went wrong
	Exhausted Reason = "exhausted" // too many of the kind
)

// Error makes a Reason an error.
func (r Reason) Error() string { return "monitor: " + string(r) }

// Nothing is the body of what needs none.
type Nothing struct{}

// Hello tells the network half all that it needs of the configuration.
type Hello struct {
	HostKeys    [][]byte      `json:"host_keys"` // public, in SSH wire format
	Banner      string        `json:"banner,omitempty"`
	Password    bool          `json:"password"`  // passwords may be tried
	MaxTries    int           `json:"max_tries"` // first factors per connection
	LoginGrace  time.Duration `json:"login_grace"`
	KeepAlive   time.Duration `json:"keep_alive"`   // between two questions; 0: none
	KeepAlives  int           `json:"keep_alives"`  // unanswered ones that end the connection
	IdleTimeout time.Duration `json:"idle_timeout"` // 0: none
	MaxSessions int           `json:"max_sessions"`
	Forwarding  bool          `json:"forwarding"` // of TCP
	Agent       bool          `json:"agent"`      // forwarding of agents
	AcceptEnv   []string      `json:"accept_env"` // patterns, as in path.Match
	Subsystems  []string      `json:"subsystems"`
}

// Sign asks for a host key's signature of an exchange hash (RFC 4253, 8): 32,
// 48 or 64 bytes and nothing else, so that a host key never signs a log-in.
type Sign struct {
	Key       int    `json:"key"` // index into Hello.HostKeys
	Data      []byte `json:"data"`
	Algorithm string `json:"algorithm"`
}

// Signature answers it, as in RFC 4253, 6.6.
type Signature struct {
	Format string `json:"format"`
	Blob   []byte `json:"blob"`
}

// Key asks whether a public key may prove who User is.
type Key struct {
	User string `json:"user"`
	Key  []byte `json:"key"` // SSH wire format
	// Proven says that the client signed with it. Until then an answer means
	// only that it would be worth signing.
	Proven bool `json:"proven"`
}

// Password brings a password to try.
type Password struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// Proof answers Key and Password.
type Proof struct {
	OK bool `json:"ok"`
}

// Open says that the first factor has been proven, for User.
type Open struct {
	User   string `json:"user"`
	Client string `json:"client"` // its version string
}

// Opened answers it. Texts are for the person: a password about to expire, or
// why the account may not be used.
type Opened struct {
	OK         bool     `json:"ok"`
	Texts      []string `json:"texts,omitempty"`
	Passed     bool     `json:"passed"`     // no second factor is asked of this account
	Pty        bool     `json:"pty"`        // the key allows a terminal
	Forwarding bool     `json:"forwarding"` // key and configuration allow it, of TCP
	Agent      bool     `json:"agent"`      // and of agents
}

// Challenge asks for something to type.
type Challenge struct {
	Term string `json:"term,omitempty"`
}

// Answer brings what was typed. What else it tells is as in wire.Typing.
type Answer struct {
	Sample   keystroke.Sample `json:"sample"`
	Silent   *bool            `json:"silent,omitempty"`
	JitterMS float64          `json:"jitter_ms,omitempty"`
}

// Admit asks to be let in without a terminal.
type Admit struct {
	Token string `json:"token,omitempty"`
}

// Judged answers Challenge, Answer and Admit. While Code is "" it goes on with
// Next, which never bears an ID. Code is the last word; Accept alone lets in.
type Judged struct {
	Code   wire.Code       `json:"code,omitempty"`
	Reason wire.Reason     `json:"reason,omitempty"`
	Next   *wire.Challenge `json:"next,omitempty"`
	Text   string          `json:"text,omitempty"` // for the person
	Once   bool            `json:"once,omitempty"` // admitted for one start
}

// Start asks for a process of the account. With Pty set its terminal comes
// back as one descriptor, the master; without, its stdin, stdout and stderr, in
// this order. With Agent set a listening socket follows.
type Start struct {
	Command   []byte            `json:"command,omitempty"`   // none: a login shell. Bytes, as names of files are
	Subsystem string            `json:"subsystem,omitempty"` // one of Hello.Subsystems, in the place of Command
	Env       map[string][]byte `json:"env,omitempty"`
	Pty       *Pty              `json:"pty,omitempty"`
	Agent     bool              `json:"agent,omitempty"`
}

// Pty describes a terminal (RFC 4254, 6.2 and 8).
type Pty struct {
	Term   string           `json:"term"`
	Window Window           `json:"window"`
	Modes  map[uint8]uint32 `json:"modes,omitempty"` // opcode to argument
}

// Window is the size of a terminal.
type Window struct {
	Columns int `json:"columns"`
	Rows    int `json:"rows"`
	Width   int `json:"width"` // pixels
	Height  int `json:"height"`
}

// Started answers it.
type Started struct {
	Session int `json:"session"`
	// Texts are for the person: message of the day and last login for a shell on
	// a terminal, and a home that is not there. Without a terminal they belong
	// on stderr.
	Texts []string `json:"texts,omitempty"`
}

// Wait asks how a session ends.
type Wait struct {
	Session int `json:"session"`
}

// Exited answers it.
type Exited struct {
	Status uint32 `json:"status"`
	Signal string `json:"signal,omitempty"` // that ended it, without SIG (RFC 4254, 6.10)
	Core   bool   `json:"core,omitempty"`
}

// Signal asks for a signal to a session's foreground processes.
type Signal struct {
	Session int    `json:"session"`
	Signal  string `json:"signal"` // without SIG
}

// Dial asks for a connection to "tcp" host:port on the user's behalf.
type Dial struct {
	Host string `json:"host"`
	Port uint32 `json:"port"`
}

// Listen asks for a listener on loopback, for tcpip-forward.
type Listen struct {
	Host string `json:"host"`
	Port uint32 `json:"port"` // 0: any
}

// Listening answers it.
type Listening struct {
	Port uint32 `json:"port"`
}
