package policy

import "testing"

func TestEntry(t *testing.T) {
	for _, c := range []struct {
		name string
		e    Entry
		want Ruling
	}{
		{"nothing known", Entry{}, NotEnrolled},
		{"enrolled and no more", Entry{Enrolled: true}, Refused},
		{"a token of no kind", Entry{Enrolled: true, Allowed: true, Token: 7}, BadTokenUsed},
		{"a bad token", Entry{Enrolled: true, Token: BadToken}, BadTokenUsed},
		{"a bad token where none is needed", Entry{Enrolled: true, Allowed: true, Token: BadToken}, BadTokenUsed},
		{"a bad token of somebody unknown", Entry{Token: BadToken}, BadTokenUsed},
		{"a bad token of somebody locked", Entry{Enrolled: true, PersonLocked: true, Token: BadToken}, BadTokenUsed},
		{"locked", Entry{Enrolled: true, PersonLocked: true}, LockedOut},
		{"locked, though allowed", Entry{Enrolled: true, Allowed: true, PersonLocked: true}, LockedOut},
		{"from a locked source, though allowed", Entry{Enrolled: true, Allowed: true, SourceLocked: true}, LockedOut},
		{"a good token from a locked source", Entry{Enrolled: true, SourceLocked: true, Token: GoodToken}, LockedOut},
		{"allowed, and unknown", Entry{Allowed: true}, NotEnrolled},
		{"allowed", Entry{Enrolled: true, Allowed: true}, LetIn},
		{"a good token", Entry{Enrolled: true, Token: GoodToken}, LetInByToken},
		{"a good token of somebody locked", Entry{Enrolled: true, PersonLocked: true, Token: GoodToken}, LetInByToken},
		{"a good token of somebody unknown", Entry{Token: GoodToken}, LetInByToken},
	} {
		if got := c.e.Decide(); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	if Ruling(0) != Refused || Token(0) != NoToken {
		t.Error("the zero values do not deny")
	}
}
