package monitor

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// Checking host keys finds what making and loading them would, and makes none.
func TestCheckHostKeys(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/" + made
	check := func(want string, missing int, paths ...string) {
		t.Helper()
		got, err := CheckHostKeys(paths)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || err == nil && len(got) != missing {
			t.Errorf("%q: %v, %v, want %d missing, %q", paths, got, err, missing, want)
		}
	}
	check("", 1, path)
	check("no such file", 0, dir+"/other")
	check("both of type", 0, path, dir+"/more/"+made)
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("it made %v, %v", names, err)
	}
	if fresh, err := MakeHostKeys([]string{path}); err != nil || len(fresh) != 1 {
		t.Fatal(fresh, err)
	}
	check("", 0, path)
	check("both of type", 0, path, dir+"/more/"+made)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	check(errLoose.Error(), 0, path)
}

// An empty folder that is not there is to be made, not by checking.
func TestCheckEmpty(t *testing.T) {
	dir := t.TempDir() + "/empty"
	if err := CheckEmpty(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("checking made it: %v", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("the folder is to be root's")
	}
	for range 2 {
		if err := MakeEmpty(dir); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MakeEmpty(dir); !errors.Is(err, errLoose) {
		t.Errorf("with a file: %v", err)
	}
}
