package monitor

import (
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// The opcodes of terminal modes that Linux has (RFC 4254, 8; RFC 8160 for
// IUTF8), each with what it sets. VDSUSP, VSTATUS, PENDIN and OXTABS are not
// there, and what is not in these tables is passed over, as the RFC asks for.
var (
	modeChars = map[uint8]int{
		1: unix.VINTR, 2: unix.VQUIT, 3: unix.VERASE, 4: unix.VKILL, 5: unix.VEOF, 6: unix.VEOL, 7: unix.VEOL2,
		8: unix.VSTART, 9: unix.VSTOP, 10: unix.VSUSP, 12: unix.VREPRINT, 13: unix.VWERASE, 14: unix.VLNEXT,
		16: unix.VSWTC, 18: unix.VDISCARD,
	}
	modeInput = map[uint8]uint32{
		30: unix.IGNPAR, 31: unix.PARMRK, 32: unix.INPCK, 33: unix.ISTRIP, 34: unix.INLCR, 35: unix.IGNCR,
		36: unix.ICRNL, 37: unix.IUCLC, 38: unix.IXON, 39: unix.IXANY, 40: unix.IXOFF, 41: unix.IMAXBEL, 42: unix.IUTF8,
	}
	modeLocal = map[uint8]uint32{
		50: unix.ISIG, 51: unix.ICANON, 52: unix.XCASE, 53: unix.ECHO, 54: unix.ECHOE, 55: unix.ECHOK, 56: unix.ECHONL,
		57: unix.NOFLSH, 58: unix.TOSTOP, 59: unix.IEXTEN, 60: unix.ECHOCTL, 61: unix.ECHOKE,
	}
	modeOutput = map[uint8]uint32{
		70: unix.OPOST, 71: unix.OLCUC, 72: unix.ONLCR, 73: unix.OCRNL, 74: unix.ONOCR, 75: unix.ONLRET,
	}
	modeControl = map[uint8]uint32{92: unix.PARENB, 93: unix.PARODD}
	modeSize    = map[uint8]uint32{90: unix.CS7, 91: unix.CS8}
	baud        = map[uint32]uint32{
		0: unix.B0, 50: unix.B50, 75: unix.B75, 110: unix.B110, 134: unix.B134, 150: unix.B150, 200: unix.B200,
		300: unix.B300, 600: unix.B600, 1200: unix.B1200, 1800: unix.B1800, 2400: unix.B2400, 4800: unix.B4800,
		9600: unix.B9600, 19200: unix.B19200, 38400: unix.B38400, 57600: unix.B57600, 115200: unix.B115200, 230400: unix.B230400,
	}
)

const (
	modeISpeed = 128
	modeOSpeed = 129
	noChar     = 255 // "the character is not there" on the wire; 0 for the kernel
)

// setModes brings a terminal into the modes that a client's is in.
func setModes(fd int, modes map[uint8]uint32) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	for _, op := range slices.Sorted(maps.Keys(modes)) {
		apply(t, op, modes[op])
	}
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

func apply(t *unix.Termios, op uint8, v uint32) {
	set := func(flags *uint32, bit uint32) {
		if v != 0 {
			*flags |= bit
		} else {
			*flags &^= bit
		}
	}
	if i, ok := modeChars[op]; ok {
		if v == noChar {
			v = 0
		}
		t.Cc[i] = uint8(v)
	} else if bit, ok := modeInput[op]; ok {
		set(&t.Iflag, bit)
	} else if bit, ok := modeLocal[op]; ok {
		set(&t.Lflag, bit)
	} else if bit, ok := modeOutput[op]; ok {
		set(&t.Oflag, bit)
	} else if bit, ok := modeControl[op]; ok {
		set(&t.Cflag, bit)
	} else if size, ok := modeSize[op]; ok && v != 0 {
		t.Cflag = t.Cflag&^unix.CSIZE | size
	} else if b, ok := baud[v]; ok && op == modeOSpeed {
		t.Cflag, t.Ospeed = t.Cflag&^unix.CBAUD|b, v
	} else if ok && op == modeISpeed {
		t.Ispeed = v
	}
}
