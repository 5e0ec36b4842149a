package listener

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// thaw is the next image, which takes over what fd holds.
func (r *rig) thaw(t *testing.T, fd int) *rig {
	t.Helper()
	again, err := dup(os.NewFile(uintptr(fd), "state"))
	if err != nil {
		t.Fatal(err)
	}
	sockets, monitors, err := Thaw(again)
	if err != nil {
		t.Fatal(err)
	}
	if len(sockets) != 1 || sockets[0].Address != "here" {
		t.Fatalf("%+v", sockets)
	}
	next := &rig{address: r.address, started: make(chan struct{}, 100), reaped: make(chan int, 100)}
	next.Listener = New(Options{
		Config: wide, Random: func(int) int { return 0 }, After: time.After, Log: slog.New(slog.DiscardHandler),
		Start: next.begin, Reap: func(pid int) { next.reaped <- pid },
	}, sockets, monitors)
	t.Cleanup(next.Close)
	return next
}

// counts fails where a listener counts otherwise.
func (r *rig) counts(t *testing.T, strangers int, people map[uint32]int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.strangers != strangers || !maps.Equal(r.people, people) || len(r.from) > r.strangers {
		t.Errorf("%d strangers, want %d; people %v, want %v; from %v", r.strangers, strangers, r.people, people, r.from)
	}
}

// What is frozen and thawed serves on, and knows its monitors.
func TestFreeze(t *testing.T) {
	r := newRig(t, wide)
	stop := r.run(t)
	for range 3 {
		r.dial(t)
	}
	r.claim(t, 0, 2001, true)
	stop()
	fd, _, err := r.Freeze() // the descriptors are the next image's now
	if err != nil {
		t.Fatal(err)
	}
	next := r.thaw(t, fd)
	next.counts(t, 2, map[uint32]int{2001: 1})
	defer next.run(t)()
	if told := next.dial(t); told != "" {
		t.Errorf("told %q", told)
	}
	next.awaitOpen(4)
	r.claim(t, 1, 2001, true)
	next.counts(t, 2, map[uint32]int{2001: 2})
	r.end(2).Close()
	if pid := <-next.reaped; pid != 3 {
		t.Errorf("reaped %d", pid)
	}
	next.awaitOpen(3)
	next.counts(t, 1, map[uint32]int{2001: 2}) // the one that was dialled just now
	for i := range 2 {
		r.end(i).Close()
	}
	next.end(0).Close()
	for range 3 {
		<-next.reaped
	}
	next.awaitOpen(0)
	next.counts(t, 0, map[uint32]int{})
}

// An image of another build leaves its sockets, and monitors that nobody counts.
func TestThawOfAnotherVersion(t *testing.T) {
	r := newRig(t, wide)
	stop := r.run(t)
	r.dial(t)
	stop()
	fd, _, err := r.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		t.Fatal(err)
	}
	other, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString(strings.Replace(string(text), `"version":2`, `"version":1`, 1)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	again, err := dup(other)
	if err != nil {
		t.Fatal(err)
	}
	sockets, monitors, err := Thaw(again)
	if !errors.Is(err, ErrVersion) || len(monitors) != 0 || len(sockets) != 1 || sockets[0].Address != "here" {
		t.Fatalf("%+v, %+v, %v", sockets, monitors, err)
	}
	sockets[0].Close()
	var s State
	if err := json.Unmarshal(text, &s); err != nil || len(s.Monitors) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := unix.FcntlInt(uintptr(s.Monitors[0].FD), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("what a monitor of before writes is never read: %v, want %v", err, unix.EBADF)
	}
}

// What monitors say, and that they end, while one image hands over to the next
// is lost by neither: each claim is answered, once, and counted.
func TestFreezeLosesNothing(t *testing.T) {
	const many = 40
	for range 20 {
		r := newRig(t, wide)
		stop := r.run(t)
		for range many {
			r.dial(t)
		}
		stop()
		done := make(chan struct{})
		for i := range many {
			go func() {
				defer func() { done <- struct{}{} }()
				r.claim(t, i, uint32(i%2), true)
				if i >= many/2 {
					r.end(i).Close()
				}
			}()
		}
		fd, _, err := r.Freeze()
		if err != nil {
			t.Fatal(err)
		}
		next := r.thaw(t, fd)
		for range many {
			<-done
		}
		next.awaitOpen(many / 2)
		next.counts(t, 0, map[uint32]int{0: many / 4, 1: many / 4})
		for i := range many / 2 {
			r.end(i).Close()
		}
		next.awaitOpen(0)
	}
}

// A hand-over that does not come about costs nothing either.
func TestFreezeUndone(t *testing.T) {
	r := newRig(t, wide)
	stop := r.run(t)
	for range 2 {
		r.dial(t)
	}
	stop()
	fd, undo, err := r.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		r.claim(t, 0, 2001, true)
	}()
	undo()
	<-answered
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
		t.Error("the state is open still")
	}
	r.claim(t, 1, 2001, true)
	r.counts(t, 0, map[uint32]int{2001: 2})
	for i := range 2 {
		r.end(i).Close()
		<-r.reaped
	}
	r.awaitOpen(0)
}

// A state of another version is not taken for one of this.
func TestThawVersion(t *testing.T) {
	for text, want := range map[string]string{`{"sockets":null}`: "version 0", `{"version":3}`: "version 3", `{`: "taking over"} {
		fd, err := unix.MemfdCreate("state", 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Pwrite(fd, []byte(text), 0); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Thaw(fd); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if b, err := json.Marshal(State{Version: stateVersion}); err != nil || !strings.Contains(string(b), `"version":2`) {
		t.Errorf("%s, %v", b, err)
	}
}
