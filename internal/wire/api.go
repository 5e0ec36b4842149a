package wire

import (
	"time"

	"ksd/internal/keystroke"
)

// MaxBody is the largest JSON body either side of ksd.sock reads, in bytes.
const MaxBody = 1 << 20

// The routes of ksd.sock. {user} is an account name, {id} an opaque word that
// the daemon made and that is good on the connection it was given to alone.
//
// "self" means: root, the daemon's own account, or the named user itself.
// "admin" means: root or the daemon's own account.
const (
	RouteStatus    = "GET /v1/status"                // anybody → Status
	RouteUsers     = "GET /v1/users"                 // admin   → []Person
	RouteUser      = "GET /v1/users/{user}"          // self    → Person
	RouteDelete    = "DELETE /v1/users/{user}"       // self, proved → Person as it was
	RouteUnlock    = "POST /v1/users/{user}/unlock"  // admin   → Person
	RouteConfirm   = "POST /v1/users/{user}/confirm" // admin   → Growth
	RouteRevert    = "POST /v1/users/{user}/revert"  // admin   → Person as it was
	RouteToken     = "POST /v1/users/{user}/tokens"  // admin: TokenRequest → Token
	RouteSitting   = "POST /v1/sittings"             // self, proved: SittingRequest → Sitting
	RouteTyping    = "POST /v1/sittings/{id}/typing" // its opener: Typing → TypingResult
	RouteFinish    = "POST /v1/sittings/{id}/finish" // its opener → Person
	RouteChallenge = "POST /v1/challenges"           // self: ChallengeRequest → Challenge
	RouteAnswer    = "POST /v1/challenges/{id}"      // its opener: Typing → Answer
	RouteModel     = "GET /v1/model"                 // admin   → ModelInfo
	RouteRetrain   = "POST /v1/retrain"              // admin: RetrainRequest → stream of Progress, one JSON object a line
	RouteAudit     = "GET /v1/audit"                 // admin, ?user= &limit= → []AuditEntry, newest first
	RouteImport    = "POST /v1/import"               // admin: Import → ImportResult
)

// ProofLifetime is how long a passed challenge proves who is there. "Proved"
// means that somebody who is not an administrator and is enrolled already has
// passed a challenge on the same connection within that time: else a borrowed
// shell could take the factor off or teach it a new owner.
const ProofLifetime = 5 * time.Minute

// Status answers RouteStatus.
type Status struct {
	Version string `json:"version"`
	Uptime  int64  `json:"uptime_s"`
	Admin   bool   `json:"admin"`            // whether the caller is an administrator
	User    string `json:"user"`             // the caller's account
	People  int    `json:"people,omitempty"` // admin only
	Kind    string `json:"kind,omitempty"`   // of challenge, "phrases" or "words"; admin only
	// FewWords is how many people are asked for phrases although Kind is "words";
	// admin only.
	FewWords int        `json:"few_words,omitempty"`
	Model    *ModelInfo `json:"model,omitempty"` // admin only
	Job      string     `json:"job,omitempty"`   // what runs in the background, "" if nothing; admin only
}

// Person is what the daemon tells about one enrolled account.
type Person struct {
	User        string    `json:"user"`
	Enrolled    bool      `json:"enrolled"`             // whether it can be challenged
	Sittings    int       `json:"sittings"`             // finished and open
	Samples     int       `json:"samples"`              // that count: no warm-ups
	Grown       int       `json:"grown,omitempty"`      // typings that joined at logins
	GrownSince  time.Time `json:"grown_since,omitzero"` // when the oldest of those did
	Waiting     int       `json:"waiting,omitempty"`    // typings of the last login, to be confirmed by the next
	Phrases     []string  `json:"phrases,omitempty"`    // that it can be challenged with
	Words       bool      `json:"words,omitempty"`      // it is challenged with texts made of their words
	FewWords    bool      `json:"few_words,omitempty"`  // it would be, but they make too few texts
	Channel     string    `json:"channel,omitempty"`    // of the templates
	Since       time.Time `json:"since,omitzero"`       // of the first sample
	Last        time.Time `json:"last,omitzero"`        // of the last accepted challenge
	Failures    int       `json:"failures,omitempty"`   // refusals since then
	LockedUntil time.Time `json:"locked_until,omitzero"`
	Trained     bool      `json:"trained"` // whether the loaded network knows it
}

