package main

import (
	"bytes"
	"strings"
	"testing"

	"ksd/internal/cli"
	"ksd/internal/wire"
)

func TestReport(t *testing.T) {
	after := wire.TrainingReport{People: 2, Samples: 40, Validation: 10, Impostors: 40, Heads: 6, Loss: 0.25, ValidationLoss: 0.5, FMR: 0.01, FNMR: 0.2, EER: 0.05, Seconds: 1.5}
	before := after
	before.EER, before.Loss = 0.1, 0.125
	alone := after
	alone.Validation = 0
	after.Before = &before
	for name, c := range map[string]struct {
		report    wire.TrainingReport
		want, not []string
	}{
		"before and after": {after, []string{
			"6 heads; 1.5 s\n",
			"                     before    after   change\n",
			"loss in training     0.1250   0.2500  +0.1250\n",
			"EER                 10.00 %   5.00 %  -5.00 %\n",
		}, []string{"warning"}},
		"nothing held back": {alone, []string{"loss in training       -  0.2500       -\n", "warning: nobody has a second sitting"}, []string{"EER", "in validation"}},
	} {
		var out bytes.Buffer
		printReport(cli.Env{Name: "ksdctl", Stdout: &out, Stderr: &out}, c.report)
		for _, w := range c.want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: no %q in\n%s", name, w, out.String())
			}
		}
		for _, n := range c.not {
			if strings.Contains(out.String(), n) {
				t.Errorf("%s: %q in\n%s", name, n, out.String())
			}
		}
	}
}
