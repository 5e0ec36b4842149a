package sshd_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func owner(st os.FileInfo) uint32 { return st.Sys().(*syscall.Stat_t).Uid }

// halves connects and returns the numbers of the monitor and its network half.
func (r *rig) halves(t *testing.T) (monitor, network int) {
	t.Helper()
	c, err := net.Dial("tcp", "127.0.0.1:"+r.port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 8) // its version: it has become what it is to be
	if _, err := c.Read(b); err != nil || !strings.HasPrefix(string(b), "SSH-2.0") {
		t.Fatalf("%q, %v", b, err)
	}
	monitors := children(t, r.cmd.Process.Pid)
	if len(monitors) != 1 {
		t.Fatalf("monitors: %v", monitors)
	}
	networks := children(t, monitors[0])
	if len(networks) != 1 {
		t.Fatalf("network halves: %v", networks)
	}
	return monitors[0], networks[0]
}

// What a network half may do, as the kernel tells it of each of its threads.
func TestConfined(t *testing.T) {
	r := start(t, setup{})
	monitor, network := r.halves(t)
	read := func(format string, args ...any) string {
		b, err := os.ReadFile(fmt.Sprintf(format, args...))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", network))
	if err != nil || len(tasks) == 0 {
		t.Fatal(tasks, err)
	}
	for _, path := range tasks {
		status := read("%s", path)
		for _, want := range []string{
			`Uid:\s990\s990\s990\s990`, `Gid:\s990\s990\s990\s990`, `Groups:\s*`, `NoNewPrivs:\s1`,
			`CapInh:\s0+`, `CapPrm:\s0+`, `CapEff:\s0+`, `CapAmb:\s0+`, `CapBnd:\s00000000000400c0`,
		} {
			if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(status) {
				t.Errorf("%s: no %s in\n%s", path, want, status)
			}
		}
	}
	limits := read("/proc/%d/limits", network)
	for _, want := range []string{`Max core file size +0 +0 `, `Max file size +0 +0 `} {
		if !regexp.MustCompile(want).MatchString(limits) {
			t.Errorf("no %q in\n%s", want, limits)
		}
	}
	if root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", network)); err != nil || root != "/run/ksd-sshd" && !strings.HasSuffix(root, "/run/ksd-sshd") {
		t.Errorf("root %q, %v", root, err)
	}
	if names, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/", network)); err != nil || len(names) > 0 {
		t.Errorf("it sees %v, %v", names, err)
	}
	if env := read("/proc/%d/environ", network); env != "" {
		t.Errorf("environment %q", env)
	}
	// Not dumpable: what is in /proc is root's, not its own.
	if st, err := os.Stat(fmt.Sprintf("/proc/%d/mem", network)); err != nil || owner(st) != 0 {
		t.Errorf("its memory is %v's, %v", owner(st), err)
	}
	for _, ns := range []string{"net", "ipc", "uts"} {
		a, errA := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", network, ns))
		b, errB := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", monitor, ns))
		if errA != nil || errB != nil || a == b {
			t.Errorf("namespace %s: %s and %s, %v %v", ns, a, b, errA, errB)
		}
	}
	t.Run("descriptors", func(t *testing.T) {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", network))
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", network, fd.Name()))
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case to == "/dev/null" || strings.HasSuffix(to, "/dev/null") || strings.HasPrefix(to, "pipe:") && fd.Name() == "2":
			case strings.HasPrefix(to, "anon_inode:[event"): // the runtime's poller
			case strings.HasPrefix(to, "socket:"):
			default:
				t.Errorf("descriptor %s is %s", fd.Name(), to)
			}
		}
		if len(fds) > 8 {
			t.Errorf("%d descriptors", len(fds))
		}
	})
}
