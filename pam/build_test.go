//go:build cgo

package pam

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// built is the module and the test host, compiled once for all tests.
type built struct {
	dir, module, host string
	err               error
}

// sanitize makes gcc and clang check every access at run time.
const sanitize = "-g -fsanitize=address,undefined -fno-sanitize-recover=all"

var (
	plain     = sync.OnceValue(func() built { return build("") })
	sanitized = sync.OnceValue(func() built { return build(sanitize) })
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range dirs {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

var dirs []string // to be removed at the end

func build(flags string) built {
	dir, err := os.MkdirTemp("", "ksd")
	if err != nil {
		return built{err: err}
	}
	dirs = append(dirs, dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return built{err: err}
	}
	b := built{dir: dir, module: filepath.Join(dir, "pam_ksd.so"), host: filepath.Join(dir, "host")}
	cmd := exec.Command("sh", "build.sh", b.module)
	cmd.Env = append(os.Environ(), "CFLAGS="+flags)
	if flags != "" { // the sanitizers' functions are in the host
		cmd.Env = append(cmd.Env, "LDFLAGS=-Wl,-z,undefs")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		b.err = fmt.Errorf("build.sh: %w: %s", err, out)
		return b
	}
	argv := append(strings.Fields(flags), "-std=c99", "-Wall", "-Wextra", "-Werror", "-rdynamic", "-o", b.host, "testdata/host.c", "-lpam")
	if out, err := exec.Command("cc", argv...).CombinedOutput(); err != nil {
		b.err = fmt.Errorf("host: %w: %s", err, out)
	}
	return b
}

func (b built) check(t testing.TB) built {
	t.Helper()
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b
}

// The module's surface: what it exports, what it needs, and that it loads with
// every symbol resolved.
func TestModuleFile(t *testing.T) {
	b := plain().check(t)
	out, err := exec.Command("nm", "-D", "--defined-only", "--format=posix", b.module).Output()
	if err != nil {
		t.Fatal(err)
	}
	var exports []string
	for line := range strings.Lines(string(out)) {
		exports = append(exports, strings.Fields(line)[0])
	}
	slices.Sort(exports)
	want := []string{
		"pam_sm_acct_mgmt", "pam_sm_authenticate", "pam_sm_chauthtok",
		"pam_sm_close_session", "pam_sm_open_session", "pam_sm_setcred",
	}
	if !slices.Equal(exports, want) {
		t.Errorf("exports %q, want %q", exports, want)
	}

	out, err = exec.Command("readelf", "-dW", b.module).Output()
	if err != nil {
		t.Fatal(err)
	}
	var needed []string
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "(NEEDED)") {
			needed = append(needed, line[strings.Index(line, "[")+1:strings.Index(line, "]")])
		}
	}
	slices.Sort(needed)
	if !slices.Equal(needed, []string{"libc.so.6", "libpam.so.0"}) {
		t.Errorf("needs %q, want libc and libpam alone", needed)
	}
	if !strings.Contains(string(out), "BIND_NOW") {
		t.Error("not linked with -z now")
	}
}
