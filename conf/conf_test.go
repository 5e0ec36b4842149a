package conf

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// The bad files. want is "line key" of each error, in order; say is what the
// message must contain of what would be right.
var bad = []struct {
	name, file string
	want       []string
	say        string
}{
	// Not TOML.
	{"half a line", "[daemon]\nstate =", []string{"2 daemon.state"}, "key = value"},
	{"no quotes", "[daemon]\nlog_level = info\n", []string{"2 daemon.log_level"}, "double quotes"},
	{"open quote", "[daemon]\nlog_level = \"info\n", []string{"2 daemon.log_level"}, "double quotes"},
	{"colon", "[policy]\nfmr: 0.01\n", []string{"2 policy.fmr"}, "key = value"},
	{"a key twice", "[policy]\nfmr = 0.01\nfmr = 0.02\n", []string{"3 policy.fmr"}, "already been defined"},
	{"a section twice", "[policy]\nfmr = 0.01\n[policy]\nfnmr = 0.02\n", []string{"3 policy"}, "already been defined"},
	{"NUL", "[policy]\n\x00\n", []string{"2 policy"}, "key = value"},
	{"not UTF-8", "# \xff\n", []string{"1 "}, "key = value"},

	// Keys and sections that there are not.
	{"unknown key", "[policy]\n\n\nfrm = 0.01\n", []string{"4 policy.frm"}, "fmr, fnmr"},
	{"unknown section", "\n[polcy]\nfmr = 0.01\n", []string{"2 polcy"}, "[policy]"},
	{"key in no section", "fmr = 0.01\n", []string{"1 fmr"}, "[policy]"},
	{"key in another section", "[lockout]\nfmr = 0.01\n", []string{"2 lockout.fmr"}, "source_failures"},
	{"upper case key", "[policy]\nFMR = 0.01\n", []string{"2 policy.FMR"}, "fmr"},
	{"upper case section", "[Policy]\nfmr = 0.01\n", []string{"1 Policy"}, "[policy]"},
	{"key with a space", "[policy]\n\"fmr \" = 0.01\n", []string{"2 policy.fmr "}, "fmr"},
	{"section as a value", "policy = 3\n", []string{"1 policy"}, "a line [policy]"},
	{"section as a list", "\n[[lockout]]\nfailures = 3\n", []string{"2 lockout"}, "a line [lockout]"},
	{"key as a section", "[daemon.state]\npath = \"/x\"\n", []string{"1 daemon.state"}, "absolute path"},
	{"key as a dotted section", "[daemon]\n\nstate.path = \"/x\"\n", []string{"3 daemon.state"}, "absolute path"},

	// Values of the wrong kind.
	{"number for a text", "[daemon]\nstate = 3\n", []string{"2 daemon.state"}, "absolute path"},
	{"text for a number", "[policy]\nattempts = \"2\"\n", []string{"2 policy.attempts"}, "whole number from 1 to 5"},
	{"fraction for a whole number", "[policy]\nattempts = 2.0\n", []string{"2 policy.attempts"}, "whole number"},
	{"text for a share", "[policy]\nfmr = \"1%\"\n", []string{"2 policy.fmr"}, "from 0.0001 to 0.2"},
	{"text for a yes", "[training]\nautomatic = \"yes\"\n", []string{"2 training.automatic"}, "true or false"},
	{"number for a yes", "[training]\nautomatic = 1\n", []string{"2 training.automatic"}, "true or false"},
	{"time without a unit", "[challenge]\nexpire = 60\n", []string{"2 challenge.expire"}, `"10m"`},
	{"text for a list", "[challenge]\nphrases = \"cold water on stones\"\n", []string{"2 challenge.phrases"}, "1 to 20"},
	{"numbers for phrases", "[challenge]\nphrases = [1, 2]\n", []string{"2 challenge.phrases"}, "1 to 20"},

	// Values out of range.
	{"relative path", "[daemon]\nstate = \"ksd\"\n", []string{"2 daemon.state"}, "absolute"},
	{"empty path", "[daemon]\nstate = \"\"\n", []string{"2 daemon.state"}, "absolute"},
	{"NUL in a path", "[daemon]\nstate = \"/x\\u0000y\"\n", []string{"2 daemon.state"}, "absolute"},
	{"long socket", "[daemon]\napi_socket = \"/" + strings.Repeat("x", 107) + "\"\n", []string{"2 daemon.api_socket"}, "107 bytes"},
	{"level", "[daemon]\nlog_level = \"trace\"\n", []string{"2 daemon.log_level"}, `"debug", "info"`},
	{"level in capitals", "[daemon]\nlog_level = \"INFO\"\n", []string{"2 daemon.log_level"}, `"info"`},
	{"no phrases", "[challenge]\nphrases = []\n", []string{"2 challenge.phrases"}, "1 to 20"},
	{"too many phrases", "[challenge]\nphrases = [" + strings.Repeat(`"cold water on stones",`, 21) + "]\n", []string{"2 challenge.phrases"}, "1 to 20"},
	{"short phrase", "[challenge]\nphrases = [\"eleven char\"]\n", []string{"2 challenge.phrases"}, "12 to 64"},
	{"long phrase", "[challenge]\nphrases = [\"" + strings.Repeat("x", 65) + "\"]\n", []string{"2 challenge.phrases"}, "12 to 64"},
	{"tab in a phrase", "[challenge]\nphrases = [\"cold\\twater on stones\"]\n", []string{"2 challenge.phrases"}, "printable"},
	{"escape in a phrase", "[challenge]\nphrases = [\"cold \\u001b[2J on stones\"]\n", []string{"2 challenge.phrases"}, "printable"},
	{"space at the end", "[challenge]\nphrases = [\"cold water on stones \"]\n", []string{"2 challenge.phrases"}, "single spaces"},
	{"two spaces", "[challenge]\nphrases = [\"cold  water on stones\"]\n", []string{"2 challenge.phrases"}, "single spaces"},
	{"a phrase twice", "[challenge]\nphrases = [\"cold water on stones\", \"Cold water on stones\"]\n", []string{"2 challenge.phrases"}, "different"},
	{"two bad phrases", "[challenge]\nphrases = [\"x\", \"cold water on stones\", \"y\"]\n", []string{"2 challenge.phrases", "2 challenge.phrases"}, "12 to 64"},
	{"kind", "[challenge]\nkind = \"sentences\"\n", []string{"2 challenge.kind"}, `"phrases" or "words"`},
	{"kind in capitals", "[challenge]\nkind = \"Words\"\n", []string{"2 challenge.kind"}, `"words"`},
	{"number for a kind", "[challenge]\nkind = 2\n", []string{"2 challenge.kind"}, `"words"`},
	{"shortest", "[challenge]\nshortest = 11\n", []string{"2 challenge.shortest"}, "12 to 64"},
	{"longest", "[challenge]\nlongest = 65\n", []string{"2 challenge.longest"}, "12 to 64"},
	{"typings", "[challenge]\ntypings = 2\n", []string{"2 challenge.typings"}, "3 to 20"},
	{"warmups", "[challenge]\nwarmups = -1\n", []string{"2 challenge.warmups"}, "0 to 10"},
	{"corrections", "[challenge]\ncorrections = 11\n", []string{"2 challenge.corrections"}, "0 to 10"},
	{"typing_time", "[challenge]\ntyping_time = \"4999ms\"\n", []string{"2 challenge.typing_time"}, `"5s" to "5m"`},
	{"negative time", "[challenge]\nexpire = \"-60s\"\n", []string{"2 challenge.expire"}, `"5s" to "10m"`},
	{"no time", "[challenge]\nexpire = \"soon\"\n", []string{"2 challenge.expire"}, `"5s" to "10m"`},
	{"a day", "[lockout]\nforget = \"1d\"\n", []string{"2 lockout.forget"}, `"168h"`},
	{"attempts", "[policy]\nattempts = 0\n", []string{"2 policy.attempts"}, "1 to 5"},
	{"max_phrases", "[policy]\nmax_phrases = 11\n", []string{"2 policy.max_phrases"}, "1 to 10"},
	{"tries", "[policy]\ntries = 0\n", []string{"2 policy.tries"}, "1 to 10"},
	{"fmr of nothing", "[policy]\nfmr = 0\n", []string{"2 policy.fmr"}, "from 0.0001"},
	{"fmr in percent", "[policy]\nfmr = 1\n", []string{"2 policy.fmr"}, "to 0.2"},
	{"fmr nan", "[policy]\nfmr = nan\n", []string{"2 policy.fmr"}, "to 0.2"},
	{"fnmr inf", "[policy]\nfnmr = -inf\n", []string{"2 policy.fnmr"}, "to 0.5"},
	{"min_samples", "[policy]\nmin_samples = 2\n", []string{"2 policy.min_samples"}, "3 to 20"},
	{"failures", "[lockout]\nfailures = 0\n", []string{"2 lockout.failures"}, "1 to 100"},
	{"source_failures", "[lockout]\nsource_failures = 1001\n", []string{"2 lockout.source_failures"}, "1 to 1000"},
	{"first", "[lockout]\nfirst = \"0s\"\n", []string{"2 lockout.first"}, `"1s" to "1h"`},
	{"longest", "[lockout]\nlongest = \"25h\"\n", []string{"2 lockout.longest"}, `"24h"`},
	{"settle", "[training]\nsettle = \"61m\"\n", []string{"2 training.settle"}, `"0s" to "1h"`},
	{"impostors", "[training]\nimpostors = 0.0\n", []string{"2 training.impostors"}, "0.1 to 100"},
	{"rule", "[login]\nnoninteractive = \"maybe\"\n", []string{"2 login.noninteractive"}, `"deny", "allow" or "groups"`},
	{"no rule", "[login]\nnoninteractive = \"\"\n", []string{"2 login.noninteractive"}, `"deny"`},
	{"rule in capitals", "[login]\nnoninteractive = \"Allow\"\n", []string{"2 login.noninteractive"}, `"allow"`},
	{"yes for a rule", "[login]\nnoninteractive = true\n", []string{"2 login.noninteractive"}, `"allow"`},
	{"text for groups", "[login]\ngroups = \"wheel\"\n", []string{"2 login.groups"}, "up to 32"},
	{"numbers for groups", "[login]\n\ngroups = [10]\n", []string{"3 login.groups"}, "up to 32"},
	{"group without a name", "[login]\ngroups = [\"wheel\", \"\"]\n", []string{"2 login.groups"}, "group 2"},
	{"group with a colon", "[login]\ngroups = [\"wheel:x\"]\n", []string{"2 login.groups"}, "printable"},
	{"two groups in one", "[login]\ngroups = [\"wheel,ana\"]\n", []string{"2 login.groups"}, "printable"},
	{"space around a group", "[login]\ngroups = [\"wheel \"]\n", []string{"2 login.groups"}, "printable"},
	{"escape in a group", "[login]\ngroups = [\"\\u001b[2J\"]\n", []string{"2 login.groups"}, "printable"},
	{"long group", "[login]\ngroups = [\"" + strings.Repeat("x", 257) + "\"]\n", []string{"2 login.groups"}, "256"},
	{"a group twice", "[login]\ngroups = [\"wheel\", \"wheel\"]\n", []string{"2 login.groups"}, "different"},
	{"too many groups", "[login]\ngroups = [" + strings.Repeat(`"wheel",`, 33) + "]\n", []string{"2 login.groups"}, "there are 33"},
	{"shell by its name", "[login]\nshell = \"zsh\"\n", []string{"2 login.shell"}, "absolute"},
	{"no shell", "[login]\nshell = \"\"\n", []string{"2 login.shell"}, "absolute"},
	{"yes for accounts", "[login]\nbreakglass = true\n", []string{"2 login.breakglass"}, "names of accounts"},
	{"account with a colon", "[login]\nbreakglass = [\"root:x\"]\n", []string{"2 login.breakglass"}, "account 1"},
	{"console", "[console]\nreleases = \"yes\"\n", []string{"2 console.releases"}, "true or false"},
	{"no addresses", "[sshd]\nlisten = []\n", []string{"2 sshd.listen"}, "1 to 16"},
	{"address by name", "[sshd]\nlisten = [\"example.org:22\"]\n", []string{"2 sshd.listen"}, "addresses"},
	{"address without a port", "[sshd]\nlisten = [\"192.0.2.1\"]\n", []string{"2 sshd.listen"}, "ports"},
	{"port zero", "[sshd]\nlisten = [\":0\"]\n", []string{"2 sshd.listen"}, "ports"},
	{"port by name", "[sshd]\nlisten = [\":ssh\"]\n", []string{"2 sshd.listen"}, "ports"},
	{"an address twice", "[sshd]\nlisten = [\":22\", \":22\"]\n", []string{"2 sshd.listen"}, "addresses"},
	{"no host keys", "[sshd]\nhost_keys = []\n", []string{"2 sshd.host_keys"}, "1 to 16"},
	{"relative host key", "[sshd]\nhost_keys = [\"key\"]\n", []string{"2 sshd.host_keys"}, "absolute"},
	{"keys of %d", "[sshd]\nauthorized_keys = [\"/keys/%d\"]\n", []string{"2 sshd.authorized_keys"}, "%h"},
	{"keys nowhere", "[sshd]\nauthorized_keys = [\"\"]\n", []string{"2 sshd.authorized_keys"}, "paths"},
	{"half a percent", "[sshd]\nauthorized_keys = [\"/keys/%%%\"]\n", []string{"2 sshd.authorized_keys"}, "%%"},
	{"yes for a password", "[sshd]\npassword = \"yes\"\n", []string{"2 sshd.password"}, "true or false"},
	{"sshd's word for root", "[sshd]\nroot_login = \"prohibit-password\"\n", []string{"2 sshd.root_login"}, `"no", "key" or "yes"`},
	{"pam_ksd's word", "[sshd]\nunenrolled = \"ignore\"\n", []string{"2 sshd.unenrolled"}, `"deny" or "allow"`},
	{"relative banner", "[sshd]\nbanner = \"issue\"\n", []string{"2 sshd.banner"}, "absolute"},
	{"login_grace", "[sshd]\nlogin_grace = \"0s\"\n", []string{"2 sshd.login_grace"}, `"10s" to "30m"`},
	{"max_tries", "[sshd]\nmax_tries = 0\n", []string{"2 sshd.max_tries"}, "1 to 20"},
	{"max_sessions", "[sshd]\nmax_sessions = 101\n", []string{"2 sshd.max_sessions"}, "1 to 100"},
	{"max_connections", "[sshd]\nmax_connections = 0\n", []string{"2 sshd.max_connections"}, "from 1"},
	{"per_person", "[sshd]\nper_person = 0\n", []string{"2 sshd.per_person"}, "from 1"},
	{"number for startups", "[sshd]\nmax_startups = 10\n", []string{"2 sshd.max_startups"}, "start:rate:full"},
	{"startups of two", "[sshd]\nmax_startups = \"10:30\"\n", []string{"2 sshd.max_startups"}, "start:rate:full"},
	{"startups and more", "[sshd]\nmax_startups = \"10:30:100x\"\n", []string{"2 sshd.max_startups"}, "start:rate:full"},
	{"startups the wrong way", "[sshd]\nmax_startups = \"100:30:10\"\n", []string{"2 sshd.max_startups"}, "start <= full"},
	{"a rate of 101", "[sshd]\nmax_startups = \"10:101:100\"\n", []string{"2 sshd.max_startups"}, "100 percent"},
	{"per_source", "[sshd]\nper_source = 0\n", []string{"2 sshd.per_source"}, "from 1"},
	{"keep_alive", "[sshd]\nkeep_alive = \"2h\"\n", []string{"2 sshd.keep_alive"}, `"1h"`},
	{"keep_alives", "[sshd]\nkeep_alives = 0\n", []string{"2 sshd.keep_alives"}, "from 1"},
	{"idle_timeout", "[sshd]\nidle_timeout = \"-1s\"\n", []string{"2 sshd.idle_timeout"}, `"168h"`},
	{"forwarding", "[sshd]\nforwarding = \"local\"\n", []string{"2 sshd.forwarding"}, "true or false"},
	{"agent_forwarding", "[sshd]\nagent_forwarding = 0\n", []string{"2 sshd.agent_forwarding"}, "true or false"},
	{"variable with a value", "[sshd]\naccept_env = [\"LANG=C\"]\n", []string{"2 sshd.accept_env"}, "names of variables"},
	{"broken pattern", "[sshd]\naccept_env = [\"LC_[\"]\n", []string{"2 sshd.accept_env"}, "names of variables"},
	{"sftp by its name", "[sshd]\nsftp_server = \"internal-sftp\"\n", []string{"2 sshd.sftp_server"}, "absolute"},
	{"enabled", "[adapt]\nenabled = \"on\"\n", []string{"2 adapt.enabled"}, "true or false"},
	{"window", "[adapt]\nwindow = 0\n", []string{"2 adapt.window"}, "1 to 50"},
	{"per_week", "[adapt]\nper_week = 51\n", []string{"2 adapt.per_week"}, "1 to 50"},
	{"keep_days", "[audit]\nkeep_days = -1\n", []string{"2 audit.keep_days"}, "0 to 36500"},
	{"seed of zero", "[training]\nseed = 0\n", []string{"2 training.seed"}, "from 1"},

	// Values that do not go together. A default is never to blame.
	{"equal sockets", "[daemon]\nlogin_socket = \"/run/x\"\napi_socket = \"/run/./x\"\n", []string{"2 daemon.login_socket"}, "two different"},
	{"expire against default", "[challenge]\nexpire = \"10s\"\n", []string{"2 challenge.expire"}, "typing_time"},
	{"default against typing_time", "[challenge]\ntyping_time = \"2m\"\n", []string{"2 challenge.typing_time"}, "not shorter"},
	{"shortest above longest", "[challenge]\nshortest = 27\n", []string{"2 challenge.shortest"}, "longest not below"},
	{"longest below shortest", "[challenge]\nlongest = 17\n", []string{"2 challenge.longest"}, "longest not below"},
	{"min_samples above typings", "[policy]\nmin_samples = 6\n", []string{"2 policy.min_samples"}, "at most typings"},
	{"longest below first", "[lockout]\nlongest = \"10s\"\n", []string{"2 lockout.longest"}, "not shorter than first"},
	{"forget below longest", "[lockout]\nforget = \"10m\"\n", []string{"2 lockout.forget"}, "not shorter than longest"},
	{"groups without any", "[login]\n\nnoninteractive = \"groups\"\n", []string{"3 login.noninteractive"}, "at least one group"},
	{"per_week above window", "[adapt]\nwindow = 4\n", []string{"2 adapt.window"}, "per_week at most window"},

	{"a wrong value does not go with nothing", "[challenge]\ntypings = 2\n[policy]\nmin_samples = 6\n", []string{"2 challenge.typings"}, "3 to 20"},

	// Everything at once, in the order of the lines, and nothing twice.
	{
		"many", "[lockout]\nfirst = 30\nlongest = \"1ms\"\n[policy]\nfmr = 2\nfoo = 1\n[daemon]\nlog_level = \"loud\"\n[bar]\n",
		[]string{"2 lockout.first", "3 lockout.longest", "5 policy.fmr", "6 policy.foo", "8 daemon.log_level", "9 bar"},
		"[daemon]",
	},

	// The line is that of the key, however it is written.
	{"dotted key", "\n\npolicy.fmr = 2\n", []string{"3 policy.fmr"}, "to 0.2"},
	{"quoted key", "[policy]\n\n\"fmr\" = 2\n", []string{"3 policy.fmr"}, "to 0.2"},
	{"inline section", "# x\npolicy = { attempts = 2, fmr = 2 }\n", []string{"2 policy.fmr"}, "to 0.2"},
	{"key in a text", "[challenge]\nphrases = [\"\"\"\nfmr = 2 and more\"\"\"]\n[policy]\n# fmr = 2\nfmr = 2\n", []string{"6 policy.fmr"}, "to 0.2"},
	{"windows lines", "[policy]\r\n\r\nfmr = 2\r\n", []string{"3 policy.fmr"}, "to 0.2"},
}

