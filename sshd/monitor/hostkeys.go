package monitor

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"ksd/sshd/link"
)

// made is the name of the host key that is made where it is not there.
const made = "ssh_host_ed25519_key"

// LoadHostKeys reads private keys, each of another type, that belong to this
// process's account and are closed to everybody else.
func LoadHostKeys(paths []string) ([]ssh.Signer, error) {
	var keys []ssh.Signer
	from := map[string]string{}
	for _, path := range paths {
		k, err := loadHostKey(path)
		if err != nil {
			return nil, fmt.Errorf("host key: %w", err)
		}
		if err := alone(from, k.PublicKey().Type(), path); err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// alone notes the type of the key at a path, and fails where there was one.
func alone(from map[string]string, kind, path string) error {
	if other, twice := from[kind]; twice {
		return fmt.Errorf("host key: %s and %s are both of type %s", other, path, kind)
	}
	from[kind] = path
	return nil
}

// CheckHostKeys finds out what MakeHostKeys and then LoadHostKeys would, and
// changes nothing. It returns the paths of the keys that would be made.
func CheckHostKeys(paths []string) (missing []string, err error) {
	from := map[string]string{}
	for _, path := range paths {
		kind := ssh.KeyAlgoED25519
		if toMake(path) {
			if err := mayWrite(filepath.Dir(path)); err != nil {
				return nil, fmt.Errorf("host key: %w", err)
			}
			missing = append(missing, path)
		} else {
			k, err := loadHostKey(path)
			if err != nil {
				return nil, fmt.Errorf("host key: %w", err)
			}
			kind = k.PublicKey().Type()
		}
		if err := alone(from, kind, path); err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// mayWrite fails where nothing can be made in a folder, or for it.
func mayWrite(dir string) error {
	switch err := unix.Access(dir, unix.W_OK); {
	case err == unix.ENOENT && dir != filepath.Dir(dir):
		return mayWrite(filepath.Dir(dir))
	case err != nil:
		return &os.PathError{Op: "writing to", Path: dir, Err: err}
	}
	return nil
}

// toMake reports whether a key is not there and may be made.
func toMake(path string) bool {
	_, err := os.Stat(path)
	return filepath.Base(path) == made && errors.Is(err, fs.ErrNotExist)
}

func loadHostKey(path string) (ssh.Signer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Uid != 0 && st.Uid != uint32(unix.Geteuid()) || st.Mode&0o077 != 0 || st.Size > 1<<16 {
		return nil, fmt.Errorf("%s: %w: uid %d, mode %04o", path, errLoose, st.Uid, st.Mode&0o7777)
	}
	b := make([]byte, st.Size)
	defer clear(b)
	n, err := f.ReadAt(b, 0)
	if n != len(b) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	k, err := ssh.ParsePrivateKey(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := sound(k.PublicKey()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// MakeHostKeys makes the keys that may be made and are not there: those named
// ssh_host_ed25519_key. It returns the paths of the new ones. Two programs that
// start at once agree on one key, and no reader sees half of it.
func MakeHostKeys(paths []string) (fresh []string, err error) {
	for _, path := range paths {
		if !toMake(path) {
			continue
		}
		switch err := makeHostKey(path); {
		case errors.Is(err, fs.ErrExist): // somebody was faster
		case err != nil:
			return fresh, fmt.Errorf("making a host key: %w", err)
		default:
			fresh = append(fresh, path)
		}
	}
	return fresh, nil
}

func makeHostKey(path string) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(key, "ksd-sshd")
	if err != nil {
		return err
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := writeOnce(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return err
	}
	// Without the public half everything works: it is for administrators.
	_ = writeOnce(path+".pub", ssh.MarshalAuthorizedKey(public), 0o644)
	return nil
}

// writeOnce makes a file appear whole, or fails with fs.ErrExist.
func writeOnce(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".ksd-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

// Sign signs an exchange hash with a host key.
func (m *Monitor) Sign(_ context.Context, s link.Sign) (link.Signature, error) {
	if n := len(s.Data); n != 32 && n != 48 && n != 64 {
		return link.Signature{}, fmt.Errorf("%w: %d bytes to sign", link.ErrProtocol, n)
	}
	if s.Key < 0 || s.Key >= len(m.o.HostKeys) {
		return link.Signature{}, fmt.Errorf("%w: no host key %d", link.ErrProtocol, s.Key)
	}
	signer, ok := m.o.HostKeys[s.Key].(ssh.AlgorithmSigner)
	if !ok {
		return link.Signature{}, link.Failed
	}
	if s.Algorithm == ssh.KeyAlgoRSA {
		return link.Signature{}, link.Refused // SHA-1
	}
	sig, err := signer.SignWithAlgorithm(rand.Reader, s.Data, s.Algorithm)
	if err != nil {
		m.o.Log.Debug("host key", "error", err)
		return link.Signature{}, link.Refused
	}
	return link.Signature{Format: sig.Format, Blob: sig.Blob}, nil
}

// Fingerprint is how people know a host key.
func Fingerprint(k ssh.Signer) string { return ssh.FingerprintSHA256(k.PublicKey()) }
