package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"ksd/internal/corpus"
	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/model/eval"
	"ksd/internal/policy"
)

// GrowthOptions steer the growth protocol.
type GrowthOptions struct {
	Enrol, Warmups int               // typings to enrol on, and those before them that are left out
	Channel        keystroke.Channel // how the typings are seen: Full or Press
	FMR            float64           // share of strangers' typings that are accepted on the day of the enrolment
	Impostors      float64           // share of all attempts that are an impostor's, 0 to below 1
	Nearest        bool              // the impostor is always the one who is taken for the owner most often
	Window         int               // of adapt.window; 0: nothing grows
	PerWeek        int               // of adapt.per_week
	Apart          time.Duration     // from the start of one sitting to that of the next
	Seed           uint64
}

// GrowthResult is the outcome of the growth protocol, all people together.
type GrowthResult struct {
	FMR       float64   `json:"fmr"`       // wanted
	Impostors float64   `json:"impostors"` // share of attempts
	Nearest   bool      `json:"nearest"`
	Window    int       `json:"window"` // 0: nothing grows
	PerWeek   int       `json:"per_week"`
	People    int       `json:"people"`
	FNMR      []float64 `json:"fnmr"`      // by sitting
	Accepted  float64   `json:"accepted"`  // share of the impostors' attempts on the way that was accepted
	Joined    int       `json:"joined"`    // typings, on the way
	Foreign   float64   `json:"foreign"`   // share of them that was an impostor's
	Novices   float64   `json:"novices"`   // FMR at the end, of the strangers that the threshold was set by
	Practised float64   `json:"practised"` // FMR at the end, of strangers' last typings
	EER       float64   `json:"eer"`       // of the last sitting's typings against strangers' last ones
}

const (
	cmuSittings = 8
	cmuLast     = 5 // typings of a stranger that Practised is measured on
)

// Growth types through the sittings of the CMU benchmark in order, one login a
// typing, with impostors in between, and lets the templates grow as the daemon
// does: the same scores, the same decisions, the same rule. Each owner is
// enrolled on the first typings; threshold and calibration are set by one shift
// of the scores for all people, so that the wanted share of strangers' first
// typings (those of Killourhy and Maxion's protocol) is accepted. The typings
// of a sitting are taken to be spread evenly over the time to the next.
//
// The heads have no part in it: it is the detector that grows at once.
func Growth(ctx context.Context, reps []corpus.Repetition, o GrowthOptions) (GrowthResult, error) {
	people, err := cmuTypists(reps, o)
	if err != nil {
		return GrowthResult{}, err
	}
	hosts := make([]*grower, len(people))
	for i, p := range people {
		if hosts[i], err = newGrower(p, people, o); err != nil {
			return GrowthResult{}, err
		}
	}
	shift := growthShift(hosts, o.FMR)
	r := GrowthResult{
		FMR: o.FMR, Impostors: o.Impostors, Nearest: o.Nearest, Window: o.Window, PerWeek: o.PerWeek,
		People: len(people), FNMR: make([]float64, cmuSittings),
	}
	var sum growthTally
	for _, g := range hosts {
		if err := ctx.Err(); err != nil {
			return GrowthResult{}, err
		}
		g.shift = shift
		if err := g.live(&sum); err != nil {
			return GrowthResult{}, err
		}
	}
	for i := range r.FNMR {
		r.FNMR[i] = sum.sitting[i].rate()
	}
	r.Accepted, r.Foreign, r.Joined = sum.impostor.rate(), sum.foreign.rate(), sum.foreign.of
	r.Novices, r.Practised, r.EER = sum.novices.rate(), sum.practised.rate(), sum.end.EER()
	return r, nil
}

// share counts how often something was so.
type share struct{ n, of int }

func (s *share) add(is bool) {
	s.of++
	if is {
		s.n++
	}
}

func (s *share) rate() float64 { return float64(s.n) / float64(max(s.of, 1)) }

// growthTally is what came of all people's logins.
type growthTally struct {
	sitting                               [cmuSittings]share // owners refused
	impostor, foreign, novices, practised share
	end                                   eval.Scores
}

// cmuTypist is one subject's typings by sitting.
type cmuTypist struct {
	name    string
	sitting [cmuSittings][]keystroke.Sample
}

