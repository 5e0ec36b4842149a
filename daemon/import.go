package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ksd/internal/store"
	"ksd/internal/wire"
)

// importPeople adds finished sittings from elsewhere.
func (d *Daemon) importPeople(r request) (any, error) {
	if err := r.needAdmin(); err != nil {
		return nil, err
	}
	var in wire.Import
	if err := r.read(&in); err != nil {
		return nil, err
	}
	now := d.world.Now()
	people := make([]store.ImportPerson, 0, len(in.People))
	for _, p := range in.People {
		name, err := d.needSelf(r, p.User)
		if err != nil {
			return nil, err
		}
		p.User = name
		one, err := d.importPerson(p, now)
		if err != nil {
			return nil, err
		}
		people = append(people, one)
	}
	if err := d.record(r, "import", "", plural(len(people), "person")); err != nil {
		return nil, err
	}
	ctx := context.WithoutCancel(r.Context())
	n, err := d.store.Import(ctx, people, now)
	if errors.Is(err, store.ErrInvalid) {
		return nil, &wire.Error{Code: wire.CodeBadRequest, Message: err.Error()}
	}
	if err != nil {
		return nil, err
	}
	d.changed(ctx, "")
	return wire.ImportResult{People: len(people), Samples: n}, nil
}

// maxPhrase is the longest phrase that is imported, in bytes.
const maxPhrase = 256

// importPerson checks what is imported of one person: every line must read as
// its phrase, or it would be asked for and never be passed.
func (d *Daemon) importPerson(p wire.ImportPerson, now time.Time) (store.ImportPerson, error) {
	out := store.ImportPerson{Name: p.User, UID: -1}
	if _, uid, err := d.world.Account(p.User); err == nil {
		out.UID = int(uid)
	}
	for i, s := range p.Sittings {
		samples := make([]store.Sample, 0, len(s))
		for j, sample := range s {
			if checkName("phrase", sample.Phrase, maxPhrase) != nil || sample.Line().Text != sample.Phrase {
				return out, &wire.Error{
					Code:    wire.CodeBadRequest,
					Message: fmt.Sprintf("%s, sitting %d, sample %d: the line does not read as its phrase", p.User, i+1, j+1),
				}
			}
			samples = append(samples, store.Sample{Taken: now, Sample: sample})
		}
		out.Sittings = append(out.Sittings, samples)
	}
	return out, nil
}
