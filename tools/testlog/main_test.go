package main

import (
	"strings"
	"testing"
)

const (
	passed  = `{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1}` + "\n"
	failed  = `{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:9: broken\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestB"}` + "\n"
	skipped = `{"Action":"output","Package":"p","Test":"TestC","Output":"=== RUN   TestC\n"}` + "\n" + `{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:3: no root\n"}` + "\n" + `{"Action":"skip","Package":"p","Test":"TestC"}` + "\n"
	noBuild = `{"Action":"build-output","ImportPath":"p","Output":"p.go:1: syntax error\n"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n"
)

func TestRun(t *testing.T) {
	for _, c := range []struct {
		name, in string
		refuse   bool
		exit     int
		says     string
	}{
		{"nothing at all", "", false, 1, "tests: 0 passed, 0 failed, 0 skipped"},
		{"a failure", passed + failed, false, 1, "b_test.go:9: broken"},
		{"no build", noBuild, false, 1, "p.go:1: syntax error"},
		{"only skips", skipped, false, 1, "0 passed, 0 failed, 1 skipped"},
		{"a skip that is refused", passed + skipped, true, 1, "should have skipped nothing"},
		{"not JSON", passed + "go: cannot find module\n", false, 0, "go: cannot find module"},
		{"a skip", passed + skipped, false, 0, "p TestC: c_test.go:3: no root\n"},
		{"a figure", `{"Action":"attr","Package":"p","Test":"TestA","Key":"FAR","Value":"1 %"}` + "\n" + passed, true, 0, "TestA: FAR 1 %\n"},
		{"a pass", passed, true, 0, "tests: 1 passed, 0 failed, 0 skipped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			if exit := run(strings.NewReader(c.in), &out, c.refuse); exit != c.exit {
				t.Errorf("exit %d, want %d", exit, c.exit)
			}
			if !strings.Contains(out.String(), c.says) {
				t.Errorf("it does not say %q:\n%s", c.says, &out)
			}
		})
	}
}
