package monitor

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func TestOptions(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.FixedZone("", 3600))
	here := netip.MustParseAddr("192.0.2.7")
	for _, c := range []struct {
		options string
		want    restriction
		refused string // what the error says, "" for none
	}{
		{`cert-authority`, restriction{}, "cert-authority"},
		{`principals="ana"`, restriction{}, "principals"},
		{`permitopen="localhost:80"`, restriction{}, "permitopen"},
		{`permitlisten="8080"`, restriction{}, "permitlisten"},
		{`tunnel="0"`, restriction{}, "tunnel"},
		{`verify-required`, restriction{}, "verify-required"},
		{`no-such-thing`, restriction{}, "no-such-thing"},
		{`restrict="yes"`, restriction{}, "restrict"},
		{`command`, restriction{}, "command"},
		{`command=id`, restriction{}, "quotes"},
		{`command="a",command="b"`, restriction{}, "command"},
		{`from="198.51.100.0/24"`, restriction{}, "192.0.2.7"},
		{`from="!192.0.2.7,192.0.2.0/24"`, restriction{}, "192.0.2.7"},
		{`from="example.org"`, restriction{}, "no address"},
		{`from=""`, restriction{}, "no address"},
		{`from="*",from="192.0.2.7"`, restriction{}, "from"},
		{`expiry-time="20261122"`, restriction{}, "expired"},
		{`expiry-time="202611221200"`, restriction{}, "expired"},
		{`expiry-time="20261122110000Z"`, restriction{}, "expired"},
		{`expiry-time="tomorrow"`, restriction{}, "not a time"},
		{`expiry-time="20261399"`, restriction{}, "not a time"},

		{``, restriction{}, ""},
		{`no-pty`, restriction{noPty: true}, ""},
		{`NO-PTY`, restriction{noPty: true}, ""},
		{`no-port-forwarding,no-agent-forwarding`, restriction{noForwarding: true, noAgent: true}, ""},
		{`restrict`, restriction{noPty: true, noForwarding: true, noAgent: true}, ""},
		{`restrict,pty`, restriction{noForwarding: true, noAgent: true}, ""},
		{`no-x11-forwarding,no-user-rc`, restriction{}, ""},
		{`command="echo \"a, b\" c"`, restriction{command: `echo "a, b" c`, forced: true}, ""},
		{`command=""`, restriction{forced: true}, ""},
		{`environment="LD_PRELOAD=/x",environment="A=b"`, restriction{}, ""},
		{`from="198.51.100.1,192.0.2.*"`, restriction{}, ""},
		{`from="192.0.2.0/24"`, restriction{}, ""},
		{`expiry-time="20261123"`, restriction{}, ""},
		{`expiry-time="20261122110001Z"`, restriction{}, ""},
	} {
		line := c.options + " ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl x"
		_, _, options, _, err := ssh.ParseAuthorizedKey([]byte(strings.TrimSpace(line)))
		if err != nil {
			t.Fatalf("%s: %v", c.options, err)
		}
		got, err := restrictionOf(options, here, now)
		if c.refused != "" {
			if !errors.Is(err, errOption) || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %+v, %v, want an error with %q", c.options, got, err, c.refused)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", c.options, got, err, c.want)
		}
	}
}

// What keeps nobody out, though somebody meant it to, is no pattern.
func TestPatterns(t *testing.T) {
	for list, want := range map[string]bool{
		"192.0.2.1": true, "192.0.2.*,!192.0.2.7": true, "10.0.0.0/8,!10.1.0.0/16": true, "2001:db8::/32": true, "*": true,
		"": false, "*,!10.0.0.0/240": false, "*,!host.example": false, "10.0.0.0/8,": false, "*,![12]": false,
	} {
		if got := patterns(list); got != want {
			t.Errorf("%q: %v", list, got)
		}
	}
}

func FuzzOptions(f *testing.F) {
	f.Add(`restrict,command="id"`, "192.0.2.1")
	f.Add(`from="!*,10.0.0.0/8",expiry-time="20300101"`, "::1")
	f.Fuzz(func(t *testing.T, text, addr string) {
		a, err := netip.ParseAddr(addr)
		if err != nil {
			return
		}
		list := strings.Split(text, ",")
		r, err := restrictionOf(list, a, time.Unix(1e9, 0))
		if err != nil && (!errors.Is(err, errOption) || r != (restriction{})) {
			t.Fatalf("%q: %+v, %v", text, r, err)
		}
		if err == nil && slices.ContainsFunc(list, func(o string) bool { return strings.EqualFold(o, "cert-authority") }) {
			t.Fatalf("%q is taken", text)
		}
	})
}

func TestExpand(t *testing.T) {
	a := account{name: "ana", home: "/home/ana"}
	for pattern, want := range map[string]string{
		".ssh/authorized_keys": "/home/ana/.ssh/authorized_keys", "/etc/keys/%u": "/etc/keys/ana",
		"%h/keys": "/home/ana/keys", "/keys/%%h": "/keys/%h",
	} {
		if got := expand(pattern, a); got != want {
			t.Errorf("%s: %s, want %s", pattern, got, want)
		}
	}
}

// The environment's order: a client sets nothing that matters.
func TestEnvironment(t *testing.T) {
	s := surroundings{
		who: account{name: "ana", home: "/home/ana", uid: 2001}, shell: "/bin/bash",
		client: map[string][]byte{"LC_ALL": []byte("C"), "PATH": []byte("/evil"), "USER": []byte("root"), "SSH_TTY": []byte("/x"), "LC_A=B": nil, "LC_NUL": []byte("\x00"), "EVIL": []byte("1")},
		accept: []string{"LC_*", "PATH", "USER", "SSH_*"}, pam: map[string]string{"XDG_SESSION_ID": "7"},
		connection: "192.0.2.7 50000 192.0.2.1 22", term: "vt100", agent: "/tmp/agent",
	}
	want := []string{
		"HOME=/home/ana", "LC_ALL=C", "LOGNAME=ana", "MAIL=/var/mail/ana", "PATH=" + userPath, "SHELL=/bin/bash",
		"SSH_AUTH_SOCK=/tmp/agent", "SSH_CLIENT=192.0.2.7 50000 22", "SSH_CONNECTION=192.0.2.7 50000 192.0.2.1 22",
		"TERM=vt100", "USER=ana", "XDG_SESSION_ID=7",
	}
	if got := s.environment(); !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

// A refusal takes a time of the name's own, whatever was done for it.
func TestRemaining(t *testing.T) {
	for _, least := range []time.Duration{leastKey, leastPassword} {
		for _, user := range []string{"ana", "bob", ""} {
			base := remaining(user, least, 0)
			if base < least || base >= least*6/5 {
				t.Errorf("%q: %v", user, base)
			}
			for _, took := range []time.Duration{time.Microsecond, 4 * time.Millisecond, 20 * time.Millisecond, 3 * time.Second} {
				sum := took + remaining(user, least, took)
				for want := base; want != sum; want *= 2 {
					if want > sum {
						t.Errorf("%q after %v: %v is no multiple of %v", user, took, sum, base)
						break
					}
				}
			}
		}
	}
	// What a hash takes, and what none takes, look alike, also after the longest that
	// PAM waits.
	for _, took := range []time.Duration{2 * time.Millisecond, 60 * time.Millisecond, time.Second, 3 * time.Second, 3060 * time.Millisecond} {
		if got, want := took+remaining("ana", leastPassword, took), remaining("ana", leastPassword, 0); got != want {
			t.Errorf("a password that took %v is answered after %v, want %v", took, got, want)
		}
	}
}
