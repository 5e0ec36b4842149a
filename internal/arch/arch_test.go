package arch

import (
	"os"
	"strings"
	"testing"
)

// row is one package, what it may import, and why it is there.
type row struct {
	name    string   // folder
	imports []string // folders of this module it may import, all of lower rows
	modules []string // modules from elsewhere it may use, and "C"
	kind    kind
	reason  string
}

// kind is what beyond its imports holds for a package.
type kind int

const (
	plain    kind = iota
	pure          // no input, no output, no clock; imports pure packages alone
	testOnly      // imported by tests and test-only packages alone
)

// table lists every package, from the programs down: a package imports lower
// rows only. To let a package import another, add it to the package's row and
// look whether the reason still holds.
var table = []row{
	{"e2e", nil, nil, plain, "the whole of it on real typing; tests alone"},
	{"cmd", nil, nil, plain, "every program at a terminal; tests alone"},
	{"cmd/ksdd", []string{"daemon"}, nil, plain, "the daemon's main"},
	{"cmd/ksd-enroll", []string{"enroll", "internal/cli"}, nil, plain, "the enrolment's main"},
	{"cmd/ksd-sshd", []string{"sshd"}, nil, plain, "the ssh server's main"},
	{"cmd/ksd-login", []string{"login"}, nil, plain, "the gate's main"},
	{"cmd/ksd-try", []string{"demo", "internal/cli"}, nil, plain, "the main of make try"},
	{
		"cmd/ksdctl",
		[]string{"conf", "internal/bench", "internal/cli", "internal/corpus", "internal/feature", "internal/keystroke", "internal/model/base", "internal/wire"},
		nil, plain, "the administrator's program with its subcommands; no login goes through it",
	},
	{
		"demo",
		[]string{"conf", "enroll", "internal/cli", "internal/corpus", "internal/keystroke", "internal/wire"},
		[]string{"github.com/creack/pty"},
		plain, "make try: starts the programs and plays people at them",
	},
	{
		"sshd",
		[]string{"conf", "internal/capture", "internal/service", "sshd/link", "sshd/listener", "sshd/monitor", "sshd/network"},
		[]string{"golang.org/x/sys"},
		plain, "the three roles of the ssh server, each a process",
	},
	{
		"sshd/network",
		[]string{"internal/capture", "internal/channel", "internal/cli", "internal/keystroke", "internal/wire", "sshd/link"},
		[]string{"github.com/gliderlabs/ssh", "golang.org/x/crypto", "golang.org/x/sys"},
		plain, "speaks SSH with strangers; may do nothing else",
	},
	{
		"sshd/monitor",
		[]string{"conf", "internal/wire", "sshd/link"},
		[]string{"C", "github.com/msteinert/pam/v2", "golang.org/x/crypto", "golang.org/x/sys"},
		plain, "root's half of a connection; C is the user database",
	},
	{"sshd/listener", []string{"conf"}, []string{"golang.org/x/sys"}, plain, "counts connections; reads none"},
	{"sshd/link", []string{"internal/keystroke", "internal/wire"}, []string{"golang.org/x/sys"}, plain, "what the two halves say to each other"},
	{"pam", nil, []string{"C"}, plain, "the PAM module is C; Go is in its tests alone"},
	{
		"internal/ksdtest",
		[]string{"conf", "daemon", "internal/keystroke", "internal/model", "internal/service", "internal/wire"},
		[]string{"github.com/creack/pty", "golang.org/x/sys"},
		testOnly, "a daemon in memory, a typist, a clock",
	},
	{"internal/ksdtest/sandbox", nil, []string{"golang.org/x/sys"}, testOnly, "a copy of /etc to log in with"},
	{
		"daemon",
		[]string{
			"conf", "internal/audit", "internal/capture", "internal/channel", "internal/evdev", "internal/feature",
			"internal/keystroke", "internal/model", "internal/policy", "internal/service", "internal/store", "internal/wire",
		},
		[]string{"golang.org/x/sys", "golang.org/x/term"},
		plain, "the one place where all parts meet",
	},
	{
		"enroll",
		[]string{"internal/cli", "internal/feature", "internal/keystroke", "internal/wire"},
		nil, plain, "the dialogue; it judges nothing itself",
	},
	{
		"internal/cli/clitest",
		[]string{"internal/cli", "internal/keystroke", "internal/wire"},
		[]string{"github.com/creack/pty"},
		testOnly, "a program at a terminal",
	},
	{
		"internal/cli",
		[]string{"internal/capture", "internal/corpus", "internal/keystroke", "internal/wire"},
		[]string{"golang.org/x/term"},
		plain, "what all programs say and show alike",
	},
	{
		"login",
		[]string{"conf", "internal/wire"},
		[]string{"golang.org/x/sys"},
		plain, "stands before somebody's shell, so the less the better",
	},
	{"conf", nil, []string{"github.com/BurntSushi/toml"}, plain, "knows files and ranges, not what they are for"},
	{"internal/audit", []string{"internal/store"}, nil, plain, "an entry in the store, then a line in the log"},
	{"internal/store", []string{"internal/keystroke"}, []string{"modernc.org/sqlite"}, plain, "keeps samples; what they mean is not its business"},
	{
		"internal/wire",
		[]string{"internal/keystroke"},
		[]string{"golang.org/x/sys", "golang.org/x/term"},
		plain, "the only way from a client to the verifier",
	},
	{"internal/capture", []string{"internal/evdev", "internal/keystroke"}, []string{"golang.org/x/sys"}, plain, "terminal bytes in, keystrokes out"},
	{"internal/evdev/evdevtest", []string{"internal/evdev"}, []string{"golang.org/x/sys"}, testOnly, "a keyboard that a test types on"},
	{"internal/evdev", nil, []string{"golang.org/x/sys"}, plain, "the machine's keyboards; the one package that opens a device"},
	{
		"internal/bench",
		[]string{
			"internal/channel", "internal/corpus", "internal/feature", "internal/keystroke", "internal/model",
			"internal/model/eval", "internal/model/lstm", "internal/model/softmax", "internal/policy",
		},
		[]string{"gonum.org/v1/gonum"},
		pure, "published numbers and ours, on public data",
	},
	{"internal/corpus", []string{"internal/keystroke"}, nil, pure, "the exchange format of samples"},
	{"internal/model/modeltest", []string{"internal/feature", "internal/keystroke"}, nil, testOnly, "a typist; knows no scorer"},
	{
		"internal/model/softmax",
		[]string{"internal/feature", "internal/keystroke", "internal/model", "internal/model/network", "internal/model/train"},
		nil, pure, "what heads replaced, for bench to compare; decides nothing",
	},
	{
		"internal/model",
		[]string{"internal/channel", "internal/feature", "internal/keystroke", "internal/model/base", "internal/model/eval", "internal/model/head", "internal/model/lstm", "internal/model/network", "internal/model/plda", "internal/model/sealed"},
		nil, pure, "judges; its people and its file are handed to it",
	},
	{
		"internal/model/base",
		[]string{
			"internal/channel", "internal/feature", "internal/keystroke",
			"internal/model/eval", "internal/model/lstm", "internal/model/network", "internal/model/sealed", "internal/model/train",
		},
		[]string{"gonum.org/v1/gonum"},
		pure, "tells any two people apart; its training and its file",
	},
	{
		"internal/model/train",
		[]string{"internal/model/lstm", "internal/model/network"},
		[]string{"gorgonia.org/gorgonia", "gorgonia.org/tensor", "github.com/chewxy/hm", "go4.org/unsafe/assume-no-moving-gc"},
		pure, "the only package that knows gorgonia",
	},
	{
		"internal/model/plda",
		[]string{"internal/feature", "internal/keystroke"},
		[]string{"gonum.org/v1/gonum"},
		pure, "weighs the owner against anybody",
	},
	{"internal/model/head", nil, []string{"gonum.org/v1/gonum"}, pure, "one person against everybody else"},
	{"internal/model/network", []string{"internal/model/lstm"}, nil, pure, "serves without gorgonia"},
	{"internal/model/lstm", nil, nil, pure, "numbers alone"},
	{"internal/model/sealed", nil, nil, pure, "the envelope of files of numbers"},
	{"internal/model/eval", nil, nil, pure, "error rates from scores alone"},
	{"internal/feature", []string{"internal/keystroke"}, []string{"gonum.org/v1/gonum"}, pure, "keystrokes to numbers"},
	{"internal/service", nil, nil, plain, "what services say to the service manager and the log"},
	{"internal/channel", []string{"internal/keystroke"}, nil, pure, "what a path does to typing, for training and bench"},
	{"internal/policy", []string{"internal/keystroke"}, nil, pure, "decides from values; does not know where they come from"},
	{"internal/keystroke", nil, nil, pure, "the words everybody uses"},
	{"internal/arch", nil, nil, plain, "this test"},
}

// logins are the programs that stand in somebody's login or run as somebody;
// none of them may hold a model, a template or the database.
var (
	logins  = []string{"cmd/ksd-enroll", "cmd/ksd-login", "cmd/ksd-sshd"}
	secrets = []string{"daemon", "internal/model", "internal/model/train", "internal/store"}
)

func TestTree(t *testing.T) {
	tr, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.packages) < 10 {
		t.Fatalf("%d packages were found: this is not the tree", len(tr.packages))
	}
	if bad := violations(tr, table, logins, secrets); len(bad) > 0 {
		t.Errorf("the tree breaks %d rules (table and reasons: internal/arch/arch_test.go)\n%s",
			len(bad), strings.Join(bad, "\n"))
	}
}
