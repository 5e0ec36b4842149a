package daemon_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/ksdtest"
	"ksd/internal/store"
	"ksd/internal/wire"
)

// execSQL changes the daemon's database behind its back.
func execSQL(t *testing.T, d *ksdtest.Daemon, statement string) {
	t.Helper()
	db := must(sql.Open("sqlite", filepath.Join(d.Config.Daemon.State, "ksd.db")))(t)
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

// TestTokenRefusals: who may not have a token, and for what.
func TestTokenRefusals(t *testing.T) {
	d := ksdtest.Start(t)
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	c := d.Client()
	for _, x := range []struct {
		user  string
		valid time.Duration
		want  wire.ErrorCode
	}{
		{"ana", 0, wire.CodeBadRequest},
		{"ana", -time.Minute, wire.CodeBadRequest},
		{"ana", 999 * time.Millisecond, wire.CodeBadRequest},
		{"ana", wire.MaxTokenLife + time.Second, wire.CodeBadRequest},
		{"nobody has this name", time.Minute, wire.CodeBadRequest},
		{"a\u202eb", time.Minute, wire.CodeBadRequest},
		{strings.Repeat("x", 65), time.Minute, wire.CodeBadRequest},
	} {
		_, err := c.Token(t.Context(), x.user, x.valid)
		wantCode(t, fmt.Sprintf("%q for %v", x.user, x.valid), err, x.want)
	}
	if got := entries(t, d, "ana"); len(got) != 0 {
		t.Errorf("audit log %q", got)
	}
	for range store.MaxTokens {
		must(c.Token(t.Context(), "ana", time.Minute))(t)
	}
	_, err := c.Token(t.Context(), "ana", time.Minute)
	wantCode(t, "one too many", err, wire.CodeBusy)
	for _, user := range []string{"ana", "mallory"} { // not even her own
		d.As(d.UID(user))
		_, err := d.Client().Token(t.Context(), "ana", time.Minute)
		wantCode(t, user, err, wire.CodeForbidden)
	}
}

// TestToken makes tokens and uses them: each is good once, for its person alone,
// for as long as it was made for, and stands in the audit log twice.
func TestToken(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Training.Automatic, c.Lockout.SourceFailures = false, 100 })
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	d.Enrol("ben", ksdtest.NewTypist(2, tempo))
	d.UID("new") // has an account and is not enrolled
	d.Alias("Ana", "ana")
	c := d.Client()
	mint := func(user string, valid time.Duration) string {
		t.Helper()
		token := must(c.Token(t.Context(), user, valid))(t)
		if len(token.Token) != 26 || !token.Expires.Equal(d.Clock.Now().Add(valid)) || token.Open < 1 {
			t.Errorf("token %+v", token)
		}
		return token.Token
	}
	use := func(user, token string, want wire.Code) {
		t.Helper()
		code, texts := admit(t, d, user, "host:192.0.2.1", token)
		if code != want || (want == wire.Refuse) != strings.Contains(texts, "that token is not good") || strings.Contains(texts, token) {
			t.Errorf("%s with %q: %s, %q; want %s", user, token, code, texts, want)
		}
	}
	one, two := mint("ana", 10*time.Minute), mint("Ana", time.Hour)
	if one == two {
		t.Fatal("two tokens are the same")
	}
	use("ben", one, wire.Refuse)
	use("ana", "no token of ours", wire.Refuse)
	use("ana", strings.ToLower(one), wire.Refuse)
	use("ana", one[:25], wire.Refuse)
	use("ana", one, wire.Accept)
	use("ana", one, wire.Refuse)
	d.Clock.Advance(10 * time.Minute)
	use("ana", two, wire.Accept)
	three := mint("ana", 10*time.Minute)
	d.Clock.Advance(10 * time.Minute)
	use("ana", three, wire.Refuse)
	use("new", mint("new", time.Minute), wire.Accept)
	use("new", "no token of ours", wire.Refuse)
	four := mint("ana", time.Minute)
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	d.Start()
	use("ana", four, wire.Accept) // it outlives the daemon
	want := []string{
		"token made for 600 seconds", "token made for 3600 seconds",
		"noninteractive refuse: token", "noninteractive refuse: token", "noninteractive refuse: token",
		"noninteractive accept: token", "noninteractive refuse: token", "noninteractive accept: token",
		"token made for 600 seconds", "noninteractive refuse: token",
		"token made for 60 seconds", "noninteractive accept: token",
	}
	if got := entries(t, d, "ana"); !slices.Equal(got, want) {
		t.Errorf("audit log %q, want %q", got, want)
	}
	for _, word := range []string{one, two, three, four} {
		if strings.Contains(d.Log.String(), word) {
			t.Error("a token stands in the log")
		}
	}
}

// TestTokenOfAnOldAccount gives the name of a token's account to somebody else.
func TestTokenOfAnOldAccount(t *testing.T) {
	d := ksdtest.Start(t)
	d.UID("first")
	d.UID("ana")
	token := must(d.Client().Token(t.Context(), "ana", time.Hour))(t)
	d.Rename("ana", "old")
	d.UID("ana") // with the next uid
	if code, _ := admit(t, d, "ana", "x", token.Token); code != wire.Refuse {
		t.Errorf("verdict %s", code)
	}
}

// TestWrongTokens count against where they come from, and nobody else: the
// person is not locked out by them, and a source that is gets nothing at all.
func TestWrongTokens(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Lockout.SourceFailures, c.Lockout.Failures = 3, 2 })
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	token := must(d.Client().Token(t.Context(), "ana", 10*time.Minute))(t)
	for range 3 {
		if code, _ := admit(t, d, "ana", "host:192.0.2.1", "wrong"); code != wire.Refuse {
			t.Errorf("verdict %s", code)
		}
	}
	for _, word := range []string{"wrong", token.Token, ""} {
		if code, texts := admit(t, d, "ana", "host:192.0.2.1", word); code != wire.Locked || !strings.Contains(texts, "please wait 30 seconds") {
			t.Errorf("token %q from a locked source: %s, %q", word, code, texts)
		}
	}
	if p := must(d.Client().User(t.Context(), "ana"))(t); p.Failures != 0 || !p.LockedUntil.IsZero() {
		t.Errorf("person %+v was charged", p)
	}
	// The source's lock used nothing up, and a locked person gets in with it.
	lockPerson(t, d, "ana")
	if code, _ := admit(t, d, "ana", "host:192.0.2.2", ""); code != wire.Locked {
		t.Errorf("ana, locked: %s", code)
	}
	if code, _ := admit(t, d, "ana", "host:192.0.2.2", token.Token); code != wire.Accept {
		t.Errorf("ana, locked, with a token: %s", code)
	}
	// It says nothing of the rhythm: she stays locked.
	_, err := d.Client().Challenge(t.Context(), wire.ChallengeRequest{User: "ana", Service: "test"})
	wantCode(t, "after that", err, wire.CodeLocked)
}

// TestTokenRace has many bring one token at the same time.
func TestTokenRace(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Lockout.SourceFailures = 100 })
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	token := must(d.Client().Token(t.Context(), "ana", time.Minute))(t)
	var in atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if code, _ := admit(t, d, "ana", "x", token.Token); code == wire.Accept {
				in.Add(1)
			}
		})
	}
	all.Wait()
	if n := in.Load(); n != 1 {
		t.Errorf("%d got in with one token", n)
	}
}
