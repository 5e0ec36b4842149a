//go:build console

package capture

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ksd/internal/evdev"
	"ksd/internal/evdev/evdevtest"
	"ksd/internal/keystroke"
)

// TestVTSeat checks what a descriptor says of its console, as nobody sees it too.
func TestVTSeat(t *testing.T) {
	v := newVT(t, 1)
	front(t, 1)
	seatOf := func(path string) seat {
		f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		tty, err := openTTY(f, Monotonic)
		if err != nil {
			t.Fatal(err)
		}
		return tty.seat()
	}
	one, two := seatOf("/dev/tty1"), seatOf("/dev/tty2")
	if !one.active() || two.active() {
		t.Errorf("console 1 is in front, and says %v; 2 says %v", one.active(), two.active())
	}
	front(t, 2)
	if one.active() || !two.active() {
		t.Errorf("console 2 is in front, and says %v; 1 says %v", two.active(), one.active())
	}
	v.orders("listen")
	if s := v.hears(); !s.NotConsole {
		t.Errorf("a console behind: %s", s.Err)
	}
	front(t, 1)
	if s := seatOf("/dev/ttyS0"); s != nil {
		t.Error("a serial line is a console")
	}
	for code := range uint16(128) {
		got, want := one.meaning(code), usKeymap(code)
		if got.key != want.key && (modifier(got.key) || modifier(want.key) || len(want.runes) > 0) {
			t.Errorf("key %d is %v, want %v", code, got.key, want.key)
		}
		for _, r := range want.runes {
			if !slices.Contains(got.runes, r) {
				t.Errorf("key %d types %q, and %q too", code, got.runes, r)
			}
		}
	}
	v.listens()
}

// TestVTTyping types with known holds and compares.
func TestVTTyping(t *testing.T) {
	u := evdevtest.NewUinput(t)
	v := newVT(t, 1)
	front(t, 1)
	v.listens()
	types(u, "zzz", beat, 0) // before the prompt: it is dropped
	v.asked()
	if v.devices() == 0 {
		t.Error("no device is open during the prompt")
	}
	const text = "the quick brown fox"
	// The kernel stamps an event while it is written.
	var shortest, longest []time.Duration
	for i, r := range text {
		pressing := Monotonic()
		u.Does(evdevtest.Codes[r], evdev.Down)
		pressed := Monotonic()
		time.Sleep(time.Duration(50+60*(i%2)) * time.Millisecond)
		releasing := Monotonic()
		u.Does(evdevtest.Codes[r], evdev.Up)
		shortest, longest = append(shortest, releasing-pressed), append(longest, Monotonic()-pressing)
		time.Sleep(40 * time.Millisecond)
	}
	hit(u, evdevtest.Enter, beat)
	s := v.answered(keystroke.Full, text)
	for i, e := range s.Events {
		held := e.Up - e.Down
		t.Logf("%q held %v, at least %v, at most %v", e.Rune, held, shortest[i], longest[i])
		if !e.Released || held < shortest[i]-time.Microsecond || held > longest[i]+time.Microsecond {
			t.Errorf("%q: %+v, held %v to %v", e.Rune, e, shortest[i], longest[i])
		}
	}
	// Shift, roll-over, Backspace, at a second prompt.
	v.asked()
	u.Does(evdev.RightShift, evdev.Down)
	time.Sleep(beat)
	hit(u, evdevtest.Codes['a'], beat)
	u.Does(evdev.RightShift, evdev.Up)
	time.Sleep(beat)
	u.Does(evdevtest.Codes['b'], evdev.Down)
	time.Sleep(beat)
	u.Does(evdevtest.Codes['c'], evdev.Down)
	time.Sleep(beat)
	u.Does(evdevtest.Codes['b'], evdev.Up)
	hit(u, evdevtest.Backspace, beat)
	u.Does(evdevtest.Codes['c'], evdev.Up)
	hit(u, evdevtest.Enter, beat)
	s = v.answered(keystroke.Full, "<Shift>Abc<Backspace>")
	if e := s.Events; len(e) == 5 && (e[1].Mods != keystroke.Shift|keystroke.ShiftRight || e[2].Up <= e[3].Down || e[3].Up <= e[4].Down) {
		t.Errorf("%s", shape(s))
	}
}

