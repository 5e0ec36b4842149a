package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// TestOtherUID calls a real daemon as another user of the machine: the kernel's
// word counts, not the caller's.
func TestOtherUID(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become somebody else")
	}
	const nobody = 65534
	folder := stateFolder(t, "")
	shared := filepath.Dir(folder)
	config := fmt.Sprintf("[daemon]\nlogin_socket = %q\napi_socket = %q\nstate = %q\n",
		filepath.Join(shared, "login.sock"), filepath.Join(shared, "ksd.sock"), folder)
	writeConfig(t, folder, config)
	if err := os.Chmod(shared, 0o755); err != nil {
		t.Fatal(err)
	}
	startKsdd(t, folder, func(cmd *exec.Cmd) { cmd.Args = []string{os.Args[0], "-config", filepath.Join(shared, "ksd.toml")} })
	exe := filepath.Join(shared, "client") // the test binary lies where nobody may not go
	if err := os.Link(os.Args[0], exe); err != nil {
		if err := copyFile(os.Args[0], exe); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(exe, 0o755); err != nil {
		t.Fatal(err)
	}
	term := ksdtest.NewTerminal(t)
	if err := os.Chown(term.TTY.Name(), nobody, -1); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, user, want string }{
		{"user", "root", "forbidden"},
		{"user", "nobody", "ok"},
		{"users", "", "forbidden"},
		{"login", "root", "failed"},
		{"login", "nobody", "unenrolled"},
	} {
		cmd := exec.Command(exe, shared, c.user)
		cmd.Env = []string{asClient + "=" + c.what, quickExit}
		cmd.Dir = "/"
		cmd.Stdin = term.TTY
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); got != c.want {
			t.Errorf("%s %s as nobody: %q (%v), want %q", c.what, c.user, got, err, c.want)
		}
	}
}

// client asks the daemon of a folder for one thing and prints what came of it.
func client(what string, args []string) int {
	ctx, folder, user := context.Background(), args[0], args[1]
	if what == "login" {
		v, err := wire.HandOver(ctx, filepath.Join(folder, "login.sock"),
			wire.Hello{User: user, Service: "test", Source: "tty:x"}, os.Stdin, func(wire.Text) {})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(v.Code)
		return 0
	}
	c, err := wire.Dial(ctx, filepath.Join(folder, "ksd.sock"))
	if err == nil {
		if what == "users" {
			_, err = c.Users(ctx)
		} else {
			_, err = c.User(ctx, user)
		}
	}
	var e *wire.Error
	switch {
	case errors.As(err, &e):
		fmt.Println(e.Code)
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Println("ok")
	}
	return 0
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}
