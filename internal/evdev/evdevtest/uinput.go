package evdevtest

import (
	"encoding/binary"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"ksd/internal/evdev"
)

// Calls of /dev/uinput (linux/uinput.h).
const (
	uiCreate  = 0x5501
	uiDestroy = 0x5502
	uiSetup   = 0x405c5503
	uiEvents  = 0x40045564
	uiKeys    = 0x40045565
)

// Uinput is a keyboard that the kernel takes for a real one.
type Uinput struct {
	tb testing.TB
	f  *os.File
}

// NewUinput plugs a keyboard in, which stays until the test ends. It repeats held
// keys. It skips the test where there is no uinput.
func NewUinput(tb testing.TB) *Uinput {
	tb.Helper()
	f, err := os.OpenFile("/dev/uinput", os.O_WRONLY, 0)
	if err != nil {
		tb.Skipf("no uinput: %v", err)
	}
	u := &Uinput{tb, f}
	u.call(uiEvents, 1)    // EV_KEY
	u.call(uiEvents, 0x14) // EV_REP
	for code := range uintptr(128) {
		u.call(uiKeys, code)
	}
	var setup [92]byte // struct uinput_setup
	binary.NativeEndian.PutUint16(setup[:], 3)
	copy(setup[8:], "a keyboard of a test")
	u.call(uiSetup, uintptr(unsafe.Pointer(&setup)))
	u.call(uiCreate, 0)
	tb.Cleanup(u.Close)
	return u
}

func (u *Uinput) call(n, arg uintptr) {
	u.tb.Helper()
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, u.f.Fd(), n, arg); errno != 0 {
		u.tb.Fatalf("uinput: %#x: %v", n, errno)
	}
}

// Does sends an event; the kernel stamps it.
func (u *Uinput) Does(code uint16, a evdev.Action) {
	u.tb.Helper()
	if _, err := u.f.Write(append(Raw(1, code, int32(a), 0, 0), Raw(0, 0, 0, 0, 0)...)); err != nil {
		u.tb.Fatal(err)
	}
}

// Close unplugs the keyboard.
func (u *Uinput) Close() {
	unix.Syscall(unix.SYS_IOCTL, u.f.Fd(), uiDestroy, 0)
	u.f.Close()
}
