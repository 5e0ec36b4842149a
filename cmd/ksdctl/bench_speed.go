package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"ksd/internal/bench"
	"ksd/internal/cli"
	"ksd/internal/keystroke"
)

func benchSpeed(ctx context.Context, q request, _ *os.File) (int, error) {
	r, err := bench.Speed(ctx, bench.SpeedOptions{
		Channel: keystroke.Channel(q.channel), People: []int{8, cmp.Or(q.bench.people, 1000)}, Train: q.bench.Local,
		Repeat: q.bench.repeat, Seed: q.bench.Seed, Clock: q.env.Clock, Resident: resident,
	})
	if err != nil {
		return 0, err
	}
	if q.json {
		return q.env.JSON(r), nil
	}
	var rows [][]string
	for _, v := range r.Verify {
		rows = append(rows, []string{
			strconv.Itoa(v.People), fmt.Sprintf("%.0f", v.P50), fmt.Sprintf("%.0f", v.P99),
			fmt.Sprintf("%.1f", v.Allocs), fmt.Sprintf("%.0f", v.Bytes), fmt.Sprintf("%.0f", v.Resident),
		})
	}
	fmt.Fprintf(q.env.Stdout, "one verification of %d keys, %s, kernel %s\n\n", r.Keys, q.channel, r.Kernel)
	cli.Table(q.env.Stdout, []string{"people>", "p50 µs>", "p99 µs>", "allocations>", "bytes>", "resident MiB>"}, rows)
	if len(r.Retrain) == 0 {
		return cli.ExitOK, nil
	}
	rows = nil
	for _, t := range r.Retrain {
		rows = append(rows, []string{strconv.Itoa(t.People), fmt.Sprintf("%.2f", t.Seconds)})
	}
	fmt.Fprint(q.env.Stdout, "\none training\n\n")
	cli.Table(q.env.Stdout, []string{"people>", "seconds>"}, rows)
	return cli.ExitOK, nil
}

// resident returns the bytes of memory this process holds, 0 if that is unknown.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
