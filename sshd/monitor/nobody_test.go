package monitor

import (
	"errors"
	"maps"
	"os"
	"strings"
	"testing"

	"ksd/sshd/link"
)

// faillock counts failures by name, root's too, and note what name it is.
const faillock = `auth required pam_exec.so quiet /etc/note
auth sufficient pam_unix.so nodelay
auth [default=die] pam_faillock.so authfail dir=/run/faillock even_deny_root
account required pam_permit.so
`

// PAM hears of nobody by name who cannot log in here: it would count failures for
// them that shut them out elsewhere. The log knows who was meant.
func TestNobody(t *testing.T) {
	r := newRig(t, "")
	r.write(t, "/etc/pam.d/ksd-sshd", faillock, 0)
	if err := os.Mkdir(r.Path("/run/faillock"), 0o755); err != nil {
		t.Fatal(err)
	}
	refused := []struct{ user, reason string }{
		{"root", `"root may not log in this way"`},
		{"eve", `"the shell cannot be run: /no/shell"`},
		{"nobody-here", `"no such account"`},
		{"../ana", `"not a name of an account"`},
		{nobody, `"not a name of an account"`},
	}
	t.Run("tries", func(t *testing.T) { // PAM takes its time with each
		for _, c := range append(refused, struct{ user, reason string }{"ana", `"Permission denied"`}) {
			t.Run(c.user, func(t *testing.T) {
				t.Parallel()
				m := r.start(t, false)
				if p, err := m.Password(t.Context(), link.Password{User: c.user, Password: "guess"}); err != nil || p.OK {
					t.Errorf("%+v, %v", p, err)
				}
				m.end(t)
				if line := `msg="first factor refused" user=` + c.user + ` method=password reason=` + c.reason; !strings.Contains(m.log.String(), line) {
					t.Errorf("the log has no %s: %s", line, m.log)
				}
			})
		}
	})
	b, _ := os.ReadFile(r.Path("/run/pam"))
	names := map[string]int{}
	for line := range strings.Lines(string(b)) {
		names[strings.Fields(line)[1]]++
	}
	if want := map[string]int{nobody: len(refused), "ana": 1}; !maps.Equal(names, want) {
		t.Errorf("PAM heard of %v, want %v", names, want)
	}
	tallies, err := os.ReadDir(r.Path("/run/faillock"))
	if err != nil || len(tallies) != 1 || tallies[0].Name() != "ana" {
		t.Errorf("failures count for %v, %v", tallies, err)
	}
	if _, err := lookup(nobody); !errors.Is(err, errName) {
		t.Errorf("%s: %v", nobody, err)
	}
}
