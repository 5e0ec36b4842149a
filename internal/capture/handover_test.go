package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// handoverEnv makes the test binary the process that is handed a terminal, or
// another of the roles.
const handoverEnv = "KSD_CAPTURE_HANDOVER"

var roles = map[string]func() error{
	"plain": func() error { return served(false) },
	"asks":  func() error { return served(true) },
}

func TestMain(m *testing.M) {
	if role := roles[os.Getenv(handoverEnv)]; role != nil {
		if err := role(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// served is the other side: it takes a terminal from the socket on descriptor
// 3, asks for releases if it is to, prompts there until the socket closes or
// SIGTERM comes, and answers with what it knows.
func served(ask bool) error {
	f := os.NewFile(3, "socket")
	c, err := net.FileConn(f)
	if err != nil {
		return err
	}
	socket := c.(*net.UnixConn)
	b, oob := make([]byte, 16), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := socket.ReadMsgUnix(b, oob)
	if err != nil {
		return err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return err
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil {
		return err
	}
	own, ownErr := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if ownErr == nil {
		own.Close()
		return errors.New("the terminal is this process's own")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		io.Copy(io.Discard, socket)
		cancel()
	}()
	term, err := Open(os.NewFile(uintptr(fds[0]), "tty"), "xterm", Monotonic)
	if err != nil {
		return err
	}
	defer term.Restore()
	if err := term.Raw(); err != nil {
		return err
	}
	if ask {
		if asked, err := term.Ask(ctx); err != nil || asked.Mode != Kitty {
			return fmt.Errorf("%+v, %w", asked, err)
		}
	}
	s, err := term.Read(ctx, Prompt{Phrase: "p"})
	err = errors.Join(err, term.Leave(ctx))
	fmt.Fprintf(socket, "uid %d keys %s err %v", os.Getuid(), keys(s), err)
	return nil
}

// handover starts the other side, as nobody in a session of its own where this
// process may do so, and gives it the console's terminal.
func handover(t *testing.T, con *console, role string) (*exec.Cmd, *net.UnixConn) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "theirs")
	defer theirs.Close()
	mine := os.NewFile(uintptr(pair[0]), "mine")
	defer mine.Close()
	c, err := net.FileConn(mine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{handoverEnv + "=" + role}
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if _, _, err := c.(*net.UnixConn).WriteMsgUnix([]byte("H"), unix.UnixRights(int(con.tty.Fd())), nil); err != nil {
		t.Fatal(err)
	}
	con.expect("\r\n> ")
	return cmd, c.(*net.UnixConn)
}

func TestHandover(t *testing.T) {
	answer := func(t *testing.T, c *net.UnixConn) string {
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		b, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	uid := os.Getuid()
	if uid == 0 {
		uid = 65534
	} else {
		t.Log("not root: the other process runs as the same user")
	}
	for _, c := range []struct {
		name string
		end  func(t *testing.T, con *console, cmd *exec.Cmd, c *net.UnixConn)
	}{
		{"accepted", func(t *testing.T, con *console, cmd *exec.Cmd, c *net.UnixConn) {
			con.typed("ok")
			con.send("\r")
			if got, want := answer(t, c), fmt.Sprintf("uid %d keys ok err <nil>", uid); got != want {
				t.Errorf("answer %q, want %q", got, want)
			}
		}},
		{"Ctrl-C", func(t *testing.T, con *console, cmd *exec.Cmd, c *net.UnixConn) {
			con.send("\x03")
			if got := answer(t, c); !strings.Contains(got, ErrInterrupted.Error()) {
				t.Errorf("answer %q", got)
			}
		}},
		{"client gone", func(t *testing.T, con *console, cmd *exec.Cmd, c *net.UnixConn) {
			con.typed("a")
			c.Close()
		}},
		{"SIGTERM", func(t *testing.T, con *console, cmd *exec.Cmd, c *net.UnixConn) {
			con.typed("a")
			cmd.Process.Signal(syscall.SIGTERM)
			if got := answer(t, c); !strings.Contains(got, context.Canceled.Error()) {
				t.Errorf("answer %q", got)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			con := newConsole(t)
			before := con.settings()
			cmd, socket := handover(t, con, "plain")
			if con.settings() == before {
				t.Error("the settings did not change")
			}
			c.end(t, con, cmd, socket)
			con.expect(bracketsOff)
			cmd.Wait()
			if after := con.settings(); after != before {
				t.Errorf("settings before %+v\nafter %+v", before, after)
			}
		})
	}
}

// TestHandoverKilled shows what nobody but the client can mend: the process
// that was handed the terminal is killed, the terminal stays raw, the client
// sees its socket close, puts back the settings it kept and undoes the mode.
func TestHandoverKilled(t *testing.T) {
	e := kittyTerminal()
	con := newEmulator(t, e)
	before := con.settings()
	cmd, c := handover(t, con, "asks")
	cmd.Process.Kill()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
		t.Errorf("the client sees %q, %v, want EOF", b, err)
	}
	if con.settings() == before || e.state() != "[31] false" {
		t.Fatal("somebody restored the terminal: this package's comment is wrong")
	}
	if err := unix.IoctlSetTermios(int(con.tty.Fd()), unix.TCSETS, &before); err != nil {
		t.Fatal(err)
	}
	con.tty.WriteString(Undo(Kitty) + "[end]")
	con.expect("[end]")
	if con.settings() != before || e.state() != "[] false" {
		t.Error("the client could not restore the terminal")
	}
}
