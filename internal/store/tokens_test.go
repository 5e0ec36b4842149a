package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

func token(user, word string, made, life int) Token {
	return Token{User: user, UID: 1000, Hash: sha256.Sum256([]byte(word)), Made: at(made), Expires: at(made + life)}
}

func TestTokens(t *testing.T) {
	s, dir := open(t)
	ctx := t.Context()
	take := func(user string, uid uint32, word string, when int, want bool) {
		t.Helper()
		if got, err := s.TakeToken(ctx, user, uid, sha256.Sum256([]byte(word)), at(when)); err != nil || got != want {
			t.Errorf("%s takes %q at %d: %v, %v, want %v", user, word, when, got, err, want)
		}
	}
	add := func(x Token, want int) {
		t.Helper()
		if open, err := s.AddToken(ctx, x); err != nil || open != want {
			t.Errorf("%+v: %d open, %v, want %d", x, open, err, want)
		}
	}
	for _, x := range []Token{token("ana", "x", 0, 0), token("ana", "x", 0, -1), token("", "x", 0, 1)} {
		if _, err := s.AddToken(ctx, x); err == nil {
			t.Errorf("%+v was kept", x)
		}
	}
	take("ana", 1000, "one", 0, false)
	add(token("ana", "one", 0, 600), 1)
	add(token("ana", "two", 0, 600), 2)
	add(token("ben", "three", 0, 600), 1)
	take("ana", 1000, "", 1, false)
	take("ana", 1000, "three", 1, false) // ben's
	take("ana", 1001, "one", 1, false)   // the name of another account now
	take("nobody", 1000, "one", 1, false)
	s.Close()
	s = reopen(t, dir)
	take("ana", 1000, "one", 599, true)
	take("ana", 1000, "one", 599, false) // once
	take("ana", 1000, "two", 600, false) // run out
	take("ana", 1000, "two", 1, false)   // and gone for good
	add(token("ana", "back", 0, 600), 1)
	take("ana", 1000, "back", -600, false) // the clock was set back
	add(token("ana", "gone", 0, 600), 1)
	must(s.OpenSitting(ctx, "ana", 1, keystroke.Press, noon))
	if err := s.DeletePerson(ctx, "ana"); err != nil {
		t.Fatal(err)
	}
	take("ana", 1000, "gone", 1, false)
}

func TestTokensAreBounded(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	for n := range MaxTokens {
		if open, err := s.AddToken(ctx, token("ana", string(rune('a'+n)), n, 60)); err != nil || open != n+1 {
			t.Errorf("token %d: %d open, %v", n, open, err)
		}
	}
	if _, err := s.AddToken(ctx, token("ana", "z", 59, 60)); !errors.Is(err, ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
	if _, err := s.AddToken(ctx, token("ben", "z", 59, 60)); err != nil {
		t.Errorf("ben's: %v", err)
	}
	if open, err := s.AddToken(ctx, token("ana", "z", 60, 60)); err != nil || open != MaxTokens {
		t.Errorf("once the first ran out: %d open, %v", open, err)
	}
}

// Many ask for one token at the same time: one gets it.
func TestTokenIsTakenOnce(t *testing.T) {
	s, _ := open(t)
	must(s.AddToken(t.Context(), token("ana", "one", 0, 60)))
	var taken atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if ok, err := s.TakeToken(t.Context(), "ana", 1000, sha256.Sum256([]byte("one")), noon); err == nil && ok {
				taken.Add(1)
			}
		})
	}
	all.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("taken %d times", n)
	}
}

// Nothing on disk gives a token back.
func TestTokenIsNotKept(t *testing.T) {
	s, dir := open(t)
	const word = "5UJWZH6JQ2RRQ2K5QG4XGMHKFE"
	must(s.AddToken(t.Context(), token("ana", word, 0, 60)))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	hash, found := sha256.Sum256([]byte(word)), false
	for _, e := range must(os.ReadDir(dir)) {
		b := must(os.ReadFile(filepath.Join(dir, e.Name())))
		if bytes.Contains(b, []byte(word)) {
			t.Errorf("%s holds the token", e.Name())
		}
		found = found || bytes.Contains(b, hash[:])
	}
	if !found {
		t.Error("its hash is in no file either: this test looks in the wrong place")
	}
}

// A database of the version before opens, keeps what it has, and takes tokens.
func TestTokensInAnOldDatabase(t *testing.T) {
	dir := old(t, 3)
	db := must(connect(filepath.Join(dir, FileName), ""))
	if _, err := db.Exec("INSERT INTO people (name, uid, created) VALUES ('ana', 1000, 0)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s := reopen(t, dir)
	if p := must(s.Person(t.Context(), "ana")); p.UID != 1000 {
		t.Errorf("person %+v", p)
	}
	if err := s.RememberSilent(t.Context(), "ana", "xterm", noon); err != nil {
		t.Error(err)
	}
	must(s.AddToken(t.Context(), token("ana", "one", 0, int(time.Minute/time.Second))))
	if !must(s.TakeToken(t.Context(), "ana", 1000, sha256.Sum256([]byte("one")), noon)) {
		t.Error("not taken")
	}
}
