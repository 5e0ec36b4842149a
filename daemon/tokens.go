package daemon

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"ksd/internal/store"
	"ksd/internal/wire"
)

// newToken makes a one-time token of an account, enrolled or not.
func (d *Daemon) newToken(r request) (any, error) {
	if err := r.needAdmin(); err != nil {
		return nil, err
	}
	var in wire.TokenRequest
	if err := r.read(&in); err != nil {
		return nil, err
	}
	if in.ValidS < 1 || in.ValidS > int64(wire.MaxTokenLife/time.Second) {
		return nil, &wire.Error{Code: wire.CodeBadRequest, Message: fmt.Sprintf("valid_s: want 1 to %d", wire.MaxTokenLife/time.Second)}
	}
	name := r.PathValue("user")
	if err := checkName("user", name, maxUser); err != nil {
		return nil, &wire.Error{Code: wire.CodeBadRequest, Message: err.Error()}
	}
	name, uid, err := d.world.Account(name)
	if err != nil {
		return nil, &wire.Error{Code: wire.CodeBadRequest, Message: "there is no such account"}
	}
	word, now := rand.Text(), d.world.Now() // 130 bits
	t := store.Token{
		User: name, UID: uid, Hash: sha256.Sum256([]byte(word)),
		Made: now, Expires: now.Add(time.Duration(in.ValidS) * time.Second),
	}
	// Recorded first: a token that stands in no log must not exist.
	life := plural(int(in.ValidS), "second")
	if err := d.record(r, "token", name, "made for "+life); err != nil {
		return nil, err
	}
	open, err := d.store.AddToken(r.Context(), t)
	if errors.Is(err, store.ErrTooMany) {
		return nil, &wire.Error{Code: wire.CodeBusy, Message: fmt.Sprintf("%s has %d open tokens, and no more are made", name, store.MaxTokens)}
	}
	if err != nil {
		return nil, err
	}
	return wire.Token{User: name, Token: word, Expires: t.Expires, Open: open}, nil
}