// Growth answers RouteConfirm.
type Growth struct {
	Waited int `json:"waited"` // typings that waited to be confirmed
	Joined int `json:"joined"` // those of them that joined
}

// How long a token may be used.
const (
	DefaultTokenLife = 10 * time.Minute
	MaxTokenLife     = 24 * time.Hour
)

// TokenRequest asks for a one-time token.
type TokenRequest struct {
	ValidS int64 `json:"valid_s"` // 1 to MaxTokenLife, in seconds
}

// Token lets its user in once where there is no terminal to type at (see N in
// the package comment). The daemon keeps no copy of it.
type Token struct {
	User    string    `json:"user"`
	Token   string    `json:"token"` // 26 characters of A-Z and 2-7
	Expires time.Time `json:"expires"`
	Open    int       `json:"open"` // tokens of the user that are open, this one included
}

// SittingRequest opens or resumes an enrolment sitting.
type SittingRequest struct {
	User    string            `json:"user"`
	Channel keystroke.Channel `json:"channel"`
}

// Sitting is an open enrolment sitting. A sitting that broke off is resumed by
// the next request for one, so nothing typed is lost.
type Sitting struct {
	ID      string `json:"id"`
	User    string `json:"user"`
	Resumed bool   `json:"resumed"`
	Next    Ask    `json:"next"`
}

// Ask is what the person is to type next in a sitting. Done with Total when
// Phrase is "".
type Ask struct {
	Phrase string `json:"phrase"`
	Warmup bool   `json:"warmup"` // this typing will not count
	Done   int    `json:"done"`   // typings finished, warm-ups included
	Total  int    `json:"total"`  // typings this sitting takes, warm-ups included
}

// Typing brings one typed sample.
type Typing struct {
	Sample keystroke.Sample `json:"sample"`
	// Insist keeps a sample that was found too unlike the others.
	Insist bool `json:"insist,omitempty"`
	// Silent says, of a challenge's terminal that was asked for releases, whether
	// it answered nothing.
	Silent *bool `json:"silent,omitempty"`
	// JitterMS is by how much the line puts an interval between keys wrong, as the
	// client measured it: a standard deviation in ms, 0 if unknown.
	JitterMS float64 `json:"jitter_ms,omitempty"`
}

// TypingResult answers a typing of a sitting. What is Kept is on disk.
type TypingResult struct {
	Kept   bool     `json:"kept"`
	Reason Reason   `json:"reason,omitempty"` // why not
	Stats  *Metrics `json:"stats,omitempty"`
	Next   Ask      `json:"next"`
}

// Reason says why a typing was not taken.
type Reason string

// The reasons.
const (
	ReasonText        Reason = "text"        // it is not the phrase that was asked for
	ReasonCorrections Reason = "corrections" // too many corrections
	ReasonUnlike      Reason = "unlike"      // too unlike the person's other typings; may be insisted on
	ReasonDuplicate   Reason = "duplicate"   // a near copy of an earlier typing
	ReasonTooSlow     Reason = "slow"        // a pause too long in its middle
	ReasonChannel     Reason = "channel"     // captured in another way than the templates
	ReasonLine        Reason = "line"        // over a line that brings keys too unevenly
)

// Metrics are the plain figures of one sample.
type Metrics struct {
	WPM         float64 `json:"wpm"`         // words of five characters per minute
	Accuracy    float64 `json:"accuracy"`    // share of keys that were not corrections, 0 to 1
	Corrections int     `json:"corrections"` // how often
	DurationMS  float64 `json:"duration_ms"` // first press to last
}

// ChallengeRequest asks for a challenge.
type ChallengeRequest struct {
	User    string `json:"user"`
	Service string `json:"service"`
	Source  string `json:"source,omitempty"` // believed from root alone
	Term    string `json:"term,omitempty"`   // type of the terminal that is typed at, as TERM has it
}

// Challenge is one phrase to type, once, soon.
type Challenge struct {
	ID       string `json:"id"`
	Phrase   string `json:"phrase"`
	ExpireMS int64  `json:"expire_ms"`
	Try      int    `json:"try"`   // this try, from 1
	Tries    int    `json:"tries"` // tries in all
	// Silent says that terminals of this type did not answer this person, so that
	// asking them for releases would only take time.
	Silent bool `json:"silent,omitempty"`
}

