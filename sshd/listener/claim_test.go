package listener

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

// A person has a share of all connections, whoever they are for the rest, and a
// connection that ends gives its part back.
func TestClaim(t *testing.T) {
	narrow := wide
	narrow.PerPerson = 2
	r := newRig(t, narrow)
	defer r.run(t)()
	for range 5 {
		r.dial(t)
	}
	r.claim(t, 0, 2001, true)
	r.claim(t, 1, 2001, true)
	r.claim(t, 2, 2001, false)
	r.claim(t, 3, 2002, true)
	r.claim(t, 3, 2002, false) // it is known already
	r.claim(t, 3, 2003, false)
	r.end(0).Close()
	<-r.reaped
	r.awaitOpen(4)
	r.claim(t, 2, 2001, true)
	r.claim(t, 4, 2001, false)
	r.claim(t, 4, 0, true)
}

// A claim without a listener is an error and no yes, and so is one that takes too
// long; rubbish is no claim.
func TestClaimFails(t *testing.T) {
	ours, theirs, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	theirs = polled(t, theirs)
	defer theirs.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, err := Claim(ctx, theirs, 1); ok || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a claim that is called off: %v, %v", ok, err)
	}
	ours.Close()
	if ok, err := Claim(t.Context(), theirs, 1); ok || err == nil {
		t.Errorf("without a listener: %v, %v", ok, err)
	}
	r := newRig(t, wide)
	defer r.run(t)()
	r.dial(t)
	for _, rubbish := range []string{"L", "12345", "123456789"} {
		if _, err := r.end(0).WriteString(rubbish); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 2)
		if n, err := r.end(0).Read(b); n != 1 || b[0] != 0 || err != nil {
			t.Errorf("%q: %v, %v", rubbish, b[:n], err)
		}
	}
	r.claim(t, 0, 1, true)
}

// polled is what the monitor's process makes of its end.
func polled(t *testing.T, f *os.File) *os.File {
	t.Helper()
	fd, err := dup(f)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	p, err := Polled(fd)
	if err != nil {
		t.Fatal(err)
	}
	_ = p.SetReadDeadline(time.Time{})
	return p
}
