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
	"ksd/internal/model/base"
	"ksd/internal/model/network"
	"ksd/internal/model/plda"
)

// Verifier judges samples. It never changes; build a new one when people or
// file change.
type Verifier struct {
	pop       *feature.Population
	people    map[string]map[templateKey]*template
	owners    map[string]map[keystroke.Channel]*plda.Owner
	texts     map[templateKey]*plda.Text
	plda      *plda.Model
	places    map[string]map[keystroke.Channel]*place
	embedding sync.Pool // of *embedding
	network   *network.Network
	class     map[string]int
	scratch   sync.Pool // of *scratch
	residuals sync.Pool // of *[]float64
}

type scratch struct {
	net      *network.Scratch
	logits   []float32
	features []float32
	keys     []uint16
}

// newest is how many typings of a phrase count, the newest: older ones are of
// hands less practised.
const newest = 30

// NewVerifier builds a Verifier. file may be nil: then the detector judges
// alone. A file that does not know a person leaves that person to the detector,
// and any network leaves it the phrases longer than network.MaxLen.
// A person gets templates for every channel that shows no more than the one
// enrolled on, made of the same typings.
func NewVerifier(people []Person, file *File) (*Verifier, error) {
	v := &Verifier{
		pop: feature.Default(), people: map[string]map[templateKey]*template{}, class: map[string]int{},
		texts: map[templateKey]*plda.Text{}, plda: plda.NewModel(), places: map[string]map[keystroke.Channel]*place{},
	}
	typed := map[string]map[keystroke.Channel][]plda.Typed{}
	for _, p := range people {
		lines := map[templateKey][]keystroke.Line{}
		for n, s := range p.samples() {
			for _, view := range views(s, n) {
				add(lines, view)
			}
		}
		v.people[p.Name] = map[templateKey]*template{}
		typed[p.Name], v.places[p.Name] = map[keystroke.Channel][]plda.Typed{}, map[keystroke.Channel]*place{}
		for _, key := range sortedKeys(lines) {
			ls := lines[key][max(0, len(lines[key])-newest):]
			v.people[p.Name][key] = newTemplate(v.pop, ls)
			typed[p.Name][key.channel] = append(typed[p.Name][key.channel], v.sumUp(key, ls))
			v.place(p.Name, key.channel, ls)
		}
	}
	v.meet(typed)
	v.residuals.New = func() any { return new([]float64) }
	v.embedding.New = func() any { return newEmbedding() }
	if file == nil {
		return v, nil
	}
	n, err := network.New(file.Spec, file.Weights)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	v.network = n
	for k, name := range file.People {
		v.class[name] = k
	}
	v.scratch.New = func() any {
		return &scratch{net: network.NewScratch(file.Spec), logits: make([]float32, file.Spec.Classes)}
	}
	return v, nil
}

// sortedKeys returns the keys of lines in an order that is always the same.
func sortedKeys(lines map[templateKey][]keystroke.Line) []templateKey {
	return slices.SortedFunc(maps.Keys(lines), func(a, b templateKey) int {
		return cmp.Or(cmp.Compare(a.channel, b.channel), cmp.Compare(a.phrase, b.phrase))
	})
}

// sumUp turns the lines of a phrase into what package plda reads.
func (v *Verifier) sumUp(key templateKey, lines []keystroke.Line) plda.Typed {
	text := v.texts[key]
	if text == nil {
		text = plda.NewText(key.phrase, key.channel == keystroke.Full)
		v.texts[key] = text
	}
	rows := make([][]float64, len(lines))
	for i, l := range lines {
		rows[i] = text.Residuals(nil, v.pop.Extract(l))
	}
	return plda.NewTyped(text, rows)
}

// meet makes owners of people, each against the background of the others.
func (v *Verifier) meet(typed map[string]map[keystroke.Channel][]plda.Typed) {
	here := map[keystroke.Channel]plda.Backgrounds{}
	for _, person := range slices.Sorted(maps.Keys(typed)) {
		for ch, ts := range typed[person] {
			if here[ch] == nil {
				here[ch] = plda.Backgrounds{}
			}
			here[ch].Add(ts)
		}
	}
	v.owners = map[string]map[keystroke.Channel]*plda.Owner{}
	for person, channels := range typed {
		v.owners[person] = map[keystroke.Channel]*plda.Owner{}
		for ch, ts := range channels {
			v.owners[person][ch] = plda.NewOwner(ts, here[ch])
		}
	}
}

func add(to map[templateKey][]keystroke.Line, s keystroke.Sample) {
	l := s.Line()
	if l.Text == s.Phrase && len(l.Strokes) > 0 {
		key := templateKey{s.Phrase, s.Channel}
		to[key] = append(to[key], l)
	}
}

// samples returns all samples of all sittings, in order.
func (p Person) samples() []keystroke.Sample {
	var out []keystroke.Sample
	for _, s := range p.Sittings {
		out = append(out, s.Samples...)
	}
	return out
}

