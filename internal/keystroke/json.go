package keystroke

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// The one encoding of samples, on the wire and in the store, is JSON:
//
//	{"phrase":"…","channel":"press","events":[{"key":"a","text":"A","mods":1,"down_ns":0,"up_ns":91000000},…]}
//
// text, mods and up_ns are left out where they are empty; up_ns stands exactly
// where the release was seen.
type eventJSON struct {
	Key  string `json:"key"`
	Text string `json:"text,omitempty"`
	Mods Mods   `json:"mods,omitempty"`
	Down int64  `json:"down_ns"`
	Up   *int64 `json:"up_ns,omitempty"`
}

type sampleJSON struct {
	Phrase  string  `json:"phrase"`
	Channel Channel `json:"channel"`
	Events  events  `json:"events"`
}

// events is read one by one, so that a body of empty events, three bytes each,
// cannot ask for twenty times its size in memory.
type events []Event

func (es *events) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	if open, err := dec.Token(); err != nil || open != json.Delim('[') {
		return fmt.Errorf("%w: events are not a list", ErrInvalid)
	}
	*es = nil
	for dec.More() {
		if len(*es) == MaxEvents {
			return fmt.Errorf("%w: more than %d events", ErrInvalid, MaxEvents)
		}
		var e Event
		if err := dec.Decode(&e); err != nil {
			return fmt.Errorf("event %d: %w", len(*es), err)
		}
		*es = append(*es, e)
	}
	return nil
}

// MarshalJSON writes the event in the form above.
func (e Event) MarshalJSON() ([]byte, error) {
	j := eventJSON{Key: e.Key.String(), Mods: e.Mods, Down: int64(e.Down)}
	if e.Rune != 0 {
		j.Text = string(e.Rune)
	}
	if e.Released {
		up := int64(e.Up)
		j.Up = &up
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (e *Event) UnmarshalJSON(b []byte) error {
	var j eventJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*e = Event{Key: ParseKey(j.Key), Mods: j.Mods, Down: time.Duration(j.Down)}
	if j.Text != "" {
		r, n := utf8.DecodeRuneInString(j.Text)
		if n != len(j.Text) || r == utf8.RuneError || r == 0 {
			return fmt.Errorf("%w: text %q is not one character", ErrInvalid, j.Text)
		}
		e.Rune = r
	}
	if j.Up != nil {
		e.Up, e.Released = time.Duration(*j.Up), true
	}
	return nil
}

// MarshalJSON writes the sample in the form above.
func (s Sample) MarshalJSON() ([]byte, error) {
	return json.Marshal(sampleJSON{s.Phrase, s.Channel, s.Events})
}

// UnmarshalJSON reads a sample and validates it.
func (s *Sample) UnmarshalJSON(b []byte) error {
	var j sampleJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	out := Sample{j.Phrase, j.Channel, j.Events}
	if err := out.Validate(); err != nil {
		return err
	}
	*s = out
	return nil
}
