// Command ksdctl is the administrator's hand on ksd: what the daemon does, whom
// it knows, how well its model is, and samples in and out.
//
// Every subcommand is one entry of the table in commands.go and one file. All
// take --json and -socket; "ksdctl help" lists them and the exit codes.
package main

import "ksd/internal/cli"

func main() { cli.Main("ksdctl", run) }
