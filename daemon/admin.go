package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"ksd/internal/audit"
	"ksd/internal/model"
	"ksd/internal/wire"
)

// status tells how the daemon is.
func (d *Daemon) status(r request) (any, error) {
	out := wire.Status{
		Version: d.version, Uptime: int64(d.world.Now().Sub(d.started).Seconds()), Admin: r.admin,
	}
	if name, err := d.world.Name(r.peer.UID); err == nil {
		out.User = name
	}
	if !r.admin {
		return out, nil
	}
	k := d.known.Load()
	out.People, out.Model, out.Job = len(k.people), modelInfo(k.file), d.trainer.status()
	out.Kind = string(d.config.Load().Challenge.Kind)
	for _, one := range k.people {
		if one.short(d.config.Load().Challenge.Kind) {
			out.FewWords++
		}
	}
	return out, nil
}

// record writes the audit entry of something an administrator or a person did.
func (d *Daemon) record(r request, event, user, outcome string) error {
	return d.audit.Record(r.Context(), audit.Entry{
		When: d.world.Now(), Event: event, User: user, Actor: r.peer.String(), Source: r.peer.String(),
		Outcome: outcome, Model: short(d.known.Load().file),
	})
}

// modelInfo tells which model is loaded.
func (d *Daemon) modelInfo(r request) (any, error) {
	if err := r.needAdmin(); err != nil {
		return nil, err
	}
	return modelInfo(d.known.Load().file), nil
}

func modelInfo(f *model.File) *wire.ModelInfo {
	if f == nil {
		return &wire.ModelInfo{}
	}
	report := reportOf(f.Report)
	report.Installed = true
	return &wire.ModelInfo{
		Loaded: true, Trained: f.Trained, SHA256: fmt.Sprintf("%x", f.SHA256), Kernel: f.Kernel, Seed: f.Options.Seed,
		People: f.People(), Samples: f.Report.Samples, Impostors: f.Report.Impostors, Report: report,
	}
}

// The number of audit entries in one answer.
const (
	defaultAudit = 50
	maxAudit     = 1000
)

// auditEntries returns the newest decisions.
func (d *Daemon) auditEntries(r request) (any, error) {
	if err := r.needAdmin(); err != nil {
		return nil, err
	}
	limit := defaultAudit
	if s := r.URL.Query().Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxAudit {
			return nil, &wire.Error{Code: wire.CodeBadRequest, Message: fmt.Sprintf("limit: want 1 to %d", maxAudit)}
		}
		limit = n
	}
	entries, err := d.store.Audit(r.Context(), r.URL.Query().Get("user"), limit)
	if err != nil {
		return nil, err
	}
	out := make([]wire.AuditEntry, 0, len(entries))
	for _, e := range entries {
		out = append(out, wire.AuditEntry(e))
	}
	return out, nil
}

// retrain trains a network and streams how far it is. A caller who goes away
// stops the run.
func (d *Daemon) retrain(w http.ResponseWriter, r request) {
	var in wire.RetrainRequest
	if err := errors.Join(r.needAdmin(), r.read(&in)); err != nil {
		d.respond(w, nil, err)
		return
	}
	s := &stream{w: w, c: http.NewResponseController(w)}
	_ = s.c.SetReadDeadline(time.Time{}) // else the run would end with the time to read a request
	report, err := d.trainer.run(r.Context(), order{
		actor: r.peer.String(), seed: in.Seed, dryRun: in.DryRun, progress: s.send,
	})
	switch {
	case err != nil && !s.begun:
		d.respond(w, nil, err)
	case err != nil:
		s.send(wire.Progress{Stage: "failed", Error: d.refusal(err)})
	default:
		s.send(wire.Progress{Stage: "done", Done: 1, Report: report})
	}
}

// stream writes one JSON object a line.
type stream struct {
	w     http.ResponseWriter
	c     *http.ResponseController
	begun bool
}

func (s *stream) send(p wire.Progress) {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "application/x-ndjson")
	}
	_ = s.c.SetWriteDeadline(time.Now().Add(answerTimeout))
	if json.NewEncoder(s.w).Encode(p) == nil {
		_ = s.c.Flush()
	}
}
