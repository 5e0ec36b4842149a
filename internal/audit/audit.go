// Package audit keeps the record of every decision of the daemon: an entry in
// the store first, then one line in the program's log.
//
// Whoever decides records in the same step, and denies where Record fails: no
// entry, no yes. Neither place ever holds a phrase or a keystroke. A score
// stands in the store alone, which only the administrator can read; in a log it
// would teach an impostor.
package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode"

	"ksd/internal/store"
)

// MaxValue is the largest text of one field of an entry, in bytes. What is
// longer is cut, with an ellipsis.
const MaxValue = 256

// Entry is one decision.
type Entry = store.AuditEntry

// Log records decisions. The zero value records nothing and says so.
type Log struct {
	store *store.Store
	log   *slog.Logger
}

// New returns a Log that keeps its entries in st and writes its lines to log.
func New(st *store.Store, log *slog.Logger) *Log { return &Log{store: st, log: log} }

// ErrNowhere is the fact that a Log has no store or no logger.
var ErrNowhere = errors.New("audit log leads nowhere")

// Record puts the entry on disk and then writes its line. It does so even
// where ctx has ended: a client that hangs up cannot take back what was
// decided about it. After an error the caller must deny.
//
// Texts may come from strangers. What could be taken for the end of a line or
// for a terminal command is replaced by U+FFFD.
func (l *Log) Record(ctx context.Context, e Entry) error {
	if l == nil || l.store == nil || l.log == nil {
		return ErrNowhere
	}
	ctx = context.WithoutCancel(ctx)
	for _, s := range []*string{&e.Event, &e.User, &e.Actor, &e.Service, &e.Source, &e.Outcome, &e.Model} {
		*s = clean(*s)
	}
	if err := l.store.AppendAudit(ctx, e); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	l.log.LogAttrs(ctx, slog.LevelInfo, "decision",
		slog.String("event", e.Event),
		slog.String("user", e.User),
		slog.String("actor", e.Actor),
		slog.String("service", e.Service),
		slog.String("source", e.Source),
		slog.String("outcome", e.Outcome),
		slog.String("model", e.Model))
	return nil
}

// clean returns s in printable UTF-8 of at most MaxValue bytes.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
	if len(s) <= MaxValue {
		return s
	}
	const more = "…"
	cut := 0
	for i := range s {
		if i > MaxValue-len(more) {
			break
		}
		cut = i
	}
	return s[:cut] + more
}
