package monitor

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"ksd/conf"
	"ksd/internal/ksdtest"
	"ksd/internal/ksdtest/sandbox"
	"ksd/internal/wire"
	"ksd/sshd/link"
)

// pamFile is /etc/pam.d/ksd-sshd here.
const pamFile = `auth     required pam_unix.so nodelay
account  required pam_nologin.so
account  required pam_unix.so
session  required pam_exec.so /etc/note
session  optional pam_motd.so motd=/etc/motd noupdate
`

// note appends to a file what PAM does.
const note = "#!/bin/sh\necho $PAM_TYPE $PAM_USER $PAM_RHOST $PAM_TTY >>/run/pam\n"

// rig is a sandbox with accounts, and a daemon.
type rig struct {
	*sandbox.Sandbox
	daemon *ksdtest.Daemon
	key    ssh.PublicKey   // of ana, bob and eve
	hands  *ksdtest.Typist // ana's
}

func newRig(t *testing.T, sshd string, changes ...func(*conf.Config)) *rig {
	t.Helper()
	r := &rig{Sandbox: sandbox.New(t, sandbox.Config{
		Users: []sandbox.User{
			{Name: "ana", UID: 2001, Shell: "/bin/bash"}, {Name: "bob", UID: 2002}, {Name: "eve", UID: 2003, Shell: "/no/shell"},
		},
		Files: map[string]string{"pam.d/ksd-sshd": pamFile, "note": note, "motd": "Be kind.\n"},
	})}
	r.daemon = ksdtest.Start(t, append(changes, func(c *conf.Config) { c.Challenge.Warmups = 0 })...)
	r.hands = ksdtest.NewTypist(1, 100*time.Millisecond)
	r.daemon.Enrol("ana", r.hands)
	r.daemon.UID("bob")
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.key, err = ssh.NewPublicKey(public); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ana", "bob", "eve"} {
		r.authorize(t, name, "")
	}
	r.write(t, "/etc/ksd/ksd.toml", fmt.Sprintf("[daemon]\nlogin_socket = %q\napi_socket = %q\n[sshd]\n%s",
		r.daemon.Config.Daemon.LoginSocket, r.daemon.Config.Daemon.APISocket, sshd), 0)
	return r
}

var uids = map[string]int{"root": 0, "ana": 2001, "bob": 2002, "eve": 2003}

// authorize makes the key good for an account.
func (r *rig) authorize(t *testing.T, name, options string) {
	t.Helper()
	r.write(t, "/home/"+name+"/.ssh/authorized_keys", options+string(ssh.MarshalAuthorizedKey(r.key)), uids[name])
}

func (r *rig) write(t *testing.T, path, text string, uid int) {
	t.Helper()
	path = r.Path(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, filepath.Dir(path)} {
		if err := os.Lchown(p, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
}

// monitor is one that runs, seen from the network half.
type running struct {
	*link.Client
	conn *link.Conn
	cmd  *exec.Cmd
	out  bytes.Buffer
	log  *ksdtest.Buffer
}

// start starts a monitor. With raw its link is left to the test.
func (r *rig) start(t *testing.T, raw bool) *running {
	t.Helper()
	theirs, ours, err := link.Pair()
	if err != nil {
		t.Fatal(err)
	}
	m := &running{cmd: r.Command(os.Args[0]), log: new(ksdtest.Buffer)}
	m.cmd.Env = append(m.cmd.Env, asMonitor+"=/etc/ksd/ksd.toml", "GORACE=atexit_sleep_ms=0") // it sleeps for a second else
	m.cmd.ExtraFiles, m.cmd.Stdout, m.cmd.Stderr = []*os.File{ours}, &m.out, m.log
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ours.Close()
	if m.conn, err = link.NewConn(theirs); err != nil {
		t.Fatal(err)
	}
	if !raw {
		m.Client = link.NewClient(m.conn)
	}
	t.Cleanup(func() {
		m.conn.Close()
		if m.cmd.ProcessState == nil {
			m.cmd.Process.Kill()
			m.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("the monitor's log:\n%s", m.log)
		}
	})
	return m
}

// end closes the link, if it is not, and returns what the monitor reports.
// Nothing may be left of it.
func (m *running) end(t *testing.T) report {
	t.Helper()
	m.conn.Close()
	return m.ended(t)
}

// ended is end for a monitor that ends by itself.
func (m *running) ended(t *testing.T) report {
	t.Helper()
	watch := time.AfterFunc(time.Minute, func() { m.cmd.Process.Kill() })
	defer watch.Stop()
	if err := m.cmd.Wait(); err != nil {
		t.Fatalf("the monitor's process: %v\n%s", err, m.log)
	}
	var r report
	if err := json.Unmarshal(m.out.Bytes(), &r); err != nil {
		t.Fatalf("%q: %v", &m.out, err)
	}
	if r.Routines > 0 || r.Files > 0 || r.Children > 0 {
		t.Errorf("left are %d goroutines, %d descriptors, children: %d", r.Routines, r.Files, r.Children)
	}
	return r
}

// prove proves the first factor by key.
func (r *rig) prove(t *testing.T, m *running, name string) {
	t.Helper()
	if p, err := m.Key(t.Context(), link.Key{User: name, Key: r.key.Marshal(), Proven: true}); err != nil || !p.OK {
		t.Fatalf("the key of %s: %+v, %v", name, p, err)
	}
}

// open proves the first factor and opens the account.
func (r *rig) open(t *testing.T, m *running, name string) link.Opened {
	t.Helper()
	r.prove(t, m, name)
	o, err := m.Open(t.Context(), link.Open{User: name, Client: "test_1.0"})
	if err != nil || !o.OK {
		t.Fatalf("opening %s: %+v, %v", name, o, err)
	}
	return o
}

// recognise passes the second factor with ana's hands.
func (r *rig) recognise(t *testing.T, m *running) {
	t.Helper()
	if j := m.challenge(t, r.hands); j.Code != wire.Accept {
		t.Fatalf("the challenge: %+v", j)
	}
}

// challenge has hands type what is asked for, to the last word.
func (m *running) challenge(t *testing.T, hands *ksdtest.Typist) link.Judged {
	t.Helper()
	j, err := m.Challenge(t.Context(), link.Challenge{})
	for err == nil && j.Code == "" {
		j, err = m.Answer(t.Context(), link.Answer{Sample: hands.Sample(j.Next.Phrase)})
	}
	if err != nil {
		t.Fatalf("the challenge: %v", err)
	}
	return j
}
