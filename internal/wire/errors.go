package wire

import "net/http"

// Error is a refusal on ksd.sock: a fact with a code that programs turn into
// advice. The body of every answer that is not 2xx is {"error": Error}.
type Error struct {
	Code    ErrorCode `json:"code"`
	Message string    `json:"message"` // lower case, no advice, nothing secret
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Is makes errors.Is compare codes, so that a caller can ask for &Error{Code: …}.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// ErrorCode says what kind of refusal it is.
type ErrorCode string

// The codes.
const (
	CodeBadRequest ErrorCode = "bad-request" // malformed, unknown field, too large
	CodeForbidden  ErrorCode = "forbidden"   // not this caller's to ask
	CodeNotFound   ErrorCode = "not-found"   // no such route, sitting or challenge on this connection
	CodeUnenrolled ErrorCode = "unenrolled"  // no rhythm of this person is held
	CodeLocked     ErrorCode = "locked"      // too many refusals
	CodeProof      ErrorCode = "proof"       // pass a challenge on this connection first
	CodeExpired    ErrorCode = "expired"     // the challenge or sitting ran out
	CodeBusy       ErrorCode = "busy"        // a training run is under way, or too many callers
	CodeTooFew     ErrorCode = "too-few"     // not enough samples for that
	CodeCancelled  ErrorCode = "cancelled"   // the run was stopped
	CodeInternal   ErrorCode = "internal"    // the daemon could not do its work
)

// Status returns the HTTP status that goes with the code.
func (c ErrorCode) Status() int {
	switch c {
	case CodeBadRequest:
		return http.StatusBadRequest
	case CodeForbidden, CodeProof:
		return http.StatusForbidden
	case CodeNotFound, CodeUnenrolled:
		return http.StatusNotFound
	case CodeLocked:
		return http.StatusTooManyRequests
	case CodeExpired:
		return http.StatusGone
	case CodeBusy, CodeTooFew, CodeCancelled:
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}