// TestVTRepeat holds a key until it repeats by itself.
func TestVTRepeat(t *testing.T) {
	u := evdevtest.NewUinput(t)
	v := newVT(t, 1)
	front(t, 1)
	v.listens()
	v.asked()
	hit(u, evdevtest.Codes['a'], 500*time.Millisecond)
	time.Sleep(beat)
	hit(u, evdevtest.Enter, beat)
	s := v.sample()
	t.Log(shape(s))
	if len(s.Events) < 4 || s.Channel != keystroke.Full || s.Events[0].Up != s.Events[1].Down {
		t.Errorf("%s on %s", shape(s), s.Channel)
	}
}

// TestVTTwoKeyboards types on two, one of which is pulled out; a third comes too
// late to be heard.
func TestVTTwoKeyboards(t *testing.T) {
	u, w := evdevtest.NewUinput(t), evdevtest.NewUinput(t)
	v := newVT(t, 1)
	front(t, 1)
	v.listens()
	v.asked()
	types(u, "ab", beat, beat)
	types(w, "cd", beat, beat)
	hit(u, evdevtest.Enter, beat)
	v.answered(keystroke.Full, "abcd")

	v.asked()
	late := evdevtest.NewUinput(t)
	time.Sleep(5 * beat) // until the console knows it
	types(u, "a", beat, beat)
	types(late, "b", beat, beat)
	hit(u, evdevtest.Enter, beat)
	v.answered(keystroke.Press, "ab")

	keyboardGroup(t)
	v.asked()
	types(u, "a", beat, beat)
	late.Close()
	types(w, "b", beat, beat)
	hit(u, evdevtest.Enter, beat)
	v.answered(keystroke.Press, "ab")
}

// TestVTSwitch goes to another console in the middle of a prompt, types there,
// and comes back: nothing of that is heard, and the devices are closed from the
// first key on.
func TestVTSwitch(t *testing.T) {
	u := evdevtest.NewUinput(t)
	v := newVT(t, 1)
	front(t, 1)
	v.listens()
	v.asked()
	types(u, "ab", beat, beat)
	front(t, 2)
	types(u, "secret", beat, beat)
	if n := v.devices(); n != 0 {
		t.Errorf("%d devices are open while another console is in front", n)
	}
	front(t, 1)
	types(u, "cd", beat, beat)
	hit(u, evdevtest.Enter, beat)
	v.answered(keystroke.Press, "abcd")

	// By its keys, and back.
	v.asked()
	types(u, "ab", beat, beat)
	for _, f := range []uint16{evdevtest.F2, evdevtest.F2 - 1} {
		u.Does(evdevtest.LeftAlt, evdev.Down)
		time.Sleep(beat)
		hit(u, f, beat)
		u.Does(evdevtest.LeftAlt, evdev.Up)
		time.Sleep(5 * beat)
	}
	types(u, "cd", beat, beat)
	hit(u, evdevtest.Enter, beat)
	v.answered(keystroke.Press, "abcd")

	// A prompt of a console that is behind all the time opens nothing.
	front(t, 2)
	v.asked()
	if n := v.devices(); n != 0 {
		t.Errorf("%d devices are open for a console behind", n)
	}
	types(u, "secret", beat, beat)
	front(t, 1)
	types(u, "ab", beat, beat)
	hit(u, evdevtest.Enter, beat)
	v.answered(keystroke.Press, "ab")

	v.asked()
	types(u, "ab", beat, beat)
	hit(u, evdevtest.Enter, beat)
	v.answered(keystroke.Full, "ab")
}