func TestRefuses(t *testing.T) {
	for _, c := range bad {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse("ksd.toml", []byte(c.file))
			var errs Errors
			if !errors.As(err, &errs) {
				t.Fatalf("error %v, want an Errors", err)
			}
			if !reflect.DeepEqual(got, Config{}) {
				t.Error("a configuration came with the error")
			}
			var places []string
			for _, e := range errs {
				places = append(places, strings.TrimPrefix(e.Error()[:strings.Index(e.Error(), ": "+e.Problem)], "ksd.toml:"))
				if e.File != "ksd.toml" || e.Problem == "" || e.Want == "" {
					t.Errorf("%#v lacks a part", e)
				}
			}
			want := make([]string, len(c.want))
			for i, w := range c.want {
				want[i] = strings.TrimSuffix(strings.Replace(w, " ", ": ", 1), ": ")
			}
			if !reflect.DeepEqual(places, want) {
				t.Errorf("errors at %q, want %q\n%v", places, want, err)
			}
			if !strings.Contains(err.Error(), c.say) {
				t.Errorf("message does not say %q:\n%v", c.say, err)
			}
		})
	}
}

// A pool of phrases is not published by a typing mistake in it.
func TestErrorsShowNoPhrase(t *testing.T) {
	_, err := Parse("f", []byte("[challenge]\nphrases = [\"swordfish\", \"sword  fish and chips\"]"))
	if err == nil || strings.Contains(err.Error(), "sword") {
		t.Errorf("error: %v", err)
	}
}

