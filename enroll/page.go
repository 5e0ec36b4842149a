package enroll

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// page shows where the sitting stands and leads to the next phrase.
func (s *sitting) page() {
	step := "step 2 of 3: collection"
	if s.next.Warmup {
		step = "step 1 of 3: warm-up"
	}
	s.header(step)
	if s.note != "" {
		s.d.Say("%s", s.note)
	}
	count := ""
	if !s.d.Screen.Cursor {
		count = fmt.Sprintf("Typing %d of %d. ", s.next.Done+1, s.next.Total)
	}
	s.d.Lines(count+"Type this line, then press Enter:", "")
}

// header is the head of a page: on a terminal that can, a page of its own with
// a bar; elsewhere one line for each step. The first page leaves what was said
// before it.
func (s *sitting) header(step string) {
	title, before := "Enrolment of "+s.user, s.step
	s.step = step
	if before == "" {
		s.d.Lines("")
	} else {
		s.d.Clear()
	}
	if !s.d.Screen.Cursor {
		if step != before {
			s.d.Lines(title+", "+step, "")
		}
		return
	}
	columns := min(80, max(40, s.d.Screen.Columns)) - 1
	gap := max(1, columns-utf8.RuneCountInString(title)-len(step))
	count := fmt.Sprintf("  %d of %d", s.next.Done, s.next.Total)
	bar := s.d.Screen.Bar(float64(s.next.Done)/float64(max(1, s.next.Total)), columns-len(count))
	s.d.Lines(title+strings.Repeat(" ", gap)+step, bar+count, "")
}
