// Package conf reads the configuration of ksdd. It stands beside the files it
// reads and those that get installed: ksd.toml, which is at once the shipped
// example and the source of every default, the PAM snippets and the systemd
// units.
//
// A file is TOML of at most MaxSize bytes and needs only the keys it changes.
// What a key means, its unit and its range stand in ksd.toml and are checked
// here, so that a Config can be used without another look. Unknown keys are
// refused. All errors of a file come at once, each an *Error that names file,
// line and key and says what would be right.
package conf

import (
	_ "embed" // for Example
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
)

// MaxSize is the largest configuration file that is read, in bytes.
const MaxSize = 1 << 15

// Example is ksd.toml: every key, explained, with its default.
//
//go:embed ksd.toml
var Example []byte

// Config is a valid configuration. The ranges of its fields stand in ksd.toml.
type Config struct {
	Daemon    Daemon
	Challenge Challenge
	Policy    Policy
	Lockout   Lockout
	Login     Login
	Console   Console
	SSHD      SSHD
	Adapt     Adapt
	Training  Training
	Audit     Audit
}

// Daemon says where the daemon lives and how much it tells.
type Daemon struct {
	State       string // folder of database and models, absolute
	LoginSocket string // path of login.sock, absolute
	APISocket   string // path of ksd.sock, absolute
	LogLevel    slog.Level
}

// Challenge says what people type, and within which limits.
type Challenge struct {
	Phrases     []string      // offered at enrolment, all different
	Kind        Kind          // what people are asked for after that
	Shortest    int           // characters of a text made of words, at least
	Longest     int           // and at most
	Typings     int           // of each phrase, per enrolment sitting
	Warmups     int           // typings at the start of a sitting that do not count
	Corrections int           // allowed in one typing
	Jitter      time.Duration // of the line, above which a typing is not judged
	TypingTime  time.Duration // to type one phrase, from its display to Enter
	Expire      time.Duration // of a challenge given out on the API socket
}

// Kind is what people are asked for.
type Kind string

// The kinds of challenge.
const (
	Phrases Kind = "phrases" // one of those they enrolled
	Words   Kind = "words"   // a new text made of their words
)

// Policy says when typing is believed.
type Policy struct {
	Attempts   int     // decisions per login
	MaxPhrases int     // phrases per attempt
	Tries      int     // typings per attempt that could not be judged; the last ends the login
	FMR        float64 // share of strangers' attempts to accept, 0 to 1
	FNMR       float64 // share of owners' attempts to refuse, 0 to 1
	MinSamples int     // counted typings of a phrase before it is used
}

// Lockout says who has to wait after refusals, and how long.
type Lockout struct {
	Failures       int           // refusals in a row that lock a person
	SourceFailures int           // and a source
	First          time.Duration // the first wait; it doubles from there
	Longest        time.Duration // the longest wait
	Forget         time.Duration // quiet time after which refusals no longer count
}

// Login says what becomes of attempts without a terminal, and what ksd-login
// goes by.
type Login struct {
	NonInteractive NonInteractive
	Groups         []string // whose members may, where NonInteractive is Groups
	Shell          string   // path of the shell behind ksd-login, absolute
	Breakglass     []string // accounts that ksd-login lets in while nobody listens at login.sock
}

// NonInteractive is who may do without typing where there is no terminal to type
// at. The zero value is nobody.
type NonInteractive string

// Who may.
const (
	Deny   NonInteractive = "deny"   // nobody
	Allow  NonInteractive = "allow"  // everybody
	Groups NonInteractive = "groups" // the members of Login.Groups
)

// Console says what is done at the machine's own screen and keyboard.
type Console struct {
	Releases bool // read the keyboards to hear when keys go up
}

// Adapt says whether and how templates follow their owners' hands.
type Adapt struct {
	Enabled bool
	Window  int // typings of a phrase beside the enrolment
	PerWeek int // of them that join in any seven days
}

// Training says how people's heads are trained.
type Training struct {
	Automatic bool          // train after enrolments
	Settle    time.Duration // quiet time before that
	Impostors float64       // drawn strangers for each real typing
	Seed      uint64
}

// Audit says how long decisions are remembered.
type Audit struct {
	KeepDays int // 0: for ever
}

// Default returns the configuration of ksd.toml as shipped.
func Default() Config {
	c, err := parse(Config{}, "ksd.toml", Example)
	if err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	return c
}

// Load reads the file at path. The error wraps fs.ErrNotExist where there is
// none, and is an Errors where its content is wrong.
func Load(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	return Parse(path, data)
}

// Parse reads a file's content; name stands in the errors. The error is an
// Errors.
func Parse(name string, data []byte) (Config, error) {
	return parse(Default(), name, data)
}

// parse reads data over the values of c.
func parse(c Config, name string, data []byte) (Config, error) {
	f := open(name, data)
	f.keys(&c)
	f.relations(&c)
	f.retired("training.epochs", "training.patience")
	f.unknown()
	if len(f.errs) > 0 {
		return Config{}, f.sorted()
	}
	return c, nil
}

