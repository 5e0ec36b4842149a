// Package sandbox runs the machine's own login programs (su, sudo, login,
// sshd) with a private /etc, so that a test can give them PAM files, users and
// passwords without touching the machine.
//
// A Sandbox is a mount namespace of its own. Inside, /etc is a copy with the
// test's users and files; /run, /home, /var/log and /var/lib/sudo are empty
// folders; /dev holds the usual devices, the machine's pseudo-terminals and a
// /dev/log that the test reads. All else is the machine's. It needs root.
//
//	s := sandbox.New(t, sandbox.Config{
//		Users: []sandbox.User{{Name: "alice", UID: 2001}, {Name: "bob", UID: 2002}},
//		Files: map[string]string{"pam.d/su": "auth required pam_unix.so nodelay\n…"},
//	})
//	cmd := s.CommandAs("alice", "su", "bob", "-c", "id -un")
package sandbox

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Password is the password of every user that has one.
const Password = "open sesame"

// passwordHash is crypt(3) of Password: SHA-512, few rounds, as tests are in a hurry.
const passwordHash = "$6$rounds=1000$ksd$ljkDkPpz32GOV/.U20YpbKua.lHkCLRru8xuVzlqP35GrQGYTxcbSajivEDK.ymE5uhvtoe3QiEWwKLMIAs.b/"

// User is an account that exists only inside the sandbox, with a group of the
// same name and number.
type User struct {
	Name       string
	UID        int
	Shell      string // "" is /bin/sh
	NoPassword bool   // the password is empty, for pam_unix with nullok
}

// Config is what the sandbox holds.
type Config struct {
	Users []User            // beside root, who has Password
	Files map[string]string // path below /etc, such as "pam.d/su", to content
}

// Sandbox is a running sandbox. It ends with the test.
type Sandbox struct {
	root  string // holds the folders that stand for those in mounts
	ns    string // path of the mount namespace
	users map[string]int
	log   *logReader
}

// mounts are the folders that the sandbox has for itself.
var mounts = []string{"/etc", "/run", "/home", "/var/log", "/var/lib/sudo"}

// New starts a sandbox. It skips the test if this is not root, or if root may
// not mount here.
func New(tb testing.TB, c Config) *Sandbox {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("a private /etc needs root")
	}
	root, err := os.MkdirTemp("", "sandbox") // short, for the sockets in it
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil {
		tb.Fatal(err)
	}
	s := &Sandbox{root: root, users: map[string]int{"root": 0}}
	if err := s.fill(c); err != nil {
		tb.Fatal(err)
	}
	s.log, err = listenLog(s.Path("/run/log"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.log.close)
	s.enter(tb)
	return s
}

// Path returns where a file of the sandbox lies for programs outside, such as
// a daemon that is to listen on /run/ksd/login.sock. It panics if the file is
// in none of the sandbox's own folders.
func (s *Sandbox) Path(inside string) string {
	for _, m := range mounts {
		if inside == m || strings.HasPrefix(inside, m+"/") {
			return filepath.Join(s.root, inside)
		}
	}
	panic("sandbox: " + inside + " is the machine's own")
}

// Command returns a command that root runs inside, with an empty environment
// but for PATH, TERM and LANG.
func (s *Sandbox) Command(argv ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"--mount=" + s.ns, "--"}, argv...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=dumb", "LANG=C"}
	return cmd
}

// CommandAs is Command for one of the users. It panics if there is no such user.
func (s *Sandbox) CommandAs(user string, argv ...string) *exec.Cmd {
	uid, ok := s.users[user]
	if !ok {
		panic("sandbox: no user " + user)
	}
	id := strconv.Itoa(uid)
	drop := []string{"setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--"}
	return s.Command(append(drop, argv...)...)
}

// Log returns the lines that programs inside have sent to syslog since the
// last call, without priority and date.
func (s *Sandbox) Log() []string { return s.log.lines() }

