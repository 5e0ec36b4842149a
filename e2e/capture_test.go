package e2e

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

var (
	captureRows   = flag.String("capture", ".", "BenchmarkCaptureTimes: only rows whose name, such as su/plain/1000, matches this regular expression")
	captureQuiet  = flag.Float64("capture-quiet", 100, "BenchmarkCaptureTimes: percent of the processors in use above which a typing is put off, and one that met it typed again")
	captureAtOnce = flag.Int("capture-at-once", 1, "BenchmarkCaptureTimes: rows measured side by side")
)

// Each row of the table is that many typings of a phrase of 51 keys.
const captureTypings = 10

// captureCrowds are how many others type at the daemon meanwhile.
var captureCrowds = []int{0, 100, 1000}

// captureCase is one row of the table.
type captureCase struct {
	path     capturePath
	schedule schedule
	others   int
}

func (c captureCase) String() string {
	return fmt.Sprintf("%s/%s/%d", c.path.name, c.schedule.name, c.others)
}

// account is who types it: each path and schedule has its own.
func (c captureCase) account() string { return c.path.account(c.schedule) }

// BenchmarkCaptureTimes measures by how much the intervals that the verifier gets
// differ from those that were typed, and prints the table of docs/CAPTURE.md. All
// of it takes an hour, on a machine that does nothing else:
// "make bench-capture".
func BenchmarkCaptureTimes(b *testing.B) {
	wanted, err := regexp.Compile(*captureRows)
	if err != nil {
		b.Fatal(err)
	}
	w := newCaptureWorld(b)
	b.Log(captureMachine())
	table := []string{captureHead}
	for _, others := range captureCrowds {
		table = append(table, w.rows(b, wanted, others)...)
	}
	b.Log("\n" + strings.Join(table, "\n"))
	b.ReportMetric(0, "ns/op")
}

// rows measures the rows with so many others, in the order of the table.
func (w *captureWorld) rows(b *testing.B, wanted *regexp.Regexp, others int) []string {
	b.Helper()
	var cases []captureCase
	for _, s := range schedules {
		for _, p := range capturePaths {
			if c := (captureCase{p, s, others}); wanted.MatchString(c.String()) {
				cases = append(cases, c)
			}
		}
	}
	if len(cases) == 0 {
		return nil
	}
	defer w.crowd(b, others)()
	rows := make([]string, len(cases))
	var todo []func()
	for i, c := range cases {
		todo = append(todo, func() {
			row, err := w.measure(c)
			if err != nil {
				b.Errorf("%v: %v", c, err)
				return
			}
			rows[i] = row
			b.Log(row)
		})
	}
	atOnce(*captureAtOnce, todo)
	return rows
}

const captureHead = "| path | keys sent | others | busy, % | error to what was sent: median | p95 | p99 | max | to the hand: median | p95 | p99 | max |\n" +
	"|---|---|---|---|---|---|---|---|---|---|---|---|"

// measure has somebody type a row's keys, and returns the row. Each typing is a
// login of its own. Which of them count is decided by how busy the machine was,
// and never by how they came out.
func (w *captureWorld) measure(c captureCase) (row string, err error) {
	rng := rand.New(rand.NewPCG(uint64(c.others), uint64(len(c.account()))))
	var sent, hand []time.Duration
	var busy float64
	for counted, refused := 0, 0; counted < captureTypings; {
		awaitQuiet()
		typed, got, during, err := w.login(c, rng)
		switch {
		case errors.Is(err, errUnheard) && refused < captureTypings:
			refused++ // three keys came at once: a paste, to the daemon
			continue
		case err != nil:
			return "", err
		case during > *captureQuiet:
			continue
		case len(got.Events) != len(typed):
			return "", fmt.Errorf("%d keys typed, %d heard", len(typed), len(got.Events))
		}
		s, h := captureErrors(typed, got)
		sent, hand = append(sent, s...), append(hand, h...)
		busy += during / captureTypings
		counted++
	}
	return fmt.Sprintf("| %s | %s | %d | %.0f | %s | %s |", c.path.name, c.schedule.name, c.others, busy, quantiles(sent), quantiles(hand)), nil
}

// login has somebody type once, and returns what was typed, what the verifier
// got, and how busy the processors were meanwhile, in percent.
func (w *captureWorld) login(c captureCase, rng *rand.Rand) (typed []press, got keystroke.Sample, busy float64, err error) {
	at, err := w.sit(c)
	if err != nil {
		return nil, got, 0, err
	}
	defer at.leave()
	phrase, err := at.prompted()
	if err != nil {
		return nil, got, 0, err
	}
	began := readProcessors()
	if typed, err = at.typed(phrase, c.schedule, rng); err != nil {
		return nil, got, 0, err
	}
	busy = readProcessors().busySince(began)
	got, err = at.heard()
	return typed, got, busy, err
}

// awaitQuiet waits until the processors were quiet for a second.
func awaitQuiet() {
	for busy := 101.0; busy > *captureQuiet; {
		began := readProcessors()
		time.Sleep(time.Second)
		busy = readProcessors().busySince(began)
	}
}

// captureErrors returns the error of each interval, either way round 0: to the
// times at which the keys were sent, and to those at which the hand pressed them.
func captureErrors(typed []press, got keystroke.Sample) (sent, hand []time.Duration) {
	for i := 1; i < len(typed); i++ {
		interval := got.Events[i].Down - got.Events[i-1].Down
		sent = append(sent, (interval - (typed[i].sent - typed[i-1].sent)).Abs())
		hand = append(hand, (interval - (typed[i].hand - typed[i-1].hand)).Abs())
	}
	return sent, hand
}

// quantiles are the four columns of one set of errors, in ms.
func quantiles(errs []time.Duration) string {
	slices.Sort(errs)
	var out []string
	for _, q := range []float64{0.5, 0.95, 0.99, 1} {
		out = append(out, fmt.Sprintf("%.2f", float64(errs[int(q*float64(len(errs)-1))])/float64(time.Millisecond)))
	}
	return strings.Join(out, " | ")
}

// processors are the clock ticks that the processors have had.
type processors struct{ idle, all float64 }

func readProcessors() (p processors) {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	for i, word := range strings.Fields(line) {
		n, _ := strconv.ParseFloat(word, 64) // 0 for the first word, "cpu"
		p.all += n
		if i == 4 || i == 5 { // idle, and waiting for a disk
			p.idle += n
		}
	}
	return p
}

// busySince returns the share of all processors in use since p0, in percent.
func (p processors) busySince(p0 processors) float64 {
	return 100 * (1 - (p.idle-p0.idle)/max(p.all-p0.all, 1))
}

// captureMachine says what the figures were measured on.
func captureMachine() string {
	kernel, _ := exec.Command("uname", "-sr").Output()
	ssh, _ := exec.Command("ssh", "-V").CombinedOutput()
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("%s, %d processors, load %s, %s, %s", strings.TrimSpace(string(kernel)), runtime.NumCPU(),
		strings.Join(strings.Fields(string(load))[:3], " "), runtime.Version(), strings.TrimSpace(string(ssh)))
}
