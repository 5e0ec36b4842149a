package daemon

import (
	"context"
	"log/slog"
	"time"
)

// The audit log is pruned an hour after the start, not at once, and then daily:
// a machine that boots with a date of years ahead has set its clock by then.
const (
	firstPrune = time.Hour
	nextPrune  = 24 * time.Hour
)

// prune deletes the audit entries that are older than audit.keep_days.
func (d *Daemon) prune() {
	defer d.pruning.ask(nextPrune)
	days := d.config.Load().Audit.KeepDays
	if days == 0 {
		return
	}
	n, err := d.store.PruneAudit(context.Background(), d.world.Now().AddDate(0, 0, -days))
	switch {
	case err != nil:
		d.world.Log.Error("audit log not pruned", slog.Any("error", err))
	case n > 0:
		d.world.Log.Info("audit log pruned", slog.Int64("entries", n), slog.Int("older_than_days", days))
	}
}
