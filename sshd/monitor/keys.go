package monitor

import (
	"bufio"
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Limits of authorized_keys.
const (
	maxKeysFile = 1 << 20 // bytes
	maxKeyLine  = 1 << 14
)

// minRSA is the shortest RSA key that proves anything, in bits.
const minRSA = 2048

// dsa is the type of keys that are too short by their nature.
const dsa = "ssh-dss"

// errWeak is the fact that a key is of a kind that proves nothing here.
var errWeak = errors.New("a key of a kind that is not taken")

// sound refuses certificates, DSA and short RSA keys.
func sound(k ssh.PublicKey) error {
	if _, ok := k.(*ssh.Certificate); ok || k.Type() == dsa {
		return fmt.Errorf("%w: %s", errWeak, k.Type())
	}
	if c, ok := k.(ssh.CryptoPublicKey); ok {
		if r, ok := c.CryptoPublicKey().(*rsa.PublicKey); ok && r.N.BitLen() < minRSA {
			return fmt.Errorf("%w: RSA of %d bits, at least %d", errWeak, r.N.BitLen(), minRSA)
		}
	}
	return nil
}

// expand fills a pattern of authorized_keys in.
func expand(pattern string, a account) string {
	p := strings.NewReplacer("%%", "%", "%h", a.home, "%u", a.name).Replace(pattern)
	if !filepath.IsAbs(p) {
		p = filepath.Join(a.home, p)
	}
	return filepath.Clean(p)
}

// authorized looks a key up in the files of an account. It returns what its
// line restricts, and whether it is there at all.
func authorized(a account, key ssh.PublicKey, patterns []string, from netip.Addr, now time.Time, log *slog.Logger) (restriction, bool) {
	for _, p := range patterns {
		path := expand(p, a)
		data, err := readOwn(a, path, maxKeysFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			log.Warn("authorized_keys refused", "file", path, "error", err)
			continue
		}
		if r, ok := inLines(data, key, from, now, log.With("file", path)); ok {
			return r, true
		}
	}
	return restriction{}, false
}

// inLines looks a key up in the lines of a file. Lines that are not understood
// are passed over, as sshd does; so is a line whose options keep the key out.
func inLines(data []byte, key ssh.PublicKey, from netip.Addr, now time.Time, log *slog.Logger) (restriction, bool) {
	want := key.Marshal()
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxKeyLine)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		k, _, options, _, err := ssh.ParseAuthorizedKey(line)
		if err != nil || !bytes.Equal(k.Marshal(), want) {
			continue
		}
		r, err := restrictionOf(options, from, now)
		if err == nil {
			return r, true
		}
		log.Warn("key refused", "line", n, "key", ssh.FingerprintSHA256(key), "error", err)
	}
	if err := lines.Err(); err != nil {
		log.Warn("authorized_keys not read to its end", "line", n+1, "error", err)
	}
	return restriction{}, false
}
