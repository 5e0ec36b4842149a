package model

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model/head"
	"ksd/internal/model/network"
	"ksd/internal/model/plda"
)

// Verifier judges samples. It never changes; build a new one when people or
// file change.
type Verifier struct {
	pop    *feature.Population
	people map[string]owner
	texts  map[templateKey]*plda.Text
	here   map[keystroke.Channel]plda.Backgrounds
	plda   *plda.Model
	ready  ready
	work   sync.Pool // of *work
}

// work is the working memory of one call of Score.
type work struct {
	typed     []keystroke.Stroke // the typing judged
	strokes   []feature.Stroke
	residuals []float64 // by place
	plda      plda.Scratch
	*embedding
}

// newest is how many typings of a phrase count, the newest: older ones are of
// hands less practised.
const newest = 30

// NewVerifier builds a Verifier. file may be nil: then nobody has a head of their
// own. Nor has anybody one for a phrase that the file does not have, or for a text
// made of words; the other scorers judge there. Heads of who is not in people, or
// no longer types their phrase, are left alone, as are those of an enrolment that
// was deleted and made anew under the same name.
// A person gets templates for every channel that shows no more than the one
// enrolled on, made of the same typings.
func NewVerifier(people []Person, file *File) (*Verifier, error) {
	v := &Verifier{
		pop: feature.Default(), people: map[string]owner{}, here: map[keystroke.Channel]plda.Backgrounds{},
		texts: map[templateKey]*plda.Text{}, plda: plda.Default(),
	}
	trained := headsOf(file)
	byName := func(a, b Person) int { return cmp.Compare(a.Name, b.Name) } // sums hang on the order
	for _, p := range slices.SortedFunc(slices.Values(people), byName) {
		if err := v.enrol(p, trained[p.Name]); err != nil {
			return nil, err
		}
	}
	v.work.New = func() any { return &work{embedding: newEmbedding()} }
	return v, nil
}

// enrol takes in what one person typed, with the heads that were trained on it.
// What others here are to know of it is added up; the rest is worked out again
// when it is asked for.
func (v *Verifier) enrol(p Person, trained map[templateKey]Head) error {
	_, typed, err := v.standardOf(p, trained)
	if err != nil {
		return err
	}
	for ch, ts := range typed {
		if v.here[ch] == nil {
			v.here[ch] = plda.Backgrounds{}
		}
		v.here[ch].Add(ts)
	}
	v.people[p.Name] = owner{pack(p), trained}
	return nil
}

// headsOf returns a file's heads by person, phrase and channel.
func headsOf(f *File) map[string]map[templateKey]Head {
	out := map[string]map[templateKey]Head{}
	if f == nil {
		return out
	}
	for _, h := range f.Heads {
		if out[h.Person] == nil {
			out[h.Person] = map[templateKey]Head{}
		}
		out[h.Person][templateKey{h.Phrase, h.Channel}] = h
	}
	return out
}

// sortedKeys returns the keys of lines in an order that is always the same.
func sortedKeys(lines map[templateKey][]keystroke.Line) []templateKey {
	return slices.SortedFunc(maps.Keys(lines), func(a, b templateKey) int {
		return cmp.Or(cmp.Compare(a.channel, b.channel), cmp.Compare(a.phrase, b.phrase))
	})
}

// text returns the places of a phrase on a channel, the same for all who type it.
func (v *Verifier) text(key templateKey) *plda.Text {
	text := v.texts[key]
	if text == nil {
		text = plda.NewText(key.phrase, key.channel == keystroke.Full)
		v.texts[key] = text
	}
	return text
}

// residualsOf returns the residuals of lines, place by place.
func (v *Verifier) residualsOf(text *plda.Text, lines []keystroke.Line) [][]float64 {
	rows := make([][]float64, len(lines))
	for i, l := range lines {
		rows[i] = text.Residuals(make([]float64, 0, text.Len()), v.pop.Extract(l))
	}
	return rows
}

func add(to map[templateKey][]keystroke.Line, s keystroke.Sample) {
	l := s.Line()
	if l.Text == s.Phrase && len(l.Strokes) > 0 {
		key := templateKey{s.Phrase, s.Channel}
		to[key] = append(to[key], l)
	}
}

// Score judges a sample that claims to be person's. The sample's line must be
// its phrase already, which must be one that the person enrolled or be made of
// words of such phrases. Errors: ErrUnenrolled, ErrPhrase, ErrUnusable.
func (v *Verifier) Score(person string, s keystroke.Sample) (Score, error) {
	own, err := v.standard(person)
	if err != nil {
		return Score{}, err
	}
	s, ok := seenOn(s, func(ch keystroke.Channel) bool { return knows(own.templates, templateKey{s.Phrase, ch}) })
	if !ok {
		return Score{}, ErrPhrase
	}
	w := v.work.Get().(*work)
	defer v.work.Put(w)
	out, err := v.judge(own, s, w)
	if err != nil {
		return Score{}, err
	}
	if math.IsNaN(out.Detector) {
		return Score{}, errTooFewTimes
	}
	out.LLR = fuse(s.Channel, out)
	return out, nil
}