// Score judges a sample that claims to be person's. The sample's line must be
// its phrase already, which must be one that the person enrolled or be made of
// words of such phrases. Errors: ErrUnenrolled, ErrPhrase, ErrUnusable.
func (v *Verifier) Score(person string, s keystroke.Sample) (Score, error) {
	templates, ok := v.people[person]
	if !ok || len(templates) == 0 {
		return Score{}, ErrUnenrolled
	}
	s, ok = seenOn(s, func(ch keystroke.Channel) bool { return knows(templates, templateKey{s.Phrase, ch}) })
	if !ok {
		return Score{}, ErrPhrase
	}
	t, text := v.expected(templates, templateKey{s.Phrase, s.Channel})
	line := s.Line()
	if line.Text != s.Phrase {
		return Score{}, fmt.Errorf("%w: it is another text", ErrUnusable)
	}
	strokes := v.pop.Extract(line)
	distance, ok := t.distance(strokes)
	if !ok {
		return Score{}, fmt.Errorf("%w: too few times", ErrUnusable)
	}
	ratio, err := v.ratio(v.owners[person][s.Channel], text, strokes)
	if err != nil {
		return Score{}, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	near, err := v.near(person, s.Channel, strokes)
	if err != nil {
		return Score{}, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	out := Score{Ratio: ratio, Base: near, Detector: distance, Beats: t.beats(line), NearCopy: t.repeated(line), TooSteady: tooSteady(v.pop, line)}
	if k, known := v.class[person]; known && len(strokes) <= network.MaxLen {
		odds, err := v.odds(strokes, k)
		if err != nil {
			return Score{}, fmt.Errorf("%w: %w", ErrUnusable, err)
		}
		out.Network, out.HasNet = odds, true
	}
	out.LLR = fuse(s.Channel, out)
	return out, nil
}

// expected returns what a person's typing of a text that it knows is compared
// with.
func (v *Verifier) expected(templates map[templateKey]*template, key templateKey) (*template, *plda.Text) {
	if t := templates[key]; t != nil {
		return t, v.texts[key]
	}
	return compose(v.pop, templates, key), plda.NewText(key.phrase, key.channel == keystroke.Full)
}

// ratio returns the log-likelihood ratio of package plda.
func (v *Verifier) ratio(owner *plda.Owner, text *plda.Text, strokes []feature.Stroke) (float64, error) {
	sc := v.residuals.Get().(*[]float64)
	defer v.residuals.Put(sc)
	*sc = text.Residuals((*sc)[:0], strokes)
	return v.plda.LLR(owner, text, *sc)
}

// place adds lines to what a person's place is worked out from.
func (v *Verifier) place(person string, ch keystroke.Channel, lines []keystroke.Line) {
	space, ok := base.Default().Space(ch)
	if !ok {
		return // Sample.Check knows no such channel
	}
	p := v.places[person][ch]
	if p == nil {
		p = &place{space: space}
		v.places[person][ch] = p
	}
	p.lines = append(p.lines, lines...)
}

// near returns the base network's log-likelihood ratio.
func (v *Verifier) near(person string, ch keystroke.Channel, strokes []feature.Stroke) (float64, error) {
	w := v.embedding.Get().(*embedding)
	defer v.embedding.Put(w)
	return v.places[person][ch].ratio(v.pop, strokes, w)
}

// odds returns the network's log-odds of class k, clamped to ±maxOdds.
func (v *Verifier) odds(strokes []feature.Stroke, k int) (float64, error) {
	sc := v.scratch.Get().(*scratch)
	defer v.scratch.Put(sc)
	sc.features, sc.keys = sc.features[:0], sc.keys[:0]
	for _, st := range strokes {
		sc.features, sc.keys = st.Append(sc.features), append(sc.keys, st.Key)
	}
	if err := v.network.Logits(sc.logits, network.Sequence{Features: sc.features, Keys: sc.keys}, sc.net); err != nil {
		return 0, err
	}
	return logOdds(sc.logits, k), nil
}

// logOdds returns ln(P(k) / (1 - P(k))) of a softmax.
func logOdds(logits []float32, k int) float64 {
	top := math.Inf(-1)
	for j, x := range logits {
		if j != k {
			top = math.Max(top, float64(x))
		}
	}
	var sum float64
	for j, x := range logits {
		if j != k {
			sum += math.Exp(float64(x) - top)
		}
	}
	return math.Max(-maxOdds, math.Min(maxOdds, float64(logits[k])-top-math.Log(sum)))
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
	var apart []time.Duration
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
	var times, residuals []float64
	for i := range l.Strokes {
		if dd, ok := l.DownDown(i); ok {
			x := feature.LogMS(dd)
			times = append(times, x)
			residuals = append(residuals, x-pop.DownDown(l.Strokes[i-1].Key, l.Strokes[i].Key).Center)
		}
	}
	return len(times) >= minIntervals && (deviation(times) < steady || deviation(residuals) < average)
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
