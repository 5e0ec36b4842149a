package main

import (
	"context"
	"fmt"
	"time"

	"ksd/internal/cli"
	"ksd/internal/wire"
)

var usersCommand = command{
	name: "users", args: "[USER] [--json]", summary: "who is enrolled, and how it goes with them", most: 1,
	detail: `Typings are those that count: of the sittings, and after a + those that joined
at logins. With USER it says since when, what waits to join, and whether it is
asked for texts made of words.
`,
	run: func(ctx context.Context, q request) (int, error) {
		people, err := people(ctx, q)
		if err != nil {
			return 0, err
		}
		if q.json {
			return q.env.JSON(people), nil
		}
		if len(people) == 0 {
			q.env.Info("nobody is enrolled")
			return cli.ExitOK, nil
		}
		var rows [][]string
		for _, p := range people {
			rows = append(rows, personRow(p, q.env.Now()))
		}
		cli.Table(q.env.Stdout, []string{"user", "state", "typings>", "sittings>", "captured", "head", "recognised", "refused>"}, rows)
		if len(q.words) > 0 {
			tellKind(q.env, people[0])
			tellGrowth(q.env, people[0])
		}
		return cli.ExitOK, nil
	},
}

// people asks for one person or for all; the list is never nil.
func people(ctx context.Context, q request) ([]wire.Person, error) {
	if len(q.words) == 0 {
		all, err := q.client.Users(ctx)
		return append([]wire.Person{}, all...), err
	}
	p, err := q.client.User(ctx, q.words[0])
	if err == nil {
		err = cli.Held(p)
	}
	return []wire.Person{p}, err
}

func personRow(p wire.Person, now time.Time) []string {
	state, head := "enrolled", "no"
	switch {
	case p.LockedUntil.After(now):
		state = "locked until " + p.LockedUntil.Local().Format("15:04:05")
	case !p.Enrolled:
		state = "too few typings"
	}
	if p.Trained {
		head = "yes"
	}
	return []string{p.User, state, counted(p), fmt.Sprint(p.Sittings), p.Channel, head, moment(p.Last), fmt.Sprint(p.Failures)}
}

// counted returns how many typings count, and how many of them grew.
func counted(p wire.Person) string {
	if p.Grown == 0 {
		return fmt.Sprint(p.Samples)
	}
	return fmt.Sprintf("%d+%d", p.Samples, p.Grown)
}

// tellKind says what the person is asked for, where that is not a phrase or
// ought not to be.
func tellKind(env cli.Env, p wire.Person) {
	switch {
	case p.Words:
		env.Info("%s is asked for new texts made of the words of its phrases", p.User)
	case p.FewWords:
		env.Info("%s is asked for its phrases: their words make too few texts", p.User)
	}
}

// tellGrowth says what joined since the enrolment, if anything did or waits to.
func tellGrowth(env cli.Env, p wire.Person) {
	if p.Grown > 0 {
		env.Info("%s joined at logins, the oldest of them on %s", typings(p.Grown), moment(p.GrownSince))
	}
	if p.Waiting > 0 {
		env.Info("%s of the last login will join once the next login is accepted too", typings(p.Waiting))
	}
}

// moment shows a time in the zone of the machine, "" if there is none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
