package conf

import (
	"fmt"
	"net"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// SSHD says how ksd-sshd serves.
type SSHD struct {
	Listen          []string      // addresses with ports, as net.Listen takes them
	HostKeys        []string      // paths of private keys, absolute
	AuthorizedKeys  []string      // patterns of paths: %h %u %%
	Password        bool          // is a first factor
	RootLogin       RootLogin     // by which first factor
	Unenrolled      Unenrolled    // what becomes of people without a rhythm
	Banner          string        // path of a file shown before anything else, "" for none
	LoginGrace      time.Duration // from the connection to the second factor
	MaxTries        int           // of first factors per connection
	MaxSessions     int           // open at once per connection
	MaxConnections  int
	PerPerson       int // connections of one person, from the first factor on
	MaxStartups     Startups
	PerSource       int           // connections of one source that have no first factor yet
	KeepAlive       time.Duration // between two questions, 0: none
	KeepAlives      int           // unanswered ones that end a connection
	IdleTimeout     time.Duration // 0: none
	Forwarding      bool          // of TCP
	AgentForwarding bool
	AcceptEnv       []string // patterns of names, as in path.Match
	SFTPServer      string   // path of the program, "" for none
}

// RootLogin is how root may log in. The zero value is not at all.
type RootLogin string

// How root may.
const (
	RootNo  RootLogin = "no"
	RootKey RootLogin = "key" // by public key alone
	RootYes RootLogin = "yes"
)

// Unenrolled is what becomes of people whose rhythm is not known. The zero value
// denies.
type Unenrolled string

// What becomes of them.
const (
	UnenrolledDeny  Unenrolled = "deny"
	UnenrolledAllow Unenrolled = "allow" // the first factor is enough
)

// Startups is how many connections may be open that have no first factor yet: from
// Start on, Rate percent of new ones are dropped at random, and all from Full on.
type Startups struct{ Start, Rate, Full int }

// String returns the form of the file, "start:rate:full".
func (s Startups) String() string { return fmt.Sprintf("%d:%d:%d", s.Start, s.Rate, s.Full) }

// sshd is the list of the keys of [sshd].
func (f *file) sshd(c *SSHD) {
	listed(f, "sshd.listen", &c.Listen, `1 to 16 addresses with ports, such as "192.0.2.1:22", "[::1]:2222" or ":2222"`, 1, isAddress)
	listed(f, "sshd.host_keys", &c.HostKeys, "1 to 16 absolute paths", 1, filepath.IsAbs)
	listed(f, "sshd.authorized_keys", &c.AuthorizedKeys, "up to 16 paths, which %h, %u and %% may stand in", 0, isPattern)
	f.boolean("sshd.password", &c.Password)
	oneOf(f, "sshd.root_login", &c.RootLogin, "a rule", RootNo, RootKey, RootYes)
	oneOf(f, "sshd.unenrolled", &c.Unenrolled, "a rule", UnenrolledDeny, UnenrolledAllow)
	f.pathOrNone("sshd.banner", &c.Banner)
	f.duration("sshd.login_grace", &c.LoginGrace, 10*time.Second, 30*time.Minute)
	integer(f, "sshd.max_tries", &c.MaxTries, 1, 20)
	integer(f, "sshd.max_sessions", &c.MaxSessions, 1, 100)
	integer(f, "sshd.max_connections", &c.MaxConnections, 1, 100000)
	integer(f, "sshd.per_person", &c.PerPerson, 1, 100000)
	f.startups("sshd.max_startups", &c.MaxStartups)
	integer(f, "sshd.per_source", &c.PerSource, 1, 100000)
	f.duration("sshd.keep_alive", &c.KeepAlive, 0, time.Hour)
	integer(f, "sshd.keep_alives", &c.KeepAlives, 1, 100)
	f.duration("sshd.idle_timeout", &c.IdleTimeout, 0, 7*24*time.Hour)
	f.boolean("sshd.forwarding", &c.Forwarding)
	f.boolean("sshd.agent_forwarding", &c.AgentForwarding)
	listed(f, "sshd.accept_env", &c.AcceptEnv, "up to 16 names of variables, which * and ? may stand in", 0, isVariable)
	f.pathOrNone("sshd.sftp_server", &c.SFTPServer)
}

// listed reads a list of different words that are good.
func listed(f *file, key string, dst *[]string, want string, least int, good func(string) bool) {
	const most = 16
	v, ok := read[[]string](f, key, want)
	if !ok {
		return
	}
	if len(v) < least || len(v) > most {
		f.fail(key, fmt.Sprintf("there are %d", len(v)), want)
		return
	}
	for i, s := range v {
		if !good(s) || strings.ContainsFunc(s, unicode.IsControl) || slices.Contains(v[:i], s) {
			f.fail(key, fmt.Sprintf("%q is wrong or stands there already", s), want)
			return
		}
	}
	*dst = v
}

// isAddress accepts numbers alone: a name could mean another place tomorrow.
func isAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	address, _, _ := strings.Cut(host, "%")
	return err == nil && n > 0 && (host == "" || net.ParseIP(address) != nil)
}

// isPattern accepts paths with %h, %u and %% alone.
func isPattern(s string) bool {
	rest := strings.NewReplacer("%%", "", "%h", "", "%u", "").Replace(s)
	return s != "" && !strings.Contains(rest, "%")
}

func isVariable(s string) bool {
	_, err := path.Match(s, "")
	return err == nil && s != "" && !strings.ContainsAny(s, "=/\\")
}

// pathOrNone reads an absolute path, or "".
func (f *file) pathOrNone(key string, dst *string) {
	if v, ok := read[string](f, key, `an absolute path, or ""`); ok && v == "" {
		*dst = ""
		return
	}
	f.path(key, dst, 4000)
}

func (f *file) startups(key string, dst *Startups) {
	const want = `"start:rate:full" with 1 <= start <= full <= 100000 and a rate of 1 to 100 percent`
	s, ok := read[string](f, key, want)
	if !ok {
		return
	}
	var v Startups
	_, err := fmt.Sscanf(s, "%d:%d:%d", &v.Start, &v.Rate, &v.Full)
	if err != nil || v.String() != s || v.Start < 1 || v.Full < v.Start || v.Full > 100000 || v.Rate < 1 || v.Rate > 100 {
		f.fail(key, strconv.Quote(s)+" is not a limit", want)
		return
	}
	*dst = v
}
