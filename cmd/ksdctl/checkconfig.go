package main

import (
	"context"
	"errors"

	"ksd/conf"
	"ksd/internal/cli"
)

// defaultConfig is where the installed daemon's configuration lies.
const defaultConfig = "/etc/ksd/ksd.toml"

var checkConfigCommand = command{
	name: "check-config", args: "[FILE] [--json]", summary: "find all that is wrong with a configuration file", most: 1, local: true,
	detail: `FILE is ` + defaultConfig + ` where none is named. The daemon need not run.
Exit code 0 means that it is in order, 5 that it is not.
`,
	run: func(_ context.Context, q request) (int, error) {
		path := defaultConfig
		if len(q.words) > 0 {
			path = q.words[0]
		}
		_, err := conf.Load(path)
		var wrong conf.Errors
		switch {
		case err != nil && !errors.As(err, &wrong):
			return 0, err
		case q.json:
			if exit := q.env.JSON(append(conf.Errors{}, wrong...)); exit != cli.ExitOK {
				return exit, nil
			}
		case len(wrong) == 0:
			q.env.Info("%s is in order", path)
		}
		if len(wrong) == 0 {
			return cli.ExitOK, nil
		}
		if !q.json {
			for _, e := range wrong {
				q.env.Error("%v", e)
			}
		}
		return cli.ExitInput, nil
	},
}