// Answer judges a typed challenge. While Code is "" the attempt goes on with
// Next; Code is the last word.
type Answer struct {
	Code   Code       `json:"code,omitempty"`
	Reason Reason     `json:"reason,omitempty"` // why a typing could not be judged
	Next   *Challenge `json:"next,omitempty"`
	Detail *Detail    `json:"detail,omitempty"` // administrators only
}

// Detail shows how a typing was judged. Nobody but an administrator sees it:
// scores would teach an impostor.
type Detail struct {
	Score    float64  `json:"score"`          // of this typing, natural log of a likelihood ratio
	Sum      float64  `json:"sum"`            // of the attempt so far
	Accept   float64  `json:"accept"`         // sum from which the attempt is accepted
	Refuse   float64  `json:"refuse"`         // sum up to which it is refused
	Detector float64  `json:"detector"`       // distance to the template, 0 (same) to 3
	Head     *float64 `json:"head,omitempty"` // log-odds, if the person has a head for the text
	Rhythm   []Beat   `json:"rhythm,omitempty"`
}

// Beat is one key of a judged typing beside what was expected of its owner.
type Beat struct {
	Text     string  `json:"text"`
	TypedMS  float64 `json:"typed_ms"`  // press-press interval before it, 0 if none
	UsualMS  float64 `json:"usual_ms"`  // the owner's median of it
	SpreadMS float64 `json:"spread_ms"` // half the range the owner keeps to
}

// ModelInfo tells which model is loaded.
type ModelInfo struct {
	Loaded    bool            `json:"loaded"`
	Trained   time.Time       `json:"trained,omitzero"`
	SHA256    string          `json:"sha256,omitempty"`
	Kernel    string          `json:"kernel,omitempty"`
	Seed      uint64          `json:"seed,omitempty"`
	People    []string        `json:"people,omitempty"`
	Samples   int             `json:"samples,omitempty"`
	Impostors int             `json:"impostors,omitempty"`
	Report    *TrainingReport `json:"report,omitempty"`
}

// RetrainRequest asks for a training run.
type RetrainRequest struct {
	DryRun bool   `json:"dry_run"`
	Seed   uint64 `json:"seed,omitempty"` // 0: the configured one
}

// Progress is one line of a training run's stream. The last one has Report or
// Error.
type Progress struct {
	Stage  string          `json:"stage"`
	Head   int             `json:"head,omitempty"`  // trained so far
	Heads  int             `json:"heads,omitempty"` // to be trained
	Done   float64         `json:"done"`            // 0 to 1
	Loss   float64         `json:"loss,omitempty"`  // of the last head
	Report *TrainingReport `json:"report,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// TrainingReport is what came of a training run.
type TrainingReport struct {
	People         int     `json:"people"`
	Samples        int     `json:"samples"` // of real people, for training
	Validation     int     `json:"validation"`
	Impostors      int     `json:"impostors"` // drawn, for training
	Heads          int     `json:"heads"`
	Loss           float64 `json:"loss"`
	ValidationLoss float64 `json:"validation_loss"`
	FMR            float64 `json:"fmr"`  // of one comparison on the validation sittings, at the heads' zero
	FNMR           float64 `json:"fnmr"` // likewise
	EER            float64 `json:"eer"`
	Seconds        float64 `json:"seconds"`
	Installed      bool    `json:"installed"` // false after a dry run
	// Before holds the figures that the model that was loaded had when it was
	// trained, on the validation sittings of then.
	Before *TrainingReport `json:"before,omitempty"`
}

// AuditEntry is one decision.
type AuditEntry struct {
	When    time.Time `json:"when"`
	Event   string    `json:"event"` // challenge, enrol, delete, unlock, retrain, import …
	User    string    `json:"user"`
	Actor   string    `json:"actor"` // uid:N of the peer
	Service string    `json:"service,omitempty"`
	Source  string    `json:"source,omitempty"`
	Outcome string    `json:"outcome"`
	Score   *float64  `json:"score,omitempty"`
	Model   string    `json:"model,omitempty"` // first 12 digits of the SHA-256
}

// Import brings samples from elsewhere, grouped by person and sitting.
type Import struct {
	People []ImportPerson `json:"people"`
}

// ImportPerson is one person of an Import.
type ImportPerson struct {
	User     string               `json:"user"`
	Sittings [][]keystroke.Sample `json:"sittings"`
}

// ImportResult answers an Import.
type ImportResult struct {
	People  int `json:"people"`
	Samples int `json:"samples"`
}
