// Command ksd-enroll teaches ksd the rhythm of a person's typing; see package
// enroll and "ksd-enroll -h".
package main

import (
	"ksd/enroll"
	"ksd/internal/cli"
)

func main() { cli.Main("ksd-enroll", enroll.Run) }
