package login

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"ksd/internal/wire"
)

// cron runs jobs by /bin/sh, or by what SHELL says in its table, and not by the
// account's login shell.
func TestCron(t *testing.T) {
	if _, err := exec.LookPath("cron"); err != nil {
		t.Skip("cron is not installed")
	}
	gate := program(t)
	b := newBox(t, map[string]string{
		"crontab":    "SHELL=/bin/sh\n@reboot ana echo sh $0 >/home/ana/plain\n",
		"cron.d/own": "@reboot ana echo none $0 >/home/ana/none\n",
		"cron.d/ksd": "SHELL=" + gate + "\n@reboot ana echo gate $0 >/home/ana/gated\n",
	})
	d := b.daemon(verdict(wire.Accept, ""))
	background(t, b.Command("cron", "-f"))
	for file, want := range map[string]string{"plain": "sh /bin/sh\n", "none": "none /bin/sh\n", "gated": "gate /bin/bash\n"} {
		if got := b.appears("/home/ana/" + file); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
	if got := kind(d.asked()); got != "none" {
		t.Errorf("the daemon was asked %q, want once, by the job that names the gate", got)
	}
}

// appears waits for a file with something in it.
func (b *box) appears(inside string) string {
	b.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		got, err := os.ReadFile(b.Path(inside))
		if err == nil && len(got) > 0 {
			return string(got)
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s does not appear: %v", inside, err)
		}
	}
}
