package enroll

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ksd/internal/keystroke"
	"ksd/internal/wire"
)

// fake is a daemon that says what a test told it to, on a real socket.
type fake struct {
	mu       sync.Mutex
	phrases  []string // asked for in a sitting, one typing each
	warmups  int
	done     int
	refuse   []wire.Reason     // of the next typings, "" for none
	verdict  wire.Code         // of every challenge
	proof    bool              // whether a proof is wanted first
	sittings int               // opened so far
	channel  keystroke.Channel // of the last
	lose     int               // typings answered with CodeNotFound
	got      []wire.Typing     // typings that came
	enrolled bool
}

// serve starts the daemon and returns its socket.
func (f *fake) serve(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "ksd.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc(wire.RouteUser, f.user)
	mux.HandleFunc(wire.RouteDelete, f.remove)
	mux.HandleFunc(wire.RouteSitting, f.sitting)
	mux.HandleFunc(wire.RouteTyping, f.typing)
	mux.HandleFunc(wire.RouteFinish, f.user)
	mux.HandleFunc(wire.RouteChallenge, func(w http.ResponseWriter, r *http.Request) {
		answer(w, wire.Challenge{ID: "c", Phrase: "open the gate", ExpireMS: 60000, Try: 1, Tries: 1})
	})
	mux.HandleFunc(wire.RouteAnswer, f.answer)
	s := &http.Server{Handler: mux}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return path
}

func (f *fake) user(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.PathValue("user") == "nobody" {
		answer(w, wire.Person{User: "nobody"})
		return
	}
	answer(w, wire.Person{User: "ana", Enrolled: f.enrolled, Sittings: 1, Samples: len(f.phrases) - f.warmups, Phrases: f.phrases, Channel: "press"})
}

func (f *fake) remove(w http.ResponseWriter, r *http.Request) {
	if f.wantsProof(w) {
		return
	}
	f.user(w, r)
}

func (f *fake) sitting(w http.ResponseWriter, r *http.Request) {
	if f.wantsProof(w) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var in wire.SittingRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refusal(w, wire.CodeBadRequest, err.Error())
		return
	}
	f.sittings++
	f.channel = in.Channel
	answer(w, wire.Sitting{ID: "s", User: "ana", Resumed: f.done > 0, Next: f.next()})
}

func (f *fake) wantsProof(w http.ResponseWriter) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.proof {
		refusal(w, wire.CodeProof, "a challenge must be passed first")
	}
	return f.proof
}

func (f *fake) next() wire.Ask {
	a := wire.Ask{Done: f.done, Total: len(f.phrases)}
	if f.done < len(f.phrases) {
		a.Phrase, a.Warmup = f.phrases[f.done], f.done < f.warmups
	}
	return a
}

func (f *fake) typing(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var in wire.Typing
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refusal(w, wire.CodeBadRequest, err.Error())
		return
	}
	if f.lose > 0 {
		f.lose--
		refusal(w, wire.CodeNotFound, "no such sitting")
		return
	}
	f.got = append(f.got, in)
	var why wire.Reason
	if len(f.refuse) > 0 {
		why, f.refuse = f.refuse[0], f.refuse[1:]
	}
	switch {
	case in.Sample.Channel != f.channel:
		why = wire.ReasonChannel
	case in.Sample.Line().Text != f.phrases[f.done]:
		why = wire.ReasonText
	}
	if why != "" && !in.Insist {
		answer(w, wire.TypingResult{Reason: why, Next: f.next()})
		return
	}
	f.done++
	answer(w, wire.TypingResult{Kept: true, Next: f.next()})
}

func (f *fake) answer(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.verdict == wire.Accept {
		f.proof = false
	}
	answer(w, wire.Answer{Code: f.verdict})
}

func answer(w http.ResponseWriter, v any) { json.NewEncoder(w).Encode(v) }

func refusal(w http.ResponseWriter, code wire.ErrorCode, message string) {
	w.WriteHeader(code.Status())
	answer(w, map[string]wire.Error{"error": {Code: code, Message: message}})
}

// three is a sitting of one warm-up and two typings.
func three() *fake {
	return &fake{phrases: []string{"the rope", "the rope", "seven lanterns"}, warmups: 1, verdict: wire.Accept, enrolled: true}
}

func has(s string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}
