// Ksd-login is the gate before an account's shell. See package login.
package main

import (
	"os"

	"ksd/login"
)

func main() { os.Exit(login.Main()) }