// TestVTKilled kills the program in the middle of a prompt. The console is as it
// was but for the tty's settings, which whoever handed it over puts back.
func TestVTKilled(t *testing.T) {
	u := evdevtest.NewUinput(t)
	v := newVT(t, 1)
	front(t, 1)
	mode := func() int { return must(unix.IoctlGetInt(int(v.tty.Fd()), kdGetMode))(t) }
	settings, before := must(unix.IoctlGetTermios(int(v.tty.Fd()), unix.TCGETS))(t), mode()
	v.listens()
	v.asked()
	types(u, "ab", beat, beat)
	u.Does(evdevtest.Codes['c'], evdev.Down) // held meanwhile
	v.cmd.Process.Kill()
	v.cmd.Wait()
	u.Does(evdevtest.Codes['c'], evdev.Up)
	if err := unix.IoctlSetTermios(int(v.tty.Fd()), unix.TCSETSF, settings); err != nil {
		t.Fatal(err)
	}
	if after := mode(); after != before {
		t.Errorf("the keyboard's mode is %d, was %d", after, before)
	}
	// Keys go to the console and to whoever else listens: nothing is grabbed.
	boards := must(evdev.Keyboards())(t)
	rec := evdev.Record(boards, func() bool { return true }, Monotonic)
	defer rec.Close()
	types(u, "hello", beat, beat)
	hit(u, evdevtest.Enter, beat)
	line := must(bufio.NewReader(v.tty).ReadString('\n'))(t)
	heard, err := rec.Events(nil)
	for end := Monotonic() + 10*time.Second; err == nil && len(heard) < 12 && Monotonic() < end; heard, err = rec.Events(nil) {
		<-rec.More()
	}
	if line != "hello\n" || err != nil || len(heard) != 12 {
		t.Errorf("the console reads %q; %d events, %v", line, len(heard), err)
	}
	front(t, 2)
	front(t, 1)
}

// TestVTOutside has keys pressed from outside of the machine: a line "sendkey a
// 80" to /dev/ttyS1 is to press a for 80 ms, as the monitor of QEMU does. They take
// the way of a real keyboard, through its controller and driver.
func TestVTOutside(t *testing.T) {
	line, err := os.OpenFile("/dev/ttyS1", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("nobody outside: %v", err)
	}
	defer line.Close()
	s := must(unix.IoctlGetTermios(int(line.Fd()), unix.TCGETS))(t)
	s.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG
	s.Oflag &^= unix.OPOST
	if err := unix.IoctlSetTermios(int(line.Fd()), unix.TCSETSF, s); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, line)
	fmt.Fprintln(line) // ends what the line's echo made of a greeting
	time.Sleep(time.Second)
	v := newVT(t, 1)
	front(t, 1)
	v.listens()
	const text = "coldwater"
	want := []time.Duration{60, 80, 100, 120, 140, 160, 90, 70, 200}
	var got keystroke.Sample
	for range 3 { // an emulated machine may stand still for longer than matchWindow
		v.asked()
		for i, r := range text {
			fmt.Fprintf(line, "sendkey %c %d\n", r, want[i])
			time.Sleep(want[i]*time.Millisecond + 100*time.Millisecond)
		}
		fmt.Fprintf(line, "sendkey ret 80\n")
		if got = v.sample(); got.Channel == keystroke.Full {
			break
		}
		t.Logf("%s on %s", shape(got), got.Channel)
	}
	if keys(got) != text || got.Channel != keystroke.Full {
		t.Fatalf("%s on %s, want %s", shape(got), got.Channel, text)
	}
	var off []string
	for i, e := range got.Events {
		if !e.Released {
			t.Errorf("%q: %+v", e.Rune, e)
		}
		off = append(off, fmt.Sprintf("%.1f", (e.Up-e.Down-want[i]*time.Millisecond).Seconds()*1000))
	}
	t.Logf("held longer than asked for, in ms: %s", strings.Join(off, " "))
	v.asked()
	fmt.Fprintf(line, "sendkey shift-a 80\nsendkey b 80\nsendkey ret 80\n")
	t.Log(shape(v.answered(keystroke.Full, "<Shift>Ab")))
}
