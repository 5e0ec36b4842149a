package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"ksd/internal/cli"
)

func TestBenchWords(t *testing.T) {
	file := corpusFile(t, 2, 6)
	single := file
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	file += "-words" // "thequic fox" and "cold aters"
	b = []byte(strings.NewReplacer("\tk\t", "\tSpace\t", "\tw\t", "\tSpace\t").Replace(string(b)))
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	exit, out, errs := ctl(nil, "bench", "words", file, "--channel", "press", "--local", "0", "--max-phrases", "1")
	for _, want := range []string{"press, 1 to an attempt, 2 people", "fusion    words ", "fusion    phrases ", "of 1 at most", "enrolment        5   3 ms  "} {
		check(t, exit, out, errs, cli.ExitOK, want, "")
	}
	exit, out, errs = ctl(nil, "bench", "words", file, "--local", "0", "--max-phrases", "1", "--json")
	var got struct {
		Words, Phrases []struct {
			Scorer string
			EER    *float64 `json:"global_eer"`
		}
		Replays []struct{ Recordings string }
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || exit != cli.ExitOK || len(got.Words) == 0 ||
		len(got.Words) != len(got.Phrases) || got.Words[0].EER == nil || len(got.Replays) == 0 {
		t.Errorf("exit code %d, %v: %s%s", exit, err, out, errs)
	}
	exit, out, errs = ctl(nil, "bench", "words", single, "--local", "0", "--max-phrases", "1")
	check(t, exit, out, errs, cli.ExitFailed, "", "is a single word")
}
