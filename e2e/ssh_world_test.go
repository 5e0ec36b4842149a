package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ksd/internal/ksdtest/sandbox"
)

// sshServer is one of the two ways in by ssh. Both have the port they have for
// real, for they run in a network of their own.
type sshServer struct{ name, port, service string }

var (
	ksdSSHD = sshServer{"ksd-sshd", "2222", "ksd-sshd"}
	openSSH = sshServer{"sshd + ksd-login", "22", "ksd-login"}
)

var sshServers = []sshServer{ksdSSHD, openSSH}

// A client that is silent for that long is taken for gone. A client of a machine
// that is busy with fifty others is not.
const (
	aliveEvery = 2 * time.Second
	aliveTimes = 4
)

// sshFiles adds what both servers need. The accounts' shell is theirs to choose,
// by the file passwd that each of them sees.
func (w *world) sshFiles(t *testing.T, c *sandbox.Config) {
	t.Helper()
	shipped, err := os.ReadFile("../conf/sshd_config.d/ksd.conf")
	if err != nil {
		t.Fatal(err)
	}
	c.Users = append(c.Users, sandbox.User{Name: "ksd-sshd", UID: 990, Shell: "/usr/sbin/nologin"})
	groups, members := "root:x:0:\ntty:x:5:\nutmp:x:43:\nnogroup:x:65534:\n", []string{}
	for _, u := range c.Users {
		groups += fmt.Sprintf("%s:x:%d:\n", u.Name, u.UID)
	}
	for _, p := range w.people {
		members = append(members, p.user)
	}
	pam := "auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n"
	for name, text := range map[string]string{
		"group":                      groups + "ksd-login:x:1100:" + strings.Join(members, ",") + "\n",
		"shells":                     "/bin/sh\n/bin/bash\n",
		"pam.d/sshd":                 pam,
		"pam.d/ksd-sshd":             pam,
		"ssh/sshd_config.d/ksd.conf": string(shipped),
		"ssh/sshd_config": fmt.Sprintf("Include /etc/ssh/sshd_config.d/*.conf\nHostKey /run/sshd/key\nPidFile none\nUsePAM yes\nKbdInteractiveAuthentication no\n"+
			"PrintMotd no\nPrintLastLog no\nMaxStartups 200:30:300\nClientAliveInterval %.0f\nClientAliveCountMax %d\nSubsystem sftp /usr/lib/openssh/sftp-server\n",
			aliveEvery.Seconds(), aliveTimes),
	} {
		c.Files[name] = text
	}
	c.Files[configFile] += fmt.Sprintf("[sshd]\nmax_startups = \"200:30:300\"\nper_source = 300\nkeep_alive = %q\nkeep_alives = %d\n", aliveEvery, aliveTimes)
}

// sshWorld is a world with both servers in it, and a network of theirs.
type sshWorld struct {
	*world
	net   network
	key   string   // everybody's private key
	whole []string // options of a client that would else hold keys back to a tick

	mu    sync.Mutex
	lines int // laid so far
}

// network is a network namespace with a loopback and nothing else. It lives as
// long as the process that holds it.
type network struct{ holder int }

func newNetwork(t *testing.T) network {
	t.Helper()
	cmd := exec.Command("unshare", "--net", "--", "sh", "-c", "ip link set lo up && echo ready && read -r end || :")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = in.Close(), cmd.Wait() })
	if word, _ := bufio.NewReader(out).ReadString('\n'); word != "ready\n" {
		t.Skip("root may not make a network namespace here, or there is no ip of iproute2")
	}
	return network{cmd.Process.Pid}
}

// path is the file that stands for the network.
func (n network) path() string { return fmt.Sprintf("/proc/%d/ns/net", n.holder) }

// in has cmd run in the network.
func (n network) in(cmd *exec.Cmd) *exec.Cmd {
	in := exec.Command("nsenter", append([]string{"--net=" + n.path(), "--"}, cmd.Args...)...)
	in.Env = cmd.Env
	return in
}

