package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Status asks how the daemon is.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return ask[Status](ctx, c, RouteStatus, "", nil)
}

// Users lists the enrolled people. Administrators only.
func (c *Client) Users(ctx context.Context) ([]Person, error) {
	return ask[[]Person](ctx, c, RouteUsers, "", nil)
}

// User tells about one account.
func (c *Client) User(ctx context.Context, user string) (Person, error) {
	return ask[Person](ctx, c, RouteUser, user, nil)
}

// Delete forgets a person and returns them as they were.
func (c *Client) Delete(ctx context.Context, user string) (Person, error) {
	return ask[Person](ctx, c, RouteDelete, user, nil)
}

// Unlock ends the lock-out of a person. Administrators only.
func (c *Client) Unlock(ctx context.Context, user string) (Person, error) {
	return ask[Person](ctx, c, RouteUnlock, user, nil)
}

// Confirm gives root's word that a person's last login was its owner's.
// Administrators only.
func (c *Client) Confirm(ctx context.Context, user string) (Growth, error) {
	return ask[Growth](ctx, c, RouteConfirm, user, nil)
}

// Revert throws away what grew of a person's templates at logins and returns the
// person as it was. Administrators only.
func (c *Client) Revert(ctx context.Context, user string) (Person, error) {
	return ask[Person](ctx, c, RouteRevert, user, nil)
}

// Token makes a one-time token of a user, good for as long as valid, to the
// second. Administrators only.
func (c *Client) Token(ctx context.Context, user string, valid time.Duration) (Token, error) {
	return ask[Token](ctx, c, RouteToken, user, TokenRequest{ValidS: int64(valid / time.Second)})
}

// OpenSitting opens an enrolment sitting, or resumes the one that broke off.
func (c *Client) OpenSitting(ctx context.Context, r SittingRequest) (Sitting, error) {
	return ask[Sitting](ctx, c, RouteSitting, "", r)
}

// Type brings one typing of the sitting id.
func (c *Client) Type(ctx context.Context, id string, t Typing) (TypingResult, error) {
	return ask[TypingResult](ctx, c, RouteTyping, id, t)
}

// Finish closes the sitting id.
func (c *Client) Finish(ctx context.Context, id string) (Person, error) {
	return ask[Person](ctx, c, RouteFinish, id, nil)
}

// Challenge asks for a phrase to type.
func (c *Client) Challenge(ctx context.Context, r ChallengeRequest) (Challenge, error) {
	return ask[Challenge](ctx, c, RouteChallenge, "", r)
}

// Answer brings the typing of the challenge id.
func (c *Client) Answer(ctx context.Context, id string, t Typing) (Answer, error) {
	return ask[Answer](ctx, c, RouteAnswer, id, t)
}

// Model tells which model is loaded. Administrators only.
func (c *Client) Model(ctx context.Context) (ModelInfo, error) {
	return ask[ModelInfo](ctx, c, RouteModel, "", nil)
}

// Audit returns the newest decisions first, at most limit of them (0: the
// daemon's default), of one user if user is not "". Administrators only.
func (c *Client) Audit(ctx context.Context, user string, limit int) ([]AuditEntry, error) {
	q := url.Values{}
	if user != "" {
		q.Set("user", user)
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return ask[[]AuditEntry](ctx, c, RouteAudit+"?"+q.Encode(), "", nil)
}

// Import brings samples from elsewhere. Administrators only. A body above
// MaxBody is refused: send people in portions.
func (c *Client) Import(ctx context.Context, in Import) (ImportResult, error) {
	return ask[ImportResult](ctx, c, RouteImport, "", in)
}

// Retrain trains a new network, tells progress as it comes, and returns what
// came of it. Ending ctx stops the run. Administrators only.
func (c *Client) Retrain(ctx context.Context, r RetrainRequest, progress func(Progress)) (*TrainingReport, error) {
	method, path := fill(RouteRetrain, "")
	resp, err := c.send(ctx, method, path, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody))
		if err != nil {
			return nil, err
		}
		return nil, refusal(resp.StatusCode, body)
	}
	return readProgress(ctx, resp, progress)
}

// readProgress reads the stream of a training run to its last line.
func readProgress(ctx context.Context, resp *http.Response, progress func(Progress)) (*TrainingReport, error) {
	dec := json.NewDecoder(resp.Body)
	for {
		var p Progress
		err := dec.Decode(&p)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("retrain: the daemon stopped without a report: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return nil, fmt.Errorf("retrain: %w", err)
		case p.Error != nil:
			return nil, p.Error
		}
		if progress != nil {
			progress(p)
		}
		if p.Report != nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, MaxBody)) // to the end, so that the connection stays
			return p.Report, nil
		}
	}
}

// ask makes one call and returns its answer.
func ask[T any](ctx context.Context, c *Client, route, word string, in any) (T, error) {
	var out T
	method, path := fill(route, word)
	err := c.call(ctx, method, path, in, &out)
	return out, err
}
