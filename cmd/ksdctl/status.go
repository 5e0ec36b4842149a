package main

import (
	"context"
	"fmt"
	"time"

	"ksd/internal/cli"
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
			rows = append(rows, []string{"people", fmt.Sprint(s.People)}, []string{"model", modelLine(s.Model)}, []string{"doing", job})
		}
		cli.Table(q.env.Stdout, []string{"ksdd", s.Version}, rows)
		return cli.ExitOK, nil
	},
}