// keys is the one list of the keys there are, each with its range.
func (f *file) keys(c *Config) {
	f.path("daemon.state", &c.Daemon.State, 4000)
	f.path("daemon.login_socket", &c.Daemon.LoginSocket, maxSocket)
	f.path("daemon.api_socket", &c.Daemon.APISocket, maxSocket)
	f.level("daemon.log_level", &c.Daemon.LogLevel)

	f.phrases("challenge.phrases", &c.Challenge.Phrases)
	oneOf(f, "challenge.kind", &c.Challenge.Kind, "a kind", Phrases, Words)
	integer(f, "challenge.shortest", &c.Challenge.Shortest, minPhrase, maxPhrase)
	integer(f, "challenge.longest", &c.Challenge.Longest, minPhrase, maxPhrase)
	integer(f, "challenge.typings", &c.Challenge.Typings, 3, 20)
	integer(f, "challenge.warmups", &c.Challenge.Warmups, 0, 10)
	integer(f, "challenge.corrections", &c.Challenge.Corrections, 0, 10)
	f.duration("challenge.jitter", &c.Challenge.Jitter, 5*time.Millisecond, time.Second)
	f.duration("challenge.typing_time", &c.Challenge.TypingTime, 5*time.Second, 5*time.Minute)
	f.duration("challenge.expire", &c.Challenge.Expire, 5*time.Second, 10*time.Minute)

	integer(f, "policy.attempts", &c.Policy.Attempts, 1, 5)
	integer(f, "policy.max_phrases", &c.Policy.MaxPhrases, 1, 10)
	integer(f, "policy.tries", &c.Policy.Tries, 1, 10)
	f.number("policy.fmr", &c.Policy.FMR, 0.0001, 0.2)
	f.number("policy.fnmr", &c.Policy.FNMR, 0.001, 0.5)
	integer(f, "policy.min_samples", &c.Policy.MinSamples, 3, 20)

	integer(f, "lockout.failures", &c.Lockout.Failures, 1, 100)
	integer(f, "lockout.source_failures", &c.Lockout.SourceFailures, 1, 1000)
	f.duration("lockout.first", &c.Lockout.First, time.Second, time.Hour)
	f.duration("lockout.longest", &c.Lockout.Longest, time.Second, 24*time.Hour)
	f.duration("lockout.forget", &c.Lockout.Forget, time.Second, 7*24*time.Hour)

	oneOf(f, "login.noninteractive", &c.Login.NonInteractive, "a rule", Deny, Allow, Groups)
	f.names("login.groups", &c.Login.Groups, "group")
	f.path("login.shell", &c.Login.Shell, 4000)
	f.names("login.breakglass", &c.Login.Breakglass, "account")

	f.boolean("console.releases", &c.Console.Releases)

	f.sshd(&c.SSHD)

	f.boolean("adapt.enabled", &c.Adapt.Enabled)
	integer(f, "adapt.window", &c.Adapt.Window, 1, 50)
	integer(f, "adapt.per_week", &c.Adapt.PerWeek, 1, 50)

	f.boolean("training.automatic", &c.Training.Automatic)
	f.duration("training.settle", &c.Training.Settle, 0, time.Hour)
	f.number("training.impostors", &c.Training.Impostors, 0.1, 100)
	integer(f, "training.seed", &c.Training.Seed, 1, 1<<62)

	integer(f, "audit.keep_days", &c.Audit.KeepDays, 0, 36500)
}

// relations checks the values that must agree with each other.
func (f *file) relations(c *Config) {
	f.relation(c.Daemon.LoginSocket != c.Daemon.APISocket,
		"daemon.login_socket", "daemon.api_socket", "two different paths")
	f.relation(c.Challenge.Expire >= c.Challenge.TypingTime,
		"challenge.expire", "challenge.typing_time", "expire not shorter than typing_time")
	f.relation(c.Challenge.Longest >= c.Challenge.Shortest,
		"challenge.longest", "challenge.shortest", "longest not below shortest")
	f.relation(c.Policy.MinSamples <= c.Challenge.Typings,
		"policy.min_samples", "challenge.typings", "min_samples at most typings, so that one sitting enrols")
	f.relation(c.Lockout.Longest >= c.Lockout.First,
		"lockout.longest", "lockout.first", "longest not shorter than first")
	f.relation(c.Lockout.Forget >= c.Lockout.Longest,
		"lockout.forget", "lockout.longest", "forget not shorter than longest, so that waiting is not forgetting")
	f.relation(c.Login.NonInteractive != Groups || len(c.Login.Groups) > 0,
		"login.noninteractive", "login.groups", "at least one group, so that somebody is meant")
	f.relation(c.Adapt.PerWeek <= c.Adapt.Window,
		"adapt.per_week", "adapt.window", "per_week at most window, so that the window remembers a week")
}
