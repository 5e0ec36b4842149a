package daemon

import (
	"context"
	"crypto/rand"
	"time"

	"ksd/internal/wire"
)

// challenge is a claim on a connection of ksd.sock, with the word that its next
// answer must bring. The word is good once, for the connection it was given to,
// until expires.
type challenge struct {
	claim   *claim
	id      string
	expires time.Time
	term    string // type of the terminal that is typed at, "" if it was not told
	silent  bool   // what is remembered of such terminals
}

// abandon ends a claim that nobody will answer any more. It is nothing to a nil
// challenge or to one that is over.
func (c *challenge) abandon(code wire.Code) {
	if c != nil {
		c.claim.end(context.Background(), code)
	}
}

// newChallenge begins a claim. The one before on this connection is given up.
func (d *Daemon) newChallenge(r request) (any, error) {
	var in wire.ChallengeRequest
	if err := r.read(&in); err != nil {
		return nil, err
	}
	who, err := d.challenger(r, in)
	if err != nil {
		return nil, err
	}
	if err := d.mayRecord(r.peer); err != nil {
		return nil, err
	}
	r.challenge.abandon(wire.Cancelled)
	r.challenge = &challenge{claim: d.newClaim(r.Context(), who)}
	next := d.next(r)
	if next == nil {
		return nil, d.overBeforeTyping(r.challenge.claim)
	}
	if c := r.challenge; modes(in.Term) && wire.CleanTerm(in.Term) {
		c.term, c.silent = in.Term, d.knownSilent(r.Context(), who.user, in.Term)
		next.Silent = c.silent
	}
	return next, nil
}

// challenger checks who asks for a challenge, for whom, and from where.
func (d *Daemon) challenger(r request, in wire.ChallengeRequest) (claimant, error) {
	user, err := d.needSelf(r, in.User)
	if err != nil {
		return claimant{}, err
	}
	who := claimant{peer: r.peer, user: user, service: in.Service, source: r.peer.String()}
	if r.admin && in.Source != "" {
		who.source = in.Source
	}
	for what, s := range map[string]string{"service": who.service, "source": who.source} {
		if err := checkName(what, s, maxService); err != nil {
			return claimant{}, &wire.Error{Code: wire.CodeBadRequest, Message: err.Error()}
		}
	}
	return who, nil
}

// next asks the claim for its next phrase and gives it a new word. It returns
// nil when the claim is over.
func (d *Daemon) next(r request) *wire.Challenge {
	c := r.challenge
	c.id = ""
	phrase := c.claim.ask(r.Context())
	if phrase == "" {
		return nil
	}
	c.id = rand.Text()
	expire := c.claim.config.Challenge.Expire
	c.expires = d.world.Now().Add(expire)
	return &wire.Challenge{
		ID: c.id, Phrase: phrase, ExpireMS: expire.Milliseconds(),
		Try: c.claim.attempt, Tries: c.claim.config.Policy.Attempts,
	}
}

// overBeforeTyping is why nothing is asked at all.
func (d *Daemon) overBeforeTyping(c *claim) error {
	switch c.over {
	case wire.Unenrolled:
		return &wire.Error{Code: wire.CodeUnenrolled, Message: "no rhythm of this person is held"}
	case wire.Locked:
		return &wire.Error{
			Code:    wire.CodeLocked,
			Message: "locked after too many tries, for " + wait(c.until.Sub(d.world.Now())),
		}
	}
	return errInternal
}

// answerChallenge brings the typing of a challenge.
func (d *Daemon) answerChallenge(r request) (any, error) {
	c := r.challenge
	if c == nil || c.id == "" || r.PathValue("id") != c.id {
		return nil, errNotFound
	}
	c.id = "" // whatever the body holds, it had its chance
	var in wire.Typing
	if err := r.read(&in); err != nil {
		c.abandon(wire.Unusable)
		return nil, err
	}
	if d.world.Now().After(c.expires) {
		c.abandon(wire.Timeout)
		return nil, &wire.Error{Code: wire.CodeExpired, Message: "the challenge ran out"}
	}
	if in.Silent != nil && c.term != "" && *in.Silent != c.silent {
		c.silent = *in.Silent
		d.rememberSilent(r.Context(), c.claim.user, c.term, c.silent)
	}
	out := wire.Answer{Reason: c.claim.answer(r.Context(), in.Sample, in.JitterMS)}
	if r.admin {
		out.Detail = c.claim.detail()
	}
	if out.Next = d.next(r); out.Next == nil {
		out.Code = c.claim.over
	}
	if out.Code == wire.Accept {
		r.proof[c.claim.user] = d.world.Now()
	}
	return out, nil
}

// needProof refuses whoever is enrolled, is no administrator, and has not
// passed a challenge on this connection of late.
func (d *Daemon) needProof(r request, user string) error {
	if r.admin || !d.enrolled(user) {
		return nil
	}
	at, passed := r.proof[user]
	if age := d.world.Now().Sub(at); !passed || age < 0 || age > wire.ProofLifetime {
		return &wire.Error{Code: wire.CodeProof, Message: "pass a challenge on this connection first"}
	}
	return nil
}

// enrolled reports whether user can be challenged.
func (d *Daemon) enrolled(user string) bool {
	k := d.known.Load().people[user]
	return k != nil && k.channel() != ""
}
