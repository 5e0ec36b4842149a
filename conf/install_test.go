package conf

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// unit reads a systemd unit: every value of each key. It refuses lines that
// are neither.
func unit(t *testing.T, path string) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string][]string{}
	for i, line := range strings.Split(string(b), "\n") {
		if line == "" || line[0] == '#' || line[0] == '[' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			t.Fatalf("%s:%d: %q", path, i+1, line)
		}
		keys[key] = append(keys[key], value)
	}
	return keys
}

func one(t *testing.T, keys map[string][]string, key, want string) {
	t.Helper()
	if got := strings.Join(keys[key], " + "); got != want {
		t.Errorf("%s=%s, want %s", key, got, want)
	}
}

// The units, the account and the defaults speak of the same places.
func TestUnitsAgreeWithDefaults(t *testing.T) {
	d := Default()

	login := unit(t, "systemd/ksdd-login.socket")
	one(t, login, "ListenSequentialPacket", d.Daemon.LoginSocket)
	one(t, login, "FileDescriptorName", "login")
	api := unit(t, "systemd/ksdd.socket")
	one(t, api, "ListenStream", d.Daemon.APISocket)
	one(t, api, "FileDescriptorName", "api")
	for _, socket := range []map[string][]string{login, api} {
		one(t, socket, "SocketMode", "0666")
		one(t, socket, "Service", "ksdd.service")
		one(t, socket, "WantedBy", "sockets.target")
		one(t, socket, "TriggerLimitIntervalSec", "0")
	}

	service := unit(t, "systemd/ksdd.service")
	one(t, service, "Sockets", "ksdd.socket ksdd-login.socket")
	one(t, service, "StateDirectory", strings.TrimPrefix(d.Daemon.State, "/var/lib/"))
	stop, err := time.ParseDuration(strings.Join(service["TimeoutStopSec"], ""))
	if err != nil || stop <= d.Challenge.TypingTime {
		t.Errorf("TimeoutStopSec=%v does not let a typing of %v end", service["TimeoutStopSec"], d.Challenge.TypingTime)
	}

	b, err := os.ReadFile("sysusers.d/ksd.conf")
	if err != nil {
		t.Fatal(err)
	}
	account := regexp.MustCompile(`(?m)^u (\S+) - ".*" (\S+) (\S+)$`).FindStringSubmatch(string(b))
	want := []string{service["User"][0], d.Daemon.State, "/usr/sbin/nologin"}
	if len(account) != 4 || strings.Join(account[1:], " ") != strings.Join(want, " ") {
		t.Errorf("sysusers.d makes %v, want %v", account, want)
	}
}

// What the threat model says of the daemon is what its unit enforces.
func TestServiceIsHardened(t *testing.T) {
	service := unit(t, "systemd/ksdd.service")
	for _, want := range []string{
		"Type=notify", "ExecReload=/bin/kill -HUP $MAINPID", "Restart=on-failure", "StartLimitIntervalSec=0",
		"User=ksd", "Group=ksd", "StateDirectoryMode=0700", "UMask=0077", "LimitCORE=0",
		"CapabilityBoundingSet=", "AmbientCapabilities=", "NoNewPrivileges=yes",
		"PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX",
		"PrivateDevices=yes", "DevicePolicy=closed", "ProtectSystem=strict", "ProtectHome=yes",
		"MemoryDenyWriteExecute=yes", "SystemCallArchitectures=native",
		"SystemCallFilter=@system-service + ~@privileged @resources",
	} {
		key, value, _ := strings.Cut(want, "=")
		one(t, service, key, value)
		if len(service[key]) == 0 {
			t.Errorf("%s= is not set", key)
		}
	}
	// It would make every caller look like nobody.
	if len(service["PrivateUsers"]) > 0 {
		t.Error("PrivateUsers= is set")
	}
}

// systemd itself reads the units without a word.
func TestSystemdVerifies(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	dir := t.TempDir()
	var paths []string
	for _, name := range []string{"ksdd.service", "ksdd.socket", "ksdd-login.socket"} {
		b, err := os.ReadFile(filepath.Join("systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		// The program is not installed where tests run.
		text := regexp.MustCompile(`(?m)^ExecStart=.*$`).ReplaceAllString(string(b), "ExecStart=/bin/true")
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	out, err := exec.Command(tool, append([]string{"verify"}, paths...)...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "ksd") { // it tells of other units of the machine, too
			t.Error(line)
		}
	}
	if err != nil && !t.Failed() {
		t.Errorf("systemd-analyze: %v\n%s", err, out)
	}
}

// A PAM example is all remarks, so that it is harmless wherever it is copied
// to, and shows one line that names the module, fails closed and says where it
// goes.
func TestPAMExamples(t *testing.T) {
	names, err := filepath.Glob("pam.d/*")
	if err != nil || len(names) != 3 {
		t.Fatalf("examples %q, %v, want su, sudo and login", names, err)
	}
	stack := regexp.MustCompile(`^#     auth    required    pam_ksd\.so( unenrolled=(deny|ignore))?$`)
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := 0
		for line := range strings.Lines(string(b)) {
			line = strings.TrimSuffix(line, "\n")
			if !strings.HasPrefix(line, "#") {
				t.Errorf("%s: %q is not a remark", name, line)
			}
			if stack.MatchString(line) {
				lines++
			} else if strings.Contains(line, "pam_ksd.so") {
				t.Errorf("%s: %q", name, line)
			}
		}
		if lines != 1 {
			t.Errorf("%s shows %d lines to add, want 1", name, lines)
		}
		service := strings.TrimSuffix(filepath.Base(name), ".example")
		if want := fmt.Sprintf("In /etc/pam.d/%s, below the line", service); !strings.Contains(string(b), want) {
			t.Errorf("%s does not say %q", name, want)
		}
	}
}
