package daemon

import (
	"errors"
	"log/slog"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
	"time"

	"ksd/internal/capture"
	"ksd/internal/evdev"
	"ksd/internal/wire"
)

// World is everything the daemon takes from its surroundings. Tests bring
// their own clock and their own people.
type World struct {
	// Now is the wall clock: of records, lock-outs and expiry.
	Now func() time.Time
	// Monotonic is the clock that keys are stamped with.
	Monotonic func() time.Duration
	// Keyboards opens the keyboards of this machine, as evdev.Keyboards does. They
	// are opened for console.releases alone.
	Keyboards func() ([]*os.File, error)
	// AfterFunc calls f once, after d, in a goroutine of its own, unless stop
	// is called before.
	AfterFunc func(d time.Duration, f func()) (stop func() bool)
	// UID is the account the daemon runs as. That account and root are its
	// administrators.
	UID uint32
	// Account returns the one name and the uid of an account, which may be known
	// by other names as well: Ana or ana@example.com for ana. Name returns the
	// account of a uid.
	Account func(name string) (string, uint32, error)
	Name    func(uid uint32) (string, error)
	// Member reports whether the account of that name is in one of the groups. It
	// may take its time.
	Member func(user string, groups []string) (bool, error)
	// Peer returns who is at the other end of a connection.
	Peer func(c syscall.Conn) (wire.Peer, error)
	// Log takes what the daemon has to say. No key, phrase or score is in it.
	Log *slog.Logger
}

// Real returns the world of a program that runs as uid and logs to log.
func Real(uid int, log *slog.Logger) World {
	return World{
		Now:       time.Now,
		Monotonic: capture.Monotonic,
		Keyboards: evdev.Keyboards,
		AfterFunc: func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop },
		UID:       uint32(uid),
		Account:   account,
		Name:      accountName,
		Member:    member,
		Peer:      wire.PeerOf,
		Log:       log,
	}
}

func account(name string) (string, uint32, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", 0, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	return u.Username, uint32(uid), err
}

func accountName(uid uint32) (string, error) {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return "", err
	}
	return u.Username, nil
}

// member asks the system's group database. A group that it does not know has no
// members; any other failure is an error.
func member(name string, groups []string) (bool, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return false, err
	}
	has, err := u.GroupIds()
	if err != nil {
		return false, err
	}
	for _, name := range groups {
		g, err := user.LookupGroup(name)
		if errors.As(err, new(user.UnknownGroupError)) {
			continue
		}
		if err != nil {
			return false, err
		}
		if slices.Contains(has, g.Gid) {
			return true, nil
		}
	}
	return false, nil
}
