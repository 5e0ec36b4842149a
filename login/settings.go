package login

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"ksd/conf"
)

// ErrUntrusted is the fact that somebody other than root could have written a
// file that the gate goes by.
var ErrUntrusted = errors.New("others than root may change it")

// settings are what the gate takes from ksd.toml.
type settings struct {
	socket     string
	shell      string   // path of the real shell
	breakglass []string // accounts let in while nobody listens
}

// readSettings reads the configuration at path. With an error, and where there
// is no such file, the settings are the defaults, which let nobody in by
// themselves.
func readSettings(path string) (settings, error) {
	c := conf.Default()
	data, err := readTrusted(path, conf.MaxSize)
	if err == nil {
		var read conf.Config
		if read, err = conf.Parse(path, data); err == nil {
			c = read
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return settings{c.Daemon.LoginSocket, c.Login.Shell, c.Login.Breakglass}, err
}

// readTrusted reads a file of at most limit bytes that nobody but root can have
// changed: it and every folder above it belong to root, and nobody else may
// write to them. In a folder with the sticky bit others may not replace it.
func readTrusted(path string, limit int64) ([]byte, error) {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return nil, err
		}
		if !rootsAlone(info, info.Mode()&fs.ModeSticky != 0) {
			return nil, fmt.Errorf("%s: %w", dir, ErrUntrusted)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe without a writer would hold us
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || !rootsAlone(info, false) {
		return nil, fmt.Errorf("%s: %w", path, ErrUntrusted)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s: above %d bytes", path, limit)
	}
	return data, err
}

// rootsAlone reports whether a file belongs to root and nobody else may write
// to it; shared says that others may.
func rootsAlone(info fs.FileInfo, shared bool) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && s.Uid == 0 && (shared || info.Mode().Perm()&0o022 == 0)
}
