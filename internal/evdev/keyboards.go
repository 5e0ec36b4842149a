package evdev

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where the devices are, and where the kernel says what they can do.
const (
	devices = "/dev/input"
	classes = "/sys/class/input"
)

const (
	maxDevices   = 256  // of all kinds, looked at
	maxKeyboards = 16   // heard
	maxDrain     = 1024 // events dropped at the start
)

// Keyboards opens every keyboard of the machine, for Record to read and close.
// Keyboards that are plugged in later are not among them. What happened before is
// dropped, and stamps are CLOCK_MONOTONIC from here on.
//
// The error is ErrNone where there is no keyboard, ErrTooMany, or says why one
// cannot be opened: a person may type at any of them, so all or none are heard.
func Keyboards() ([]*os.File, error) { return keyboards(devices, classes, openDevice) }

func keyboards(devices, classes string, open func(path string) (*os.File, error)) (files []*os.File, err error) {
	names, err := filepath.Glob(filepath.Join(classes, "event*"))
	if err != nil || len(names) > maxDevices {
		return nil, ErrTooMany
	}
	for _, name := range names {
		// Asked of sysfs, since opening a device that nobody else has open wakes it up.
		keys, err := os.ReadFile(filepath.Join(name, "device/capabilities/key"))
		if err != nil || !types(string(keys)) {
			continue // unplugged, or no keyboard
		}
		if len(files) == maxKeyboards {
			closeAll(files)
			return nil, ErrTooMany
		}
		f, err := open(filepath.Join(devices, filepath.Base(name)))
		if err != nil {
			closeAll(files)
			return nil, fmt.Errorf("keyboard: %w", err)
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, ErrNone
	}
	return files, nil
}

// types reports whether a device has all letters of a keyboard and Enter, going
// by its bitmap of keys: words of a long each in hexadecimal, the highest first.
func types(bitmap string) bool {
	words := strings.Fields(bitmap)
	if len(words) == 0 || len(words) > 4096/strconv.IntSize {
		return false
	}
	has := func(code int) bool {
		i := len(words) - 1 - code/strconv.IntSize
		if i < 0 {
			return false
		}
		w, err := strconv.ParseUint(words[i], 16, strconv.IntSize)
		return err == nil && w>>(code%strconv.IntSize)&1 == 1
	}
	// KEY_Q to KEY_P and Enter, KEY_A to KEY_L, KEY_Z to KEY_M.
	for _, row := range [][2]int{{16, 25}, {28, 28}, {30, 38}, {44, 50}} {
		for code := row[0]; code <= row[1]; code++ {
			if !has(code) {
				return false
			}
		}
	}
	return true
}

// eviocsclockid is EVIOCSCLOCKID (linux/input.h), _IOW('E', 0xa0, int).
const eviocsclockid = 0x400445a0

// openDevice opens an input device, never waiting, and empties its queue. Only a
// device of the kind knows the call that sets its clock.
func openDevice(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	clock := int32(unix.CLOCK_MONOTONIC)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), eviocsclockid, uintptr(unsafe.Pointer(&clock))); errno != 0 {
		f.Close()
		return nil, &os.PathError{Op: "clock", Path: path, Err: errno}
	}
	if err := drain(fd); err != nil {
		f.Close()
		return nil, &os.PathError{Op: "read", Path: path, Err: err}
	}
	return f, nil
}

// drain reads a device until it has no more. Setting the clock dropped what was
// queued and queued SYN_DROPPED in its place.
func drain(fd int) error {
	var b [64 * EventSize]byte
	defer clear(b[:])
	for range maxDrain / 64 {
		if _, err := unix.Read(fd, b[:]); err == unix.EAGAIN {
			return nil
		} else if err != nil && err != unix.EINTR {
			return err
		}
	}
	return ErrTooMany
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
