package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"ksd/internal/keystroke"
	"ksd/internal/model"
)

// Verifier judges samples: *model.Verifier, or a test's own.
type Verifier interface {
	Score(person string, s keystroke.Sample) (model.Score, error)
	Rhythm(person string, s keystroke.Sample) []model.Beat
}

// Model is the part of package model that the daemon works with, as functions,
// so that tests of the daemon can bring judgements of their own.
type Model struct {
	NewVerifier func(people []model.Person, file *model.File) (Verifier, error)
	Unlike      func(s keystroke.Sample, earlier []keystroke.Sample) bool
	Retrain     func(ctx context.Context, people []model.Person, old *model.File, now time.Time, opts model.Options, progress func(model.Progress)) (*model.File, error)
	Update      func(ctx context.Context, people []model.Person, only []string, old *model.File, opts model.Options, progress func(model.Progress)) (*model.File, error)
	Encode      func(*model.File) ([]byte, error)
	Decode      func([]byte) (*model.File, error)
}

// RealModel is package model.
func RealModel() Model {
	return Model{
		NewVerifier: func(people []model.Person, file *model.File) (Verifier, error) {
			return model.NewVerifier(people, file)
		},
		Unlike:  model.Unlike,
		Retrain: model.Retrain,
		Update:  model.Update,
		Encode:  (*model.File).Encode,
		Decode:  model.Decode,
	}
}

// The model files in the state folder. A new one is written aside and renamed,
// so that there is a whole one at every moment.
const (
	modelName         = "model.ksd"
	modelAsideName    = "model.ksd.tmp"
	modelPreviousName = "model.previous.ksd"
	maxModelSize      = 256 << 20 // bytes
)

// loadModel reads the model file. Without a good one it returns nil and says
// what to do: the other scorers judge without heads then, which is no outage.
func (d *Daemon) loadModel() *model.File {
	path := filepath.Join(d.config.Load().Daemon.State, modelName)
	file, err := d.readModel(path)
	switch {
	case err == nil:
		d.world.Log.Info("model loaded", slog.String("model", short(file)), slog.Time("trained", file.Trained))
		return file
	case errors.Is(err, fs.ErrNotExist):
		d.world.Log.Info("no model yet: nobody has a head until a training has made one")
	default:
		d.world.Log.Error("model refused: nobody has a head; make a new model with ksdctl retrain, or put "+
			modelPreviousName+" in its place and restart", slog.String("path", path), slog.Any("error", err))
	}
	return nil
}

func (d *Daemon) readModel(path string) (*model.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxModelSize+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxModelSize {
		return nil, fmt.Errorf("%w: above %d bytes", model.ErrFile, maxModelSize)
	}
	return d.model.Decode(b)
}

// installModel puts a new model file in the place of the old one, which is
// kept as the previous one, and judges with it from now on.
func (d *Daemon) installModel(ctx context.Context, file *model.File) error {
	b, err := d.model.Encode(file)
	if err != nil {
		return err
	}
	folder := d.config.Load().Daemon.State
	if err := replaceModel(folder, b); err != nil {
		return err
	}
	d.learning.Lock()
	defer d.learning.Unlock()
	return d.relearn(ctx, file)
}

// replaceModel writes b aside, links the old file as the previous one, and
// renames. Killed at any point, it leaves a whole model.ksd.
func replaceModel(folder string, b []byte) error {
	aside, path := filepath.Join(folder, modelAsideName), filepath.Join(folder, modelName)
	if err := writeSynced(aside, b); err != nil {
		return err
	}
	if err := keepPrevious(folder, path); err != nil {
		return err
	}
	if err := os.Rename(aside, path); err != nil {
		return err
	}
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// keepPrevious gives the model at path the name of the previous one as well.
func keepPrevious(folder, path string) error {
	previous := filepath.Join(folder, modelPreviousName)
	if err := os.Remove(previous); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Link(path, previous); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// short returns the first 12 digits of the model's SHA-256, "" for none.
func short(file *model.File) string {
	if file == nil {
		return ""
	}
	return fmt.Sprintf("%x", file.SHA256[:6])
}