// first returns the typings that stand for a stranger's.
func (p *cmuTypist) first() []keystroke.Sample { return p.sitting[0][:cmuImpostor] }

func (p *cmuTypist) last() []keystroke.Sample {
	s := p.sitting[cmuSittings-1]
	return s[len(s)-cmuLast:]
}

func cmuTypists(reps []corpus.Repetition, o GrowthOptions) ([]*cmuTypist, error) {
	if o.Enrol < 1 || o.Warmups < 0 || !(o.Impostors >= 0 && o.Impostors < 1) || o.Apart <= 0 ||
		policy.NewBounds(o.FMR, ownersRefused) == (policy.Bounds{}) ||
		o.Channel != keystroke.Full && o.Channel != keystroke.Press {
		return nil, fmt.Errorf("%w: options %+v", ErrProtocol, o)
	}
	var out []*cmuTypist
	by := map[string]*cmuTypist{}
	for _, r := range reps {
		p := by[r.Subject]
		if p == nil {
			p = &cmuTypist{name: r.Subject}
			out, by[r.Subject] = append(out, p), p
		}
		if r.Session < 1 || r.Session > cmuSittings {
			return nil, fmt.Errorf("%w: subject %s has a session %d", ErrProtocol, r.Subject, r.Session)
		}
		p.sitting[r.Session-1] = append(p.sitting[r.Session-1], show(cmuTyping(r), o.Channel, nil))
	}
	for _, p := range out {
		for i, s := range p.sitting {
			if len(s) < max(cmuImpostor, cmuLast) || i == 0 && len(s) <= o.Warmups+o.Enrol {
				return nil, fmt.Errorf("%w: subject %s has %d typings in session %d", ErrProtocol, p.name, len(s), i+1)
			}
		}
	}
	if len(out) < 2 {
		return nil, fmt.Errorf("%w: %d subjects", ErrProtocol, len(out))
	}
	return out, nil
}

// grower is one owner's account through all sittings.
type grower struct {
	o        GrowthOptions
	owner    *cmuTypist
	others   []*cmuTypist
	enrolled []keystroke.Sample
	anchor   *model.Verifier // knows the enrolment alone
	now      *model.Verifier
	shift    float64 // taken off every score
	start    []float64
	random   *rand.Rand

	window, waiting []policy.Typing
	typed           []growthLogin // by policy.Typing.ID
}

// growthLogin is one typing of somebody at the owner's account.
type growthLogin struct {
	sample  keystroke.Sample
	foreign bool
}

// ownersRefused is the share of owners' attempts that the bounds aim at.
const ownersRefused = 0.05

func newGrower(p *cmuTypist, people []*cmuTypist, o GrowthOptions) (*grower, error) {
	g := &grower{o: o, owner: p, enrolled: p.sitting[0][o.Warmups:][:o.Enrol], random: rand.New(rand.NewPCG(o.Seed, uint64(slices.Index(people, p))))}
	var err error
	if g.anchor, err = g.verifier(nil); err != nil {
		return nil, err
	}
	g.now = g.anchor
	best := -1.0
	for _, other := range people {
		if other == p {
			continue
		}
		g.others = append(g.others, other)
		var sum float64
		for _, s := range other.first() {
			score, err := g.anchor.Score(p.name, s)
			if err != nil {
				return nil, fmt.Errorf("%s as %s: %w", other.name, p.name, err)
			}
			g.start = append(g.start, score.LLR)
			sum += score.LLR + model.MaxLLR
		}
		if o.Nearest && sum > best {
			best, g.others[0], g.others[len(g.others)-1] = sum, other, g.others[0]
		}
	}
	return g, nil
}

// growthShift returns the shift of scores after which the test of one phrase
// accepts the wanted share of strangers on the day of the enrolment.
func growthShift(hosts []*grower, fmr float64) float64 {
	var all []float64
	for _, g := range hosts {
		all = append(all, g.start...)
	}
	slices.Sort(all)
	accept := len(all) - 1 - int(fmr*float64(len(all)))
	return all[accept] - policy.NewBounds(fmr, ownersRefused).Final
}

