package sshd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ksd/conf"
	"ksd/internal/ksdtest/sandbox"
)

func allow(c *conf.Config) { c.Login.NonInteractive = conf.Allow }

// What people do with ssh and a command.
func TestCommands(t *testing.T) {
	r := start(t, setup{change: allow})
	for _, c := range []struct {
		name, stdin, command string
		want                 result
	}{
		{"streams and status", "words\n", "id -un; cat; echo error >&2; exit 7", result{"ana\nwords\n", "error\n", 7}},
		{"death by a signal", "", "kill -TERM $$", result{"", "", 255}},
		{"own groups alone", "", "id -G", result{"2001\n", "", 0}},
		{"at home", "", "pwd", result{"/home/ana\n", "", 0}},
		{"stdout can be opened", "", "echo word >/dev/fd/1; echo other >/dev/fd/2", result{"word\n", "other\n", 0}},
		{"a reader that leaves", "", "yes | head -1; echo ${PIPESTATUS[0]}", result{"y\n141\n", "", 0}},
		{"a leader of its own session", "", `[ $(ps -o sid= -p $$) = $$ ] && echo yes`, result{"yes\n", "", 0}},
		{"nothing inherited", "", "ls /proc/self/fd | wc -l", result{"4\n", "", 0}}, // and the folder itself
		{"no limits of the server's", "", "ulimit -c; ulimit -n", result{limit(t, "ulimit -c; ulimit -n"), "", 0}},
		{"bytes that are no text", "", "printf %s '\xff\xfe' | od -An -tx1", result{" ff fe\n", "", 0}},
		{"environment", "", `echo $USER $LOGNAME $HOME $SHELL $MAIL $PATH $FROM_PAM; echo ${SSH_CONNECTION% *} ${SSH_TTY-none} ${KSD_SSHD_STATE-none} ${NOTIFY_SOCKET-none}`, result{
			"ana ana /home/ana /bin/bash /var/mail/ana /usr/local/bin:/usr/bin:/bin:/usr/games yes\n127.0.0.1 PORT 127.0.0.1 none none none\n", "", 0,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := r.run(t, c.stdin, r.ssh("ana", c.command)...)
			if strings.Contains(c.want.stdout, "PORT") {
				words := strings.Fields(got.stdout)
				if len(words) > 9 {
					got.stdout = strings.Replace(got.stdout, words[len(words)-5], "PORT", 1)
				}
			}
			if got != c.want {
				t.Errorf("%+v\nwant %+v", got, c.want)
			}
		})
	}
	t.Run("variables", func(t *testing.T) {
		cmd := r.ssh("ana", "echo $LC_ALL ${EVIL-none}")
		got := r.run(t, "", append([]string{"env", "LC_ALL=C.UTF-8", "EVIL=1", cmd[0], "-o", "SendEnv=LC_ALL EVIL"}, cmd[1:]...)...)
		if got.stdout != "C.UTF-8 none\n" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("bashrc is read, as by sshd", func(t *testing.T) {
		r.write(t, "/home/ana/.bashrc", "echo from bashrc\n", 0, 0o644)
		defer os.Remove(r.Path("/home/ana/.bashrc"))
		if err := os.Chown(r.Path("/home/ana"), 2001, 2001); err != nil {
			t.Fatal(err)
		}
		if got := r.run(t, "", r.ssh("ana", "true")...); got.stdout != "from bashrc\n" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("sftp", func(t *testing.T) {
		if _, err := os.Stat(conf.Default().SSHD.SFTPServer); err != nil {
			t.Skipf("there is no sftp server: %v", err)
		}
		argv := r.ssh("ana")
		argv = append(append([]string{"sftp", "-b", "-", "-P", r.port}, argv[5:len(argv)-1]...), argv[len(argv)-1])
		got := r.run(t, "put /etc/hostname sent\nls\n", argv...)
		if _, err := os.Stat(r.Path("/home/ana/sent")); err != nil || !strings.Contains(got.stdout, "sent") {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("no home", func(t *testing.T) {
		home := r.Path("/home/ana")
		if err := os.Rename(home, home+"2"); err != nil {
			t.Fatal(err)
		}
		defer os.Rename(home+"2", home)
		got := r.run(t, "", r.askpass(t, "ana", sandbox.Password, "pwd")...)
		if got.stdout != "/\n" || !strings.Contains(got.stderr, "no way into your home") {
			t.Errorf("%+v", got)
		}
	})
}

// limit is what a shell that this test starts has.
func limit(t *testing.T, command string) string {
	t.Helper()
	out, err := exec.Command("bash", "-c", command).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// askpass returns a client that logs in with a password.
func (r *rig) askpass(t *testing.T, name, password string, args ...string) []string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "askpass")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho '"+password+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return append([]string{
		"env", "SSH_ASKPASS=" + script, "SSH_ASKPASS_REQUIRE=force", "ssh", "-F", "/dev/null", "-p", r.port,
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "PubkeyAuthentication=no",
		"-o", "NumberOfPasswordPrompts=1", name + "@127.0.0.1",
	}, args...)
}

// Who gets past the first factor and the account phase, and who does not.
func TestWhoMay(t *testing.T) {
	shadow := func(name, hash, expire string) string {
		return name + ":" + hash + ":19000:0:99999:7::" + expire + ":\n"
	}
	r := prepare(t, setup{config: "unenrolled = \"allow\"\n", change: allow, users: []sandbox.User{
		{Name: "locked", UID: 2010},
		{Name: "keyonly", UID: 2011},
		{Name: "expired", UID: 2012},
		{Name: "aged", UID: 2015},
		{Name: "shellless", UID: 2013, Shell: "/no/shell"},
		{Name: "nologin", UID: 2014, Shell: "/usr/sbin/nologin"},
	}})
	b, err := os.ReadFile(r.Path("/etc/shadow"))
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	hash := ""
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(line, ":")
		hash, _, _ = strings.Cut(rest, ":")
		switch name {
		case "locked":
			line = shadow(name, "!"+hash, "")
		case "keyonly":
			line = shadow(name, "*", "")
		case "expired":
			line = shadow(name, hash, "19001")
		case "aged":
			line = name + ":" + hash + ":0:0:99999:7:::\n" // to be changed at once
		}
		lines.WriteString(line)
	}
	if err := os.WriteFile(r.Path("/etc/shadow"), []byte(lines.String()), 0o640); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"locked", "keyonly", "expired", "shellless", "nologin", "aged"} {
		uids[name] = []int{2010, 2011, 2012, 2013, 2014, 2015}[i]
		r.daemon.UID(name)
		r.key(t, name)
	}
	r.serve(t)
	for _, c := range []struct {
		user, password string // "" comes with the key
		in             bool
		text           string
	}{
		{"bob", "", true, ""},
		{"bob", sandbox.Password, true, ""},
		{"bob", "wrong", false, "Permission denied"},
		{"bob", "\b\n\r\177INCORRECT", false, "Permission denied"},
		{"nobody-here", sandbox.Password, false, "Permission denied"},
		{"root", sandbox.Password, false, "Permission denied"},
		{"locked", "", false, "Permission denied"},
		{"locked", sandbox.Password, false, "Permission denied"},
		{"keyonly", "", true, ""},
		{"keyonly", sandbox.Password, false, "Permission denied"},
		{"expired", "", false, ""},
		{"expired", sandbox.Password, false, ""},
		{"aged", "", false, ""},
		{"aged", sandbox.Password, false, ""},
		{"shellless", "", false, "Permission denied"},
		{"shellless", sandbox.Password, false, "Permission denied"},
		{"nologin", "", false, "not available"},
	} {
		argv := append(r.askpass(t, c.user, c.password), "echo in")
		if c.password == "" {
			argv = r.ssh(c.user, "echo in")
		}
		got := r.run(t, "", argv...)
		if (got.stdout == "in\n") != c.in || !strings.Contains(got.stdout+got.stderr, c.text) {
			t.Errorf("%s with %q: %+v, want in: %v, %q", c.user, c.password, got, c.in, c.text)
		}
	}
	for _, want := range []string{
		`reason="no such account"`, `reason="root may not log in this way"`, `reason="the account is locked"`,
		`reason="the shell cannot be run: /no/shell"`, `msg="account refused"`, `msg="first factor accepted" `, "SHA256:",
	} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log does not say %s", want)
		}
	}
	if strings.Contains(r.log.String(), sandbox.Password) || strings.Contains(r.log.String(), "wrong") {
		t.Error("a password is in the log")
	}
}

// Without the daemon's yes nobody gets in, and a person is told what to do.
func TestNoTerminal(t *testing.T) {
	r := start(t, setup{})
	got := r.run(t, "", r.ssh("ana", "echo in")...)
	if got.stdout != "" || got.status == 0 || !strings.Contains(got.stderr, "terminal") {
		t.Errorf("%+v", got)
	}
	if err := r.daemon.Stop(); err != nil {
		t.Fatal(err)
	}
	got = r.run(t, "", r.ssh("ana", "echo in")...)
	if got.stdout != "" || got.status == 0 {
		t.Errorf("without the daemon: %+v", got)
	}
}

// Many at once all get in, and leave nothing behind.
func TestMany(t *testing.T) {
	r := start(t, setup{change: allow, config: "max_startups = \"100:30:200\"\nper_source = 200\n"})
	const many = 50
	done := make(chan result)
	for range many {
		go func() { done <- r.run(t, "", r.ssh("ana", "echo in")...) }()
	}
	for range many {
		if got := <-done; got != (result{"in\n", "", 0}) {
			t.Errorf("%+v", got)
		}
	}
	wait(t, "the monitors to be gone", func() bool { return len(children(t, r.cmd.Process.Pid)) == 0 })
}
