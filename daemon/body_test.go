package daemon_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// TestBodies sends requests that no Client would. Each is answered with a
// refusal in JSON that quotes nothing of it.
func TestBodies(t *testing.T) {
	d := ksdtest.Start(t)
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.Config.Daemon.APISocket)
	}}}
	defer client.CloseIdleConnections()
	for _, c := range []struct {
		method, path, body string
		want               wire.ErrorCode
	}{
		{"POST", "/v1/challenges", ``, wire.CodeBadRequest},
		{"POST", "/v1/challenges", `secret`, wire.CodeBadRequest},
		{"POST", "/v1/challenges", `[]`, wire.CodeBadRequest},
		{"POST", "/v1/challenges", `{"user":1}`, wire.CodeBadRequest},
		{"POST", "/v1/challenges", `{"user":"ana","service":"test","secret":1}`, wire.CodeBadRequest},
		{"POST", "/v1/challenges", `{"user":"ana","service":"test"}{}`, wire.CodeBadRequest},
		{"POST", "/v1/challenges", `{"user":"ana","service":"` + strings.Repeat("s", wire.MaxBody) + `"}`, wire.CodeBadRequest},
		{"POST", "/v1/challenges", `{"user":"ana","service":""}`, wire.CodeBadRequest},
		{"POST", "/v1/challenges", `{"user":"ana","service":"a\u001b[2J"}`, wire.CodeBadRequest},
		{"POST", "/v1/challenges", `{"user":"","service":"test"}`, wire.CodeBadRequest},
		{"POST", "/v1/sittings", `{"user":"ana","channel":"secret"}`, wire.CodeBadRequest},
		{"GET", "/v1/audit?limit=0", ``, wire.CodeBadRequest},
		{"GET", "/v1/audit?limit=many", ``, wire.CodeBadRequest},
		{"GET", "/v1/audit?limit=1001", ``, wire.CodeBadRequest},
		{"GET", "/", ``, wire.CodeNotFound},
		{"GET", "/v1/secret", ``, wire.CodeNotFound},
		{"PUT", "/v1/status", ``, wire.CodeNotFound},
		{"GET", "/v1/challenges", ``, wire.CodeNotFound},
	} {
		req, err := http.NewRequest(c.method, "http://ksd"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Errorf("%s %s %.60s: %v", c.method, c.path, c.body, err)
			continue
		}
		var e struct{ Error *wire.Error }
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err := json.Unmarshal(b, &e); err != nil || e.Error == nil || e.Error.Code != c.want || resp.StatusCode != c.want.Status() {
			t.Errorf("%s %s %.60s: %d %s, want %s", c.method, c.path, c.body, resp.StatusCode, b, c.want)
		}
		if strings.Contains(string(b), "secret") {
			t.Errorf("%s %s %.60s: %s", c.method, c.path, c.body, b)
		}
	}
}

// TestNothingSecretIsLogged looks for phrases in the log of all that can happen
// to one.
func TestNothingSecretIsLogged(t *testing.T) {
	d := ksdtest.Start(t)
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	verify(t, c, "ana", ana)
	verify(t, c, "ana", ana.At(3*tempo))
	ch := ask(t, c, "ana")
	answer(t, c, ch, ana.Sample("some other text"))
	log := d.Log.String()
	for _, secret := range append([]string{"some other text", "score", "sum="}, d.Config.Challenge.Phrases...) {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q:\n%s", secret, log)
		}
	}
	if !strings.Contains(log, "outcome=accept") || !strings.Contains(log, "outcome=refuse") {
		t.Errorf("the log holds no decisions:\n%s", log)
	}
}
