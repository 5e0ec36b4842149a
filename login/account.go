package login

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"time"
)

// getent asks the whole account database (nsswitch.conf), which a statically
// linked program cannot do by itself.
const getent = "/usr/bin/getent"

// lookupPatience is how long a directory service may take.
const lookupPatience = 10 * time.Second

// Account returns the name of the account uid, from /etc/passwd or, where it is
// not in there, from the directory that getent knows. Never from the
// environment, as os/user.Current might.
func Account(ctx context.Context, uid int) (string, error) {
	id := strconv.Itoa(uid)
	u, err := user.LookupId(id)
	if err == nil {
		return u.Username, nil
	}
	if !errors.As(err, new(user.UnknownUserIdError)) {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, getent, "passwd", id)
	cmd.Env = []string{} // nil would be ours
	cmd.WaitDelay = time.Second
	line, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: uid %d: %w", ErrAccount, uid, err)
	}
	return nameOf(string(line), id)
}

// nameOf returns the name in a line of passwd(5), which must be of the uid id.
func nameOf(line, id string) (string, error) {
	f := strings.Split(line, ":")
	if len(f) != 7 || f[0] == "" || f[2] != id {
		return "", fmt.Errorf("%w: uid %s", ErrAccount, id)
	}
	return f[0], nil
}