// fill makes the sandbox's own folders and files.
func (s *Sandbox) fill(c Config) error {
	if out, err := exec.Command("cp", "-a", "/etc", s.root).CombinedOutput(); err != nil {
		return fmt.Errorf("copying /etc: %w: %s", err, out)
	}
	for _, dir := range []string{"/etc/pam.d", "/etc/sudoers.d"} {
		if err := os.RemoveAll(s.Path(dir)); err != nil {
			return err
		}
	}
	for _, dir := range append(mounts, "/dev", "/etc/pam.d", "/run/sshd") {
		if err := os.MkdirAll(filepath.Join(s.root, dir), 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{
		"nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
		"pam.d/other":   "auth required pam_deny.so\naccount required pam_deny.so\npassword required pam_deny.so\nsession required pam_deny.so\n",
	}
	s.accounts(c.Users, files)
	for name, content := range c.Files {
		files[name] = content
	}
	for name, content := range files {
		if err := s.write(name, content); err != nil {
			return err
		}
	}
	return s.homes(c.Users)
}

// accounts adds passwd, group and shadow to files.
func (s *Sandbox) accounts(users []User, files map[string]string) {
	passwd := []string{"root:x:0:0::/root:/bin/sh", "sshd:x:101:65534::/run/sshd:/usr/sbin/nologin", "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin"}
	group := []string{"root:x:0:", "tty:x:5:", "utmp:x:43:", "nogroup:x:65534:"}
	shadow := []string{"root:" + passwordHash + ":19000:0:99999:7:::", "sshd:*:19000:0:99999:7:::", "nobody:*:19000:0:99999:7:::"}
	for _, u := range users {
		s.users[u.Name] = u.UID
		shell, hash := u.Shell, passwordHash
		if shell == "" {
			shell = "/bin/sh"
		}
		if u.NoPassword {
			hash = ""
		}
		passwd = append(passwd, fmt.Sprintf("%s:x:%d:%d::/home/%s:%s", u.Name, u.UID, u.UID, u.Name, shell))
		group = append(group, fmt.Sprintf("%s:x:%d:", u.Name, u.UID))
		shadow = append(shadow, fmt.Sprintf("%s:%s:19000:0:99999:7:::", u.Name, hash))
	}
	for name, lines := range map[string][]string{"passwd": passwd, "group": group, "shadow": shadow} {
		files[name] = strings.Join(lines, "\n") + "\n"
	}
}

// write makes a file below /etc, for everybody to read but shadow and sudoers;
// one that starts with #! can be run.
func (s *Sandbox) write(name, content string) error {
	path, mode := s.Path("/etc/"+name), os.FileMode(0o644)
	switch {
	case name == "shadow" || strings.HasPrefix(name, "sudoers"):
		mode = 0o440
	case strings.HasPrefix(content, "#!"):
		mode = 0o755
	}
	if err := os.RemoveAll(path); err != nil { // it may be a link to elsewhere
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

func (s *Sandbox) homes(users []User) error {
	for _, u := range users {
		home := s.Path("/home/" + u.Name)
		if err := os.Mkdir(home, 0o700); err != nil {
			return err
		}
		if err := os.Chown(home, u.UID, u.UID); err != nil {
			return err
		}
	}
	return nil
}

// setup runs inside the new namespace and then keeps it alive until its input
// ends. Its first argument is the sandbox's folder, the others are mounts.
const setup = `set -eu
root=$1; shift
for m; do [ -d "$m" ] || continue; mount --bind "$root$m" "$m"; done
mount -t tmpfs -o mode=755 dev "$root/dev"
for d in null zero full random urandom tty ptmx; do
	touch "$root/dev/$d"; mount --bind "/dev/$d" "$root/dev/$d"
done
mkdir "$root/dev/pts" "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /run/log "$root/dev/log"
mount --rbind /dev/pts "$root/dev/pts"
mount --rbind "$root/dev" /dev
echo ready
read -r end || :
`

// enter makes the namespace and waits until it is ready.
func (s *Sandbox) enter(tb testing.TB) {
	tb.Helper()
	argv := append([]string{"--mount", "--propagation", "private", "--", "sh", "-c", setup, "sandbox", s.root}, mounts...)
	cmd := exec.Command("unshare", argv...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	word, err := bufio.NewReader(out).ReadString('\n')
	if word != "ready\n" {
		in.Close()
		cmd.Wait()
		if err == io.EOF && strings.Contains(complaint.String(), "unshare failed") {
			tb.Skipf("root may not make a mount namespace here: %s", &complaint)
		}
		tb.Fatalf("the sandbox does not start: %s", &complaint)
	}
	s.ns = fmt.Sprintf("/proc/%d/ns/mnt", cmd.Process.Pid)
	tb.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
}

// logReader is a /dev/log.
type logReader struct {
	conn *net.UnixConn
	path string
	got  chan string
}

// mark is what lines sends to find its own place among the datagrams.
const mark = "sandbox: mark"

func listenLog(path string) (*logReader, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	l := &logReader{conn: conn, path: path, got: make(chan string, 10000)}
	go l.read()
	return l, os.Chmod(path, 0o666)
}

func (l *logReader) read() {
	defer close(l.got)
	for buf := make([]byte, 8192); ; {
		n, err := l.conn.Read(buf)
		if err != nil {
			return
		}
		l.got <- string(buf[:n])
	}
}

func (l *logReader) lines() []string {
	to, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: l.path, Net: "unixgram"})
	if err != nil {
		return nil
	}
	defer to.Close()
	if _, err := to.Write([]byte(mark)); err != nil {
		return nil
	}
	var lines []string
	for line := range l.got {
		if line == mark {
			break
		}
		// "<84>Nov 22 03:14:07 su: text"
		if _, rest, ok := strings.Cut(line, ">"); ok && len(rest) > len("Nov 22 03:14:07 ") {
			line = rest[len("Nov 22 03:14:07 "):]
		}
		lines = append(lines, strings.TrimRight(line, "\n\x00"))
	}
	return lines
}

func (l *logReader) close() { l.conn.Close() }
