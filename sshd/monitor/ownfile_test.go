package monitor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What StrictModes refuses, each with one thing wrong.
func TestReadOwn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("files of other people's need root")
	}
	const uid, other = 2001, 2002
	for _, c := range []struct {
		name  string
		spoil func(home string) error
		want  error // nil: it is read
	}{
		{"nothing wrong", func(string) error { return nil }, nil},
		{"root's file", func(h string) error {
			return errors.Join(os.Chown(h+"/.ssh/keys", 0, 0), os.Chmod(h+"/.ssh/keys", 0o644))
		}, nil},
		{"a link inside", func(h string) error {
			return errors.Join(os.Rename(h+"/.ssh", h+"/real"), os.Symlink(h+"/real", h+"/.ssh"))
		}, nil},
		{"above the home is the system's", func(h string) error { return os.Chmod(filepath.Dir(h), 0o777) }, nil},
		{"not there", func(h string) error { return os.Remove(h + "/.ssh/keys") }, fs.ErrNotExist},
		{"another's file", func(h string) error {
			return errors.Join(os.Chown(h+"/.ssh/keys", other, other), os.Chmod(h+"/.ssh/keys", 0o644))
		}, errLoose},
		{"file for the group", func(h string) error { return os.Chmod(h+"/.ssh/keys", 0o664) }, errLoose},
		{"file for all", func(h string) error { return os.Chmod(h+"/.ssh/keys", 0o646) }, errLoose},
		{"another's folder", func(h string) error { return os.Chown(h+"/.ssh", other, other) }, errLoose},
		{"folder for the group", func(h string) error { return os.Chmod(h+"/.ssh", 0o770) }, errLoose},
		{"home for all", func(h string) error { return os.Chmod(h, 0o777) }, errLoose},
		{"a folder", func(h string) error {
			return errors.Join(os.Remove(h+"/.ssh/keys"), os.Mkdir(h+"/.ssh/keys", 0o755), os.Chown(h+"/.ssh/keys", uid, uid))
		}, errLoose},
		{"a pipe", func(h string) error {
			return errors.Join(os.Remove(h+"/.ssh/keys"), unix.Mkfifo(h+"/.ssh/keys", 0o600), os.Chown(h+"/.ssh/keys", uid, uid))
		}, errLoose},
		{"a link to what root alone may read", func(h string) error {
			return errors.Join(os.Remove(h+"/.ssh/keys"), os.WriteFile(h+"/secret", []byte("keys"), 0o600), os.Symlink(h+"/secret", h+"/.ssh/keys"))
		}, fs.ErrPermission},
		{"a link into another's folder", func(h string) error {
			d := h + "-loose"
			return errors.Join(os.Mkdir(d, 0o777), os.Chmod(d, 0o777), os.Rename(h+"/.ssh/keys", d+"/keys"), os.Symlink(d+"/keys", h+"/.ssh/keys"))
		}, errLoose},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, err := os.MkdirTemp("", "own")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(root)
			home := filepath.Join(root, "ana")
			err = errors.Join(os.Chmod(root, 0o755), os.MkdirAll(home+"/.ssh", 0o755), os.WriteFile(home+"/.ssh/keys", []byte("keys"), 0o600))
			for _, p := range []string{home, home + "/.ssh", home + "/.ssh/keys"} {
				err = errors.Join(err, os.Chown(p, uid, uid))
			}
			if err := errors.Join(err, c.spoil(home)); err != nil {
				t.Fatal(err)
			}
			a := account{name: "ana", home: home, uid: uid, gid: uid}
			var data []byte
			err = asNumbers(a, func() (err error) {
				data, err = readStrict(a, home+"/.ssh/keys", 100)
				return err
			})
			if !errors.Is(err, c.want) || (err == nil) != (string(data) == "keys") {
				t.Errorf("%q, %v, want %v", data, err, c.want)
			}
		})
	}
	t.Run("too large", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, make([]byte, 101), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readStrict(account{home: filepath.Dir(path)}, path, 100); err == nil {
			t.Error("it is read")
		}
	})
}

// asNumbers is as for an account that the machine does not have.
func asNumbers(a account, f func() error) error { return asGroups(a, []uint32{a.gid}, f) }

// What a thread became, no other is, and none is afterwards.
func TestAsIsOneThread(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("becoming somebody else needs root")
	}
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	inside, outside := make(chan struct{}), make(chan error)
	go func() {
		<-inside
		_, err := os.ReadFile(path)
		outside <- err
	}()
	err := asNumbers(account{name: "ana", uid: 2001, gid: 2001}, func() error {
		inside <- struct{}{}
		if err := <-outside; err != nil {
			t.Errorf("another thread: %v", err)
		}
		_, err := os.ReadFile(path)
		return err
	})
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("the thread itself: %v, want %v", err, fs.ErrPermission)
	}
	for range 100 {
		if _, err := os.ReadFile(path); err != nil {
			t.Fatalf("afterwards: %v", err)
		}
	}
}
