package policy

// Entry is what is known of an attempt without a terminal, where nobody can be
// asked to type. The zero value denies.
type Entry struct {
	Enrolled     bool // a rhythm of the person is held
	Allowed      bool // the configuration lets the person in without typing
	PersonLocked bool // the person has to wait (Lockout)
	SourceLocked bool // where the attempt comes from has to wait
	Token        Token
}

// Token is what a one-time token was worth. The zero value is that of none.
type Token int

// What a token can be worth.
const (
	NoToken   Token = iota // none was brought
	BadToken               // it is not one of the person's, or not any more
	GoodToken              // it is, and it is used up now
)

// Ruling is what comes of an Entry. The zero value refuses.
type Ruling int

// The rulings.
const (
	Refused      Ruling = iota // the configuration does not let the person in
	BadTokenUsed               // refused, and the source is charged for it
	LockedOut                  // the person, or the source, has to wait
	NotEnrolled                // no rhythm is held: the caller's own rule decides
	LetIn                      // by the configuration
	LetInByToken               // by a one-time token
)

// Decide rules on an attempt without a terminal.
//
//   - A source that has to wait gets nothing, whatever it brings.
//   - A good token lets its person in: an administrator vouched for this one
//     attempt, after whatever it was that locked the person out. A bad token
//     refuses even where none was needed: who brings one means to be checked.
//   - A person who is locked out stays out under every configuration. Somebody
//     with the first factor and the wrong rhythm is at that account just now;
//     leaving the terminal off must not be the way round. The price is that whoever
//     can lock an account out holds up its automation too, for as long as a
//     lock-out lasts; automation that must not wait brings a token.
//   - Somebody whose rhythm is not held is nobody to check, as everywhere else.
//
// Only a bad token is charged, and to its source alone. It counts for nothing
// against the person: 128 bits cannot be guessed, so nothing is won by locking
// the person, and anybody who reaches the door could do it.
func (e Entry) Decide() Ruling {
	switch {
	case e.SourceLocked:
		return LockedOut
	case e.Token == GoodToken:
		return LetInByToken
	case e.Token != NoToken:
		return BadTokenUsed
	case !e.Enrolled:
		return NotEnrolled
	case e.PersonLocked:
		return LockedOut
	case e.Allowed:
		return LetIn
	}
	return Refused
}