func TestTooLarge(t *testing.T) {
	exact := strings.Repeat("#", MaxSize-1) + "\n"
	if _, err := Parse("f", []byte(exact)); err != nil {
		t.Errorf("%d bytes: %v", len(exact), err)
	}
	path := filepath.Join(t.TempDir(), "ksd.toml")
	if err := os.WriteFile(path, []byte("#"+exact), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "at most 32768 bytes") {
		t.Errorf("%d bytes: %v", len(exact)+1, err)
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ksd.toml")
	if _, err := Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v, want fs.ErrNotExist", err)
	}
	if err := os.WriteFile(path, []byte("[policy]\nfmr = 9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), path+":2: policy.fmr: ") {
		t.Errorf("error %v does not start with path, line and key", err)
	}
	if err := os.WriteFile(path, []byte("[policy]\nfmr = 0.02\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Policy.FMR = 0.02
	if got, err := Load(path); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// The defaults, once more by hand: a slip in ksd.toml must not go unseen.
func TestDefault(t *testing.T) {
	got := Default()
	phrases := got.Challenge.Phrases
	got.Challenge.Phrases = nil
	want := Config{
		Daemon:    Daemon{State: "/var/lib/ksd", LoginSocket: "/run/ksd/login.sock", APISocket: "/run/ksd/ksd.sock", LogLevel: slog.LevelInfo},
		Challenge: Challenge{Kind: Phrases, Shortest: 18, Longest: 26, Typings: 5, Warmups: 3, Corrections: 2, Jitter: 12 * time.Millisecond, TypingTime: 30 * time.Second, Expire: time.Minute},
		Policy:    Policy{Attempts: 2, MaxPhrases: 3, Tries: 3, FMR: 0.01, FNMR: 0.05, MinSamples: 4},
		Lockout:   Lockout{Failures: 5, SourceFailures: 20, First: 30 * time.Second, Longest: 15 * time.Minute, Forget: time.Hour},
		Login:     Login{NonInteractive: Deny, Groups: []string{}, Shell: "/bin/bash", Breakglass: []string{}},
		SSHD: SSHD{
			Listen: []string{":2222"}, HostKeys: []string{"/etc/ksd/ssh_host_ed25519_key"}, AuthorizedKeys: []string{".ssh/authorized_keys"},
			Password: true, RootLogin: RootNo, Unenrolled: UnenrolledDeny, LoginGrace: 2 * time.Minute, MaxTries: 6, MaxSessions: 10,
			MaxConnections: 1000, PerPerson: 50, MaxStartups: Startups{10, 30, 100}, PerSource: 10, KeepAlive: time.Minute, KeepAlives: 3,
			AgentForwarding: true, AcceptEnv: []string{"LANG", "LC_*"}, SFTPServer: "/usr/lib/openssh/sftp-server",
		},
		Adapt:    Adapt{Enabled: true, Window: 10, PerWeek: 5},
		Training: Training{Automatic: true, Settle: 10 * time.Second, Impostors: 20, Seed: 1},
		Audit:    Audit{KeepDays: 400},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if len(phrases) != 5 {
		t.Errorf("%d phrases, want 5", len(phrases))
	}
	for _, p := range phrases {
		if n := utf8.RuneCountInString(p); n < 17 || n > 25 {
			t.Errorf("%q has %d characters, want 17 to 25", p, n)
		}
		if strings.Trim(p, "abcdefghijklmnopqrstuvwxyz ") != "" {
			t.Errorf("%q is not of lower-case letters and spaces", p)
		}
	}
}

// The shipped example holds every key there is, and a remark on each.
func TestExampleIsComplete(t *testing.T) {
	f := open("ksd.toml", Example)
	var c Config
	f.keys(&c)
	text := string(Example)
	for section, keys := range f.known {
		for _, key := range keys {
			if _, ok := f.find(section + "." + key); !ok {
				t.Errorf("%s.%s does not stand in ksd.toml", section, key)
			}
		}
	}
	for i, block := range strings.Split(text, "\n\n") {
		if strings.Contains(block, " = ") && !strings.HasPrefix(strings.TrimSpace(block), "#") {
			t.Errorf("block %d of ksd.toml has a key and no remark:\n%s", i, block)
		}
	}
}

// Every field of Config is set from the example: none is forgotten in keys.
func TestEveryFieldIsRead(t *testing.T) {
	f := open("ksd.toml", []byte(strings.NewReplacer(
		`"info"`, `"warn"`, "warmups = 3", "warmups = 1", "seed = 1", "seed = 2",
		`banner = ""`, `banner = "/x"`, `idle_timeout = "0s"`, `idle_timeout = "1s"`, "forwarding = false", "forwarding = true", "releases = false", "releases = true").Replace(string(Example))))
	var c Config
	f.keys(&c)
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		for j := range v.Field(i).NumField() {
			if v.Field(i).Field(j).IsZero() {
				t.Errorf("%s.%s is not read", v.Type().Field(i).Name, v.Field(i).Type().Field(j).Name)
			}
		}
	}
}

var good = []struct {
	name, file string
	change     func(*Config)
}{
	{"nothing", "", func(*Config) {}},
	{"a remark", "# only words\n", func(*Config) {}},
	{"empty section", "[policy]\n", func(*Config) {}},
	{"the example", string(Example), func(*Config) {}},
	{"windows lines", strings.ReplaceAll(string(Example), "\n", "\r\n"), func(*Config) {}},
	{"paths", "[daemon]\nstate = \"/srv//ksd/\"\n", func(c *Config) { c.Daemon.State = "/srv/ksd" }},
	{"longest socket", "[daemon]\napi_socket = \"/" + strings.Repeat("x", 106) + "\"\n", func(c *Config) { c.Daemon.APISocket = "/" + strings.Repeat("x", 106) }},
	{"level", "[daemon]\nlog_level = \"debug\"\n", func(c *Config) { c.Daemon.LogLevel = slog.LevelDebug }},
	{"one phrase of 12", "[challenge]\nphrases = [\"twelve chars\"]\n", func(c *Config) { c.Challenge.Phrases = []string{"twelve chars"} }},
	{"letters of any language", "[challenge]\nphrases = [\"über sieben Brücken\"]\n", func(c *Config) { c.Challenge.Phrases = []string{"über sieben Brücken"} }},
	{"no warm-ups", "[challenge]\nwarmups = 0\n", func(c *Config) { c.Challenge.Warmups = 0 }},
	{"times of two units", "[challenge]\nexpire = \"1m30s\"\n", func(c *Config) { c.Challenge.Expire = 90 * time.Second }},
	{"whole number for a share", "[training]\nimpostors = 50\n", func(c *Config) { c.Training.Impostors = 50 }},
	{"at the bounds", "[policy]\nfmr = 0.0001\nfnmr = 0.5\n", func(c *Config) { c.Policy.FMR, c.Policy.FNMR = 0.0001, 0.5 }},
	{"both sides of a relation", "[challenge]\ntyping_time = \"2m\"\nexpire = \"2m\"\n", func(c *Config) { c.Challenge.TypingTime, c.Challenge.Expire = 2*time.Minute, 2*time.Minute }},
	{"words", "[challenge]\nkind = \"words\"\nshortest = 20\nlongest = 20\n", func(c *Config) {
		c.Challenge.Kind, c.Challenge.Shortest, c.Challenge.Longest = Words, 20, 20
	}},
	{"everybody may", "[login]\nnoninteractive = \"allow\"\n", func(c *Config) { c.Login.NonInteractive = Allow }},
	{"groups", "[login]\nnoninteractive = \"groups\"\ngroups = [\"backup\", 'EXAMPLE\\domain users', \"müsli\"]\n", func(c *Config) {
		c.Login.NonInteractive, c.Login.Groups = Groups, []string{"backup", `EXAMPLE\domain users`, "müsli"}
	}},
	{"groups in reserve", "[login]\ngroups = [\"backup\"]\n", func(c *Config) { c.Login.Groups = []string{"backup"} }},
	{"a shell and emergency accounts", "[login]\nshell = \"/usr/bin/zsh\"\nbreakglass = [\"root\", \"ana\"]\n", func(c *Config) {
		c.Login.Shell, c.Login.Breakglass = "/usr/bin/zsh", []string{"root", "ana"}
	}},
	{"an ssh server", "[sshd]\nlisten = [\"192.0.2.1:22\", \"[fe80::1%eth0]:22\"]\nmax_startups = \"5:100:5\"\nauthorized_keys = []\nsftp_server = \"\"\n", func(c *Config) {
		c.SSHD.Listen, c.SSHD.MaxStartups = []string{"192.0.2.1:22", "[fe80::1%eth0]:22"}, Startups{5, 100, 5}
		c.SSHD.AuthorizedKeys, c.SSHD.SFTPServer = []string{}, ""
	}},
	{"keyboards", "[console]\nreleases = true\n", func(c *Config) { c.Console.Releases = true }},
	{"nothing grows", "[adapt]\nenabled = false\n", func(c *Config) { c.Adapt.Enabled = false }},
	{"kept for ever", "[audit]\nkeep_days = 0\n", func(c *Config) { c.Audit.KeepDays = 0 }},
	{"not automatic", "training.automatic = false\n", func(c *Config) { c.Training.Automatic = false }},
}

func TestAccepts(t *testing.T) {
	for _, c := range good {
		t.Run(c.name, func(t *testing.T) {
			want := Default()
			c.change(&want)
			got, err := Parse("ksd.toml", []byte(c.file))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

// Whatever a file holds, reading it ends in a configuration that keeps its own
// rules or in errors that name their place.
func FuzzParse(f *testing.F) {
	for _, c := range bad {
		f.Add([]byte(c.file))
	}
	for _, c := range good {
		f.Add([]byte(c.file))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data)
		if err != nil {
			lines := strings.Count(string(data), "\n") + 1
			for _, e := range err.(Errors) {
				if e.Line < 0 || e.Line > lines || e.Problem == "" || e.Want == "" {
					t.Errorf("%#v", e)
				}
			}
			return
		}
		if !(c.Policy.FMR >= 0.0001 && c.Policy.FMR <= 0.2) || c.Lockout.Forget < c.Lockout.Longest ||
			len(c.Challenge.Phrases) == 0 || !filepath.IsAbs(c.Daemon.State) {
			t.Errorf("%+v", c)
		}
	})
}

// A file of a version that trained a network still serves.
func TestRetired(t *testing.T) {
	c, err := Parse("ksd.toml", []byte("[training]\nepochs = 60\npatience = 8\nseed = 3\n"))
	if err != nil || c.Training.Seed != 3 {
		t.Errorf("%+v, %v", c.Training, err)
	}
}
