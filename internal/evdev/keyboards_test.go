package evdev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Bitmaps of real devices: an AT keyboard, one with media keys, the power
// button, a mouse, a remote control without letters.
const (
	atBoard = "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe\n"
	usb     = "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe\n"
	power   = "10000000000000 0\n"
	mouse   = "1f0000 0 0 0 0\n"
	remote  = "3ff 0 0 c0000 0 0 1f9 4001ffc\n"
)

func TestTypes(t *testing.T) {
	for in, want := range map[string]bool{
		"": false, "0": false, power: false, mouse: false, remote: false, "x y": false, "fffffffffffffffff": false,
		strings.Repeat("0 ", 300) + "fffffffffffffffe": false, // a bitmap of no kernel
		"fffffffffffffffe": true, atBoard: true, usb: true,
		"ffffffffeffffffe": false, // all but Enter
		"fffffffffffefffe": false, // all but Q
	} {
		if strconv.IntSize != 64 && want {
			t.Skip("the bitmaps are of a machine of 64 bits")
		}
		if got := types(in); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}

// machine makes a folder as /sys/class/input is, with a device for each bitmap.
func machine(t *testing.T, bitmaps ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i, keys := range bitmaps {
		caps := filepath.Join(dir, fmt.Sprint("event", i), "device/capabilities")
		if err := os.MkdirAll(caps, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(caps, "key"), []byte(keys), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "event-gone"), 0o700); err != nil { // unplugged meanwhile
		t.Fatal(err)
	}
	return dir
}

func TestKeyboards(t *testing.T) {
	many := func(n int) []string { return strings.Split(strings.Repeat(atBoard+"|", n)[:n*(len(atBoard)+1)-1], "|") }
	for _, c := range []struct {
		name    string
		devices []string
		fail    string // the device that cannot be opened
		want    []string
		err     error
	}{
		{"nothing", nil, "", nil, ErrNone},
		{"no keyboard", []string{mouse, power, remote}, "", nil, ErrNone},
		{"more keyboards than anybody has", many(maxKeyboards + 1), "", nil, ErrTooMany},
		{"more devices than any machine has", many(maxDevices), "", nil, ErrTooMany},
		{"one that may not be read", []string{atBoard, usb}, "event1", nil, fs.ErrPermission},
		{"another that may not be read", []string{atBoard, mouse}, "event1", []string{"event0"}, nil},
		{"two among others", []string{power, usb, mouse, atBoard}, "", []string{"event1", "event3"}, nil},
		{"as many as are heard", many(maxKeyboards), "", []string{
			"event0", "event1", "event10", "event11", "event12", "event13", "event14", "event15",
			"event2", "event3", "event4", "event5", "event6", "event7", "event8", "event9",
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var opened []string
			var all []*os.File
			files, err := keyboards("/dev/null/input", machine(t, c.devices...), func(path string) (*os.File, error) {
				if filepath.Base(path) == c.fail {
					return nil, fs.ErrPermission
				}
				f, err := os.Open(os.DevNull)
				opened, all = append(opened, strings.TrimPrefix(path, "/dev/null/input/")), append(all, f)
				return f, err
			})
			if !errors.Is(err, c.err) || len(files) != len(c.want) {
				t.Errorf("%d keyboards, %v, want %d, %v", len(files), err, len(c.want), c.err)
			}
			if err == nil && strings.Join(opened, " ") != strings.Join(c.want, " ") {
				t.Errorf("opened %v, want %v", opened, c.want)
			}
			closeAll(files)
			for i, f := range all {
				if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
					t.Errorf("%s is left open", opened[i])
				}
			}
		})
	}
}

// What is no input device is refused, whatever it is called.
func TestOpenDevice(t *testing.T) {
	file := filepath.Join(t.TempDir(), "event0")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, os.DevNull, filepath.Join(t.TempDir(), "gone"), t.TempDir()} {
		if f, err := openDevice(path); err == nil {
			f.Close()
			t.Errorf("%s was opened", path)
		}
	}
}