// verifier returns one that knows the enrolment and the window.
func (g *grower) verifier(window []policy.Typing) (*model.Verifier, error) {
	p := model.Person{Name: g.owner.name, Sittings: []model.Sitting{{ID: 1, Samples: g.enrolled}, {ID: 2}}}
	for _, t := range window {
		p.Sittings[1].Samples = append(p.Sittings[1].Samples, g.typed[t.ID].sample)
	}
	return model.NewVerifier([]model.Person{p}, nil)
}

// live goes through the owner's sittings.
func (g *grower) live(sum *growthTally) error {
	start := time.Unix(0, 0)
	for i, sitting := range g.owner.sitting {
		for k, s := range sitting {
			if i == 0 && k < g.o.Warmups+g.o.Enrol {
				continue
			}
			at := start.Add(time.Duration(i)*g.o.Apart + g.o.Apart*time.Duration(k)/time.Duration(len(sitting)))
			for g.random.Float64() < g.o.Impostors {
				accepted, err := g.login(growthLogin{g.impostor(i), true}, at, sum)
				if err != nil {
					return err
				}
				sum.impostor.add(accepted)
			}
			if err := g.remember(s, i, sum); err != nil {
				return err
			}
			accepted, err := g.login(growthLogin{s, false}, at, sum)
			if err != nil {
				return err
			}
			sum.sitting[i].add(!accepted)
		}
	}
	return g.strangers(sum)
}

// impostor returns a typing of somebody else, of the same sitting.
func (g *grower) impostor(sitting int) keystroke.Sample {
	who := g.others[0]
	if !g.o.Nearest {
		who = g.others[g.random.IntN(len(g.others))]
	}
	s := who.sitting[sitting]
	return s[g.random.IntN(len(s))]
}

// remember keeps the score of an owner's typing of the last sitting.
func (g *grower) remember(s keystroke.Sample, sitting int, sum *growthTally) error {
	if sitting < cmuSittings-1 {
		return nil
	}
	_, llr, err := g.decide(s)
	sum.end.Genuine = append(sum.end.Genuine, llr)
	return err
}

// strangers measures at the end.
func (g *grower) strangers(sum *growthTally) error {
	for _, other := range g.others {
		for _, s := range other.first() {
			d, _, err := g.decide(s)
			if err != nil {
				return err
			}
			sum.novices.add(d == policy.Accept)
		}
		for _, s := range other.last() {
			d, llr, err := g.decide(s)
			if err != nil {
				return err
			}
			sum.practised.add(d == policy.Accept)
			sum.end.Impostor = append(sum.end.Impostor, llr)
		}
	}
	return nil
}

func (g *grower) bounds() policy.Bounds { return policy.NewBounds(g.o.FMR, ownersRefused) }

// decide judges an attempt of one typing.
func (g *grower) decide(s keystroke.Sample) (d policy.Decision, llr float64, err error) {
	score, err := g.now.Score(g.owner.name, s)
	if err != nil {
		return policy.Deny, 0, fmt.Errorf("at %s: %w", g.owner.name, err)
	}
	llr = score.LLR - g.shift
	if score.NearCopy || score.TooSteady {
		return policy.Deny, llr, nil
	}
	return policy.Decide(llr, 1, 1, g.bounds()), llr, nil
}

// login is one attempt, after which templates may have grown.
func (g *grower) login(a growthLogin, at time.Time, sum *growthTally) (accepted bool, err error) {
	d, _, err := g.decide(a.sample)
	if err != nil || d != policy.Accept {
		g.waiting = nil
		return false, err
	}
	rule := policy.Growth{Window: g.o.Window, PerWeek: g.o.PerWeek}
	joins, leaves := rule.Confirm(g.window, g.waiting, g.bounds(), at)
	for _, t := range joins {
		sum.foreign.add(g.typed[t.ID].foreign)
	}
	g.window = slices.DeleteFunc(append(g.window, joins...), func(t policy.Typing) bool { return slices.Contains(leaves, t) })
	anchor, err := g.anchor.Score(g.owner.name, a.sample)
	if err != nil {
		return false, err
	}
	g.waiting = []policy.Typing{{ID: int64(len(g.typed)), Text: a.sample.Phrase, Anchor: anchor.LLR - g.shift}}
	g.typed = append(g.typed, a)
	if len(joins) > 0 {
		g.now, err = g.verifier(g.window)
	}
	return true, err
}
