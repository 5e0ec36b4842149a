package main

import (
	"context"
	"fmt"
	"time"

	"ksd/internal/cli"
	"ksd/internal/wire"
)

var statusCommand = command{
	name: "status", args: "[--json]", summary: "how the daemon is and what it is doing",
	run: func(ctx context.Context, q request) (int, error) {
		s, err := q.client.Status(ctx)
		if err != nil {
			return 0, err
		}
		if q.json {
			return q.env.JSON(s), nil
		}
		rows := [][]string{{"up", (time.Duration(s.Uptime) * time.Second).String()}, {"you are", s.User}}
		if s.Admin {
			job := s.Job
			if job == "" {
				job = "nothing"
			}
			rows = append(rows, []string{"people", fmt.Sprint(s.People)}, []string{"asked for", kindLine(s)},
				[]string{"model", modelLine(s.Model)}, []string{"doing", job})
		}
		cli.Table(q.env.Stdout, []string{"ksdd", s.Version}, rows)
		return cli.ExitOK, nil
	},
}

// kindLine says what people are asked for.
func kindLine(s wire.Status) string {
	if s.FewWords == 0 {
		return s.Kind
	}
	return fmt.Sprintf("%s; too few of them for %d, who are asked for phrases", s.Kind, s.FewWords)
}
