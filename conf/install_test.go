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
		"Type=notify", "ExecReload=/usr/sbin/ksdd -check-config + /bin/kill -HUP $MAINPID", "Restart=on-failure", "StartLimitIntervalSec=0",
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
	for _, name := range []string{"ksdd.service", "ksdd.socket", "ksdd-login.socket", "ksd-sshd.service", "ksd-sshd.socket"} {
		b, err := os.ReadFile(filepath.Join("systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		// The program is not installed where tests run.
		text := regexp.MustCompile(`(?m)^(Exec\w+=)/usr/sbin/.*$`).ReplaceAllString(string(b), "${1}/bin/true")
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

// What ksd-sshd relies on in its units.
func TestSSHDUnits(t *testing.T) {
	service := unit(t, "systemd/ksd-sshd.service")
	for key, want := range map[string]string{
		"Type": "notify", "KillMode": "process", "ExecStart": "/usr/sbin/ksd-sshd",
		"ExecReload":       "/usr/sbin/ksd-sshd -check-config + /bin/kill -HUP $MAINPID",
		"RuntimeDirectory": "ksd-sshd", "RuntimeDirectoryMode": "0755", "RuntimeDirectoryPreserve": "yes",
	} {
		one(t, service, key, want)
	}
	// Each would be a limit on people's shells.
	for _, key := range []string{"NoNewPrivileges", "ProtectSystem", "ProtectHome", "PrivateTmp", "User", "LimitCORE", "UMask"} {
		if len(service[key]) > 0 {
			t.Errorf("%s= is set", key)
		}
	}
	socket := unit(t, "systemd/ksd-sshd.socket")
	one(t, socket, "ListenStream", strings.TrimPrefix(Default().SSHD.Listen[0], ":"))
	one(t, socket, "Service", "ksd-sshd.service")
	if len(socket["Accept"]) > 0 {
		t.Error("Accept= is set")
	}
	b, err := os.ReadFile("sysusers.d/ksd.conf")
	if err != nil || !regexp.MustCompile(`(?m)^u ksd-sshd - ".*" - /usr/sbin/nologin$`).Match(b) {
		t.Errorf("sysusers.d makes no account ksd-sshd, %v", err)
	}
}

// The stack of ksd-sshd has the account phase and no typing check: that is the
// server's own.
func TestSSHDStack(t *testing.T) {
	b, err := os.ReadFile("pam.d/ksd-sshd")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{"@include common-auth", "account required pam_nologin.so", "@include common-account", "session required pam_loginuid.so", "session required pam_limits.so"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not there", want)
		}
	}
	if strings.Contains(text, "pam_ksd") {
		t.Error("pam_ksd.so is in it")
	}
}

// A PAM example is all remarks, so that it is harmless wherever it is copied
// to, and shows one line that names the module, fails closed and says where it
// goes.
func TestPAMExamples(t *testing.T) {
	names, err := filepath.Glob("pam.d/*.example")
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