// Rhythm lays a sample that Score judges beside what was expected of person. It
// is nil where Score has an error.
func (v *Verifier) Rhythm(person string, s keystroke.Sample) []Beat {
	own, err := v.standard(person)
	if err != nil {
		return nil
	}
	s, ok := seenOn(s, func(ch keystroke.Channel) bool { return knows(own.templates, templateKey{s.Phrase, ch}) })
	if !ok {
		return nil
	}
	t, _ := v.expected(own.templates, templateKey{s.Phrase, s.Channel})
	line := s.Line()
	if line.Text != s.Phrase {
		return nil
	}
	return t.beats(line)
}

var errTooFewTimes = fmt.Errorf("%w: too few times", ErrUnusable)

// judge asks all scorers about a sample on a channel that the person has
// templates of. The detector may not know; the others do.
func (v *Verifier) judge(own *standard, s keystroke.Sample, w *work) (Score, error) {
	t, text := v.expected(own.templates, templateKey{s.Phrase, s.Channel})
	line := s.AppendLine(w.typed)
	if w.typed = line.Strokes; line.Text != s.Phrase {
		return Score{}, fmt.Errorf("%w: it is another text", ErrUnusable)
	}
	strokes := v.pop.AppendStrokes(w.strokes[:0], line)
	w.strokes = strokes
	w.residuals = text.Residuals(w.residuals[:0], strokes)
	if known(w.residuals) < minTimes {
		return Score{}, errTooFewTimes
	}
	ratio, err := v.plda.LLR(own.owners[s.Channel], text, w.residuals, &w.plda)
	if err != nil {
		return Score{}, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	near, err := own.places[s.Channel].ratio(v.pop, strokes, w.embedding)
	if err != nil {
		return Score{}, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	distance, ok := t.distance(strokes)
	if !ok {
		distance = math.NaN()
	}
	out := Score{Ratio: ratio, Base: near, Detector: distance, NearCopy: t.repeated(line), TooSteady: tooSteady(v.pop, line)}
	if h, ok := own.heads[templateKey{s.Phrase, s.Channel}]; ok {
		out.Head, out.HasHead = clamp(head.Score(h.weights, h.centre, w.residuals, w.at), maxOdds), true
	}
	return out, nil
}

// known counts the numbers among xs.
func known(xs []float64) (n int) {
	for _, x := range xs {
		if !math.IsNaN(x) {
			n++
		}
	}
	return n
}

// expected returns what a person's typing of a text that it knows is compared
// with.
func (v *Verifier) expected(templates map[templateKey]*template, key templateKey) (*template, *plda.Text) {
	if t := templates[key]; t != nil {
		return t, v.texts[key]
	}
	return compose(v.pop, templates, key), plda.NewText(key.phrase, key.channel == keystroke.Full)
}

const (
	// copyDistance: typings of the same hands differ by tens of ms at each key;
	// the cleanest replay through a terminal errs by less than 1 ms.
	copyDistance = 3 * time.Millisecond
	minIntervals = 6 // that it takes to tell
	// steady is the standard deviation of log intervals under which no hand
	// types: the 2,000 typings of GREYC lie between 0.15 and 1.9.
	steady = 0.05
	// average is the standard deviation of log intervals from the population's
	// medians under which no hand types: those typings lie above 0.15 as well,
	// and all but 0.04 % of 20-key windows of Aalto. A script that types the
	// medians, which are no secret, is near everybody: with the tempo chosen
	// well it was taken for its victim in 24 % of attempts, and with as much
	// chance as this asks of it in 8 %.
	average = 0.15
)

// repeated says whether a line is a near copy of one of the typings, or put
// together from typings of its words.
func (t *template) repeated(l keystroke.Line) bool {
	return slices.ContainsFunc(t.typings, func(earlier keystroke.Line) bool { return nearCopy(l, earlier) }) ||
		spliced(l, t.parts)
}

// NearCopy says whether two typings are so alike that one must be a recording
// of the other: the same text, and press-press intervals with a median
// difference under 3 ms.
func NearCopy(a, b keystroke.Sample) bool { return nearCopy(a.Line(), b.Line()) }

func nearCopy(a, b keystroke.Line) bool {
	if a.Text != b.Text {
		return false
	}
	apart := make([]time.Duration, 0, network.MaxLen) // on the stack
	for i := range a.Strokes {
		da, oka := a.DownDown(i)
		db, okb := b.DownDown(i)
		if oka && okb {
			apart = append(apart, (da - db).Abs())
		}
	}
	if len(apart) < minIntervals {
		return false
	}
	slices.Sort(apart)
	return apart[len(apart)/2] < copyDistance
}

// tooSteady says whether intervals are more even than hands are: a script that
// waits the same time at every key, or in proportion to what most people take.
func tooSteady(pop *feature.Population, l keystroke.Line) bool {
	times, delays := make([]float64, 0, network.MaxLen), make([]float64, 0, network.MaxLen) // on the stack
	for i := range l.Strokes {
		if dd, ok := l.DownDown(i); ok {
			ms := feature.LogMS(dd)
			times, delays = append(times, ms), append(delays, ms-pop.DownDown(l.Strokes[i-1].Key, l.Strokes[i].Key).Center)
		}
	}
	return len(times) >= minIntervals && (deviation(times) < steady || deviation(delays) < average)
}

// deviation returns the standard deviation of xs, which must not be empty.
func deviation(xs []float64) float64 {
	var sum, squares float64
	for _, x := range xs {
		sum += x
	}
	mean := sum / float64(len(xs))
	for _, x := range xs {
		squares += (x - mean) * (x - mean)
	}
	return math.Sqrt(squares / float64(len(xs)))
}
