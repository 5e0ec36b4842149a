// Command ksd-try shows ksd from enrolment to verdict without installing
// anything; see package demo. "make try" builds and runs it.
package main

import (
	"ksd/demo"
	"ksd/internal/cli"
)

func main() { cli.Main("ksd-try", demo.Run) }