// ip runs ip(8) in the network.
func (n network) ip(t *testing.T, words string) {
	t.Helper()
	if out, err := n.in(exec.Command("ip", strings.Fields(words)...)).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", words, err, out)
	}
}

// newSSHWorld starts both servers, with everybody's key and password known.
func newSSHWorld(t *testing.T, from *world) *sshWorld {
	t.Helper()
	for _, program := range []string{"/usr/sbin/sshd", "/usr/bin/ssh", "/usr/bin/sftp"} {
		if _, err := os.Stat(program); err != nil {
			t.Skip("openssh-server and openssh-client are not installed")
		}
	}
	w := &sshWorld{world: from, net: newNetwork(t), key: filepath.Join(t.TempDir(), "key")}
	if whole := []string{"-o", "ObscureKeystrokeTiming=no"}; exec.Command("ssh", append(whole, "-G", "x")...).Run() == nil {
		w.whole = whole
	}
	// The sandbox's /dev/ptmx does not find /dev/pts beside it.
	must(t, w.Command("sh", "-c", "umount /dev/ptmx \"$0\" && rm /dev/ptmx && ln -s pts/ptmx /dev/ptmx", filepath.Dir(w.Path("/etc"))+"/dev/ptmx"))
	for _, key := range []string{w.key, w.Path("/run/sshd/key")} {
		must(t, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key))
	}
	for _, p := range w.people {
		must(t, exec.Command("install", "-D", "-o", strconv.Itoa(p.uid), "-g", strconv.Itoa(p.uid), "-m", "0600", w.key+".pub", w.Path("/home/"+p.user+"/.ssh/authorized_keys")))
	}
	passwd, err := os.ReadFile(w.Path("/etc/passwd"))
	if err != nil {
		t.Fatal(err)
	}
	for server, shell := range map[sshServer]string{ksdSSHD: "/bin/bash", openSSH: filepath.Join(w.bin, "ksd-login")} {
		if err := os.WriteFile(w.Path("/etc/passwd"+server.port), []byte(strings.ReplaceAll(string(passwd), ":/etc/shell\n", ":"+shell+"\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w.serve(t, openSSH, "/usr/sbin/sshd", "-D", "-e")
	w.serve(t, ksdSSHD, filepath.Join(w.bin, "ksd-sshd"))
	return w
}

// serve starts a server, with its own shells for the accounts, and waits until it
// listens.
func (w *sshWorld) serve(t *testing.T, s sshServer, argv ...string) {
	t.Helper()
	own := []string{"unshare", "--mount", "--propagation", "private", "--", "sh", "-c", "mount --bind /etc/passwd" + s.port + " /etc/passwd && exec \"$@\"", "sh"}
	background(t, w.net.in(w.Command(append(own, argv...)...)))
	eventually(t, s.name, func() error {
		return w.net.in(exec.Command("bash", "-c", "exec 3</dev/tcp/127.0.0.1/"+s.port)).Run()
	})
}

func must(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// place is where a client is: its network, and the server's address from there.
type place struct {
	net    network
	server string
}

// here is the servers' own machine.
func (w *sshWorld) here() place { return place{w.net, "127.0.0.1"} }

// options are those of ssh, scp and sftp alike.
func (w *sshWorld) options(s sshServer, more ...string) []string {
	return append([]string{
		"-F", "/dev/null", "-i", w.key, "-o", "Port=" + s.port, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "NumberOfPasswordPrompts=1", "-o", "ConnectTimeout=60",
	}, more...)
}

// ssh is a client. Its options stand before the host, its command behind.
func (w *sshWorld) ssh(s sshServer, at place, user string, options []string, command ...string) *exec.Cmd {
	argv := append(append(w.options(s, options...), w.whole...), user+"@"+at.server)
	cmd := exec.Command("ssh", append(argv, command...)...)
	cmd.Env = os.Environ()
	return at.net.in(cmd)
}
