package keystroke

import (
	"time"
	"unicode/utf8"
)

// Stroke is one character of the finished line: the event that typed it.
type Stroke struct {
	Event
	// Joined says that nothing came between this press and that of the stroke
	// before: no correction, no lost key. Only then is the interval a movement
	// of the hand. It is false for the first stroke.
	Joined bool
}

// Line is what a sample comes to once its corrections are carried out.
type Line struct {
	Text        string   // the characters that were left standing
	Strokes     []Stroke // one for each rune of Text
	Corrections int      // how many times Backspace or Delete was pressed
}

// Line carries out the corrections of the sample. Shift and its like neither
// type nor break the movement: the interval runs from letter to letter.
func (s Sample) Line() Line { return s.AppendLine(make([]Stroke, 0, len(s.Events))) }

// AppendLine is Line with its strokes written over those of buffer. It allocates
// nothing where buffer has room and the line is the phrase.
func (s Sample) AppendLine(buffer []Stroke) Line {
	l := Line{Strokes: buffer[:0]}
	broken := true
	for _, e := range s.Events {
		switch {
		case e.Key == Backspace || e.Key == Delete:
			l.Corrections++
			broken = true
			if e.Key == Backspace && len(l.Strokes) > 0 {
				l.Strokes = l.Strokes[:len(l.Strokes)-1]
			}
		case e.Rune != 0:
			l.Strokes = append(l.Strokes, Stroke{Event: e, Joined: !broken})
			broken = false
		case !modifier(e.Key):
			broken = true
		}
	}
	if l.Text = s.Phrase; !l.types(s.Phrase) {
		text := make([]rune, len(l.Strokes))
		for i, st := range l.Strokes {
			text[i] = st.Rune
		}
		l.Text = string(text)
	}
	return l
}

// types says whether the strokes are those of text.
func (l Line) types(text string) bool {
	i := 0
	for _, r := range text {
		if i == len(l.Strokes) || l.Strokes[i].Rune != r || r == utf8.RuneError {
			return false
		}
		i++
	}
	return i == len(l.Strokes)
}

// DownDown returns the press-press interval before stroke i, and whether it is
// one movement.
func (l Line) DownDown(i int) (time.Duration, bool) {
	if i <= 0 || !l.Strokes[i].Joined {
		return 0, false
	}
	return l.Strokes[i].Down - l.Strokes[i-1].Down, true
}

// Flight returns the release-press interval before stroke i, negative where
// the keys overlap, and whether it is known.
func (l Line) Flight(i int) (time.Duration, bool) {
	if i <= 0 || !l.Strokes[i].Joined || !l.Strokes[i-1].Released {
		return 0, false
	}
	return l.Strokes[i].Down - l.Strokes[i-1].Up, true
}

func modifier(k Key) bool {
	return k == ShiftKey || k == CapsLock || k == ControlKey || k == AltKey || k == SuperKey
}
