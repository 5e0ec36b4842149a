package monitor

import (
	"go/build"
	"os"
	"strings"
	"testing"
)

// Where the plain calls take numbers of 16 bits, others are made.
func TestWideIDs(t *testing.T) {
	for arch, want := range map[string]string{"386": "ids_32.go", "arm": "ids_32.go", "amd64": "ids.go", "arm64": "ids.go", "riscv64": "ids.go"} {
		c := build.Default
		c.GOARCH = arch
		for _, name := range []string{"ids.go", "ids_32.go"} {
			if match, err := c.MatchFile(".", name); err != nil || match != (name == want) {
				t.Errorf("%s on %s: %v, %v", name, arch, match, err)
			}
		}
	}
	b, err := os.ReadFile("ids_32.go")
	if n, wide := strings.Count(string(b), "unix.SYS_"), strings.Count(string(b), "32\n"); err != nil || n != 4 || wide != n {
		t.Errorf("%d of %d calls are wide, %v", wide, n, err)
	}
	if os.Geteuid() != 0 {
		t.Skip("becoming somebody else needs root")
	}
	who := account{name: "ana", uid: 70001, gid: 70002}
	if err := asGroups(who, []uint32{70003}, func() error {
		b, err := os.ReadFile("/proc/thread-self/status")
		for _, want := range []string{"Uid:\t0\t0\t0\t70001\n", "Gid:\t0\t0\t0\t70002\n", "Groups:\t70002 70003 \n"} {
			if !strings.Contains(string(b), want) {
				t.Errorf("no %q in %s", want, b)
			}
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}
