package corpus

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func cmuHeader() string { return "subject,sessionIndex,rep," + strings.Join(CMUColumns, ",") + "\r\n" }

// cmuLine is a repetition whose features are 0.01, 0.02, … with one replaced.
func cmuLine(column int, cell string) string {
	cells := []string{"s002", "1", "50"}
	for i := range CMUFeatures {
		cells = append(cells, fmt.Sprintf("%.2f", float64(i+1)/100))
	}
	if column >= 0 {
		cells[column] = cell
	}
	return strings.Join(cells, ",") + "\r\n"
}

func TestReadCMURefuses(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"empty":         {"", "line 1: malformed corpus: the file is empty"},
		"other columns": {strings.Replace(cmuHeader(), "H.t", "H.x", 1), "line 1: malformed corpus: these are not"},
		"too few":       {cmuHeader() + "s002,1,1\r\n", "line 2"},
		"no subject":    {cmuHeader() + cmuLine(0, ""), "line 2, column subject"},
		"session":       {cmuHeader() + cmuLine(-1, "") + cmuLine(1, "x"), "line 3, column sessionIndex"},
		"rep":           {cmuHeader() + cmuLine(2, "-1"), "line 2, column rep"},
		"feature":       {cmuHeader() + cmuLine(4, "1,5"), "line 2"},
		"feature word":  {cmuHeader() + cmuLine(4, "x"), "line 2, column DD.period.t"},
		"NaN":           {cmuHeader() + cmuLine(33, "NaN"), "line 2, column H.Return"},
		"infinite":      {cmuHeader() + cmuLine(3, "Inf"), "line 2, column H.period"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadCMU(strings.NewReader(c.in))
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestReadCMU(t *testing.T) {
	got, err := ReadCMU(strings.NewReader(cmuHeader() + cmuLine(-1, "") + cmuLine(0, "s003")))
	if err != nil || len(got) != 2 || len(CMUColumns) != CMUFeatures {
		t.Fatalf("read %d repetitions of %d columns, %v", len(got), len(CMUColumns), err)
	}
	r := got[0]
	if r.Subject != "s002" || got[1].Subject != "s003" || r.Session != 1 || r.Rep != 50 || r.Features[0] != 0.01 || r.Features[30] != 0.31 {
		t.Errorf("read %+v", r)
	}
}

// The real files, where they lie beside the repository.
const data = "../../../shared/data/"

func openData(t testing.TB, name string) *os.File {
	f, err := os.Open(data + name)
	if err != nil {
		t.Skipf("the research data is not here: %v", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestRealCMU(t *testing.T) {
	got, err := ReadCMU(openData(t, "cmu-strongpassword.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	subjects := map[string]int{}
	for _, r := range got {
		subjects[r.Subject]++
	}
	if len(got) != 20400 || len(subjects) != 51 || subjects["s002"] != 400 {
		t.Errorf("%d repetitions of %d subjects, want 20400 of 51", len(got), len(subjects))
	}
}

func TestRealGREYC(t *testing.T) {
	got, err := readAll(openData(t, "greyc-dev.tsv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	phrases, people := map[string]int{}, map[string]bool{}
	for _, typing := range got {
		phrases[typing.Sample.Phrase]++
		people[typing.User] = true
	}
	if len(got) != 40*2*5*10 || len(people) != 80 || len(phrases) != 5 || phrases["leonardo dicaprio"] != 800 {
		t.Errorf("%d typings by %d people of %v", len(got), len(people), phrases)
	}
}

func BenchmarkReader(b *testing.B) {
	for b.Loop() {
		f := openData(b, "greyc-dev.tsv.gz")
		if _, err := readAll(f); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/79200, "ns/key")
}
