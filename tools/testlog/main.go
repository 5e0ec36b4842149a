// Testlog reads the output of "go test -json" and prints what a person wants of
// it: a line for every package, all that a failed test said, and at the end
// every test that was skipped, with its reason. It exits 1 if a test failed,
// and, where KSD_REFUSE_SKIPS is set, if one was skipped.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	os.Exit(run(os.Stdin, os.Stdout, os.Getenv("KSD_REFUSE_SKIPS") != ""))
}

// event is one line of "go test -json"; see "go doc test2json".
type event struct {
	Action, Package, Test, Output string
	Key, Value                    string // of an attribute: a figure that a test reports
	Elapsed                       float64
}

type test struct{ pkg, name string }

type report struct {
	output                  map[test][]string
	passed, failed, skipped int
	skips                   []string
}

func run(in io.Reader, out io.Writer, refuseSkips bool) int {
	r := report{output: map[test][]string{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text())
			continue
		}
		r.take(e, out)
	}
	slices.Sort(r.skips)
	if len(r.skips) > 0 {
		fmt.Fprintf(out, "\nskipped:\n%s", strings.Join(r.skips, ""))
	}
	fmt.Fprintf(out, "\ntests: %d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	switch {
	case lines.Err() != nil:
		fmt.Fprintln(out, "testlog:", lines.Err())
	case r.failed > 0 || r.passed == 0:
	case refuseSkips && r.skipped > 0:
		fmt.Fprintln(out, "this machine should have skipped nothing")
	default:
		return 0
	}
	return 1
}

func (r *report) take(e event, out io.Writer) {
	t := test{e.Package, e.Test}
	switch e.Action {
	case "output":
		r.output[t] = append(r.output[t], e.Output)
	case "attr":
		fmt.Fprintf(out, "      %s: %s %s\n", e.Test, e.Key, e.Value)
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "pass", "fail", "skip":
		r.end(e, t, out)
		delete(r.output, t)
	}
}

func (r *report) end(e event, t test, out io.Writer) {
	said := strings.Join(r.output[t], "")
	if e.Test == "" {
		if e.Action == "fail" {
			fmt.Fprint(out, said)
			r.failed++
		}
		if e.Action != "skip" { // a package without tests
			fmt.Fprintf(out, "%-4s  %s  %.1fs\n", e.Action, e.Package, e.Elapsed)
		}
		return
	}
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
		fmt.Fprintf(out, "---- %s %s\n%s", e.Package, e.Test, said)
	case "skip":
		r.skipped++
		r.skips = append(r.skips, fmt.Sprintf("  %s %s:%s\n", e.Package, e.Test, reason(r.output[t])))
	}
}

// reason is what a skipped test said, without the frame around it.
func reason(output []string) string {
	var b strings.Builder
	for _, l := range output {
		if !strings.HasPrefix(l, "=== ") && !strings.HasPrefix(strings.TrimSpace(l), "--- ") {
			b.WriteString(" " + strings.TrimSpace(l))
		}
	}
	return b.String()
}
