package arch

import (
	"maps"
	"strings"
	"testing"
	"testing/fstest"
)

// A small tree that keeps every rule, and its table.
var (
	small = map[string]string{
		"go.mod":             "module m\n\nrequire x.org/y v1.0.0 // not replaced\n",
		"cmd/a/main.go":      "// Command a is the program.\npackage main\n\nimport \"m/mid\"\n\nfunc main() { mid.F() }\n",
		"mid/mid.go":         "// Package mid is in the middle.\npackage mid\n\nimport (\n\t\"os\"\n\t\"time\"\n\n\t\"x.org/y/z\"\n\n\t\"m/low\"\n)\n\nfunc F() { low.F(); z.F(); time.Now(); os.Exit(0) }\n",
		"mid/mid_test.go":    "package mid\n\nimport _ \"m/fake\"\n",
		"mid/testdata/x.go":  "no Go at all",
		"low/low.go":         "// Package low is pure.\npackage low\n\nimport \"time\"\n\nfunc F() time.Duration { return time.Second }\n",
		"low/low_test.go":    "// Package low is pure.\npackage low\n\nimport \"os\"\n\nvar _ = os.Exit\n",
		"fake/fake.go":       "// Package fake is for tests.\npackage fake\n\nimport _ \"m/mid\"\n",
		"only/only_test.go":  "// Package only has tests alone.\npackage only\n",
		"tools/go.mod":       "module tools\n",
		"tools/tools.go":     "package tools\n",
		".hidden/hidden.go":  "package hidden\n",
		"secret/secret.go":   "// Package secret is kept from logins.\npackage secret\n",
		"low/migrations.sql": strings.Repeat("--\n", maxFile),
	}
	smallTable = []row{
		{"cmd/a", []string{"mid"}, nil, plain, "r"},
		{"only", nil, nil, plain, "r"},
		{"fake", []string{"mid"}, nil, testOnly, "r"},
		{"mid", []string{"low", "secret"}, []string{"x.org/y"}, plain, "r"},
		{"secret", nil, nil, plain, "r"},
		{"low", nil, nil, pure, "r"},
	}
)

// Each case changes one file of the small tree, "" to take it away, or the
// table, and must be found with these words; the first changes nothing.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		table            func([]row)
		want             []string
	}{
		{name: "nothing"},
		{"import that is not allowed", "cmd/a/b.go", "package main\n\nimport _ \"m/low\"\n", nil, []string{"cmd/a/b.go imports low, which the row of cmd/a does not allow"}},
		{"package without a row", "new/new.go", "// Package new is new.\npackage new\n", nil, []string{"new has no row"}},
		{"row without a package", "", "", func(r []row) { r[3].imports = nil; r[4].name = "gone" }, []string{"row for gone", "secret has no row", "mid/mid.go imports low"}},
		{"row that allows what is not there", "", "", func(r []row) { r[0].imports = []string{"mid", "gone"} }, []string{"allows gone, which has no row"}},
		{"two rows", "", "", func(r []row) { r[4] = r[5] }, []string{"low has two rows", "allows secret, which has no row", "secret has no row"}},
		{"no reason", "", "", func(r []row) { r[5].reason = "" }, []string{"low has no reason"}},
		{"arrow that points up", "", "", func(r []row) { r[4].imports = []string{"mid"} }, []string{"allows mid, which is not below it"}},
		{"arrow to itself", "", "", func(r []row) { r[4].imports = []string{"secret"} }, []string{"allows secret, which is not below it"}},
		{"pure on impure", "", "", func(r []row) { r[3].kind = pure }, []string{"pure mid allows secret", `mid/mid.go imports "os"`, "calls time.Now"}},
		{"row that allows a test package", "", "", func(r []row) { r[0].imports = []string{"fake", "mid"} }, []string{"cmd/a allows fake, which is for tests only"}},
		{"test package in a program", "cmd/a/b.go", "package main\n\nimport _ \"m/fake\"\n", nil, []string{"imports fake, which is for tests only"}},
		{"module that is not allowed", "low/b.go", "package low\n\nimport _ \"x.org/y\"\n", nil, []string{"low/b.go uses x.org/y"}},
		{"module with a like name", "mid/b.go", "package mid\n\nimport _ \"x.org/yy\"\n", nil, []string{"mid/b.go uses x.org/yy"}},
		{"C", "mid/b.go", "package mid\n\nimport \"C\"\n", nil, []string{"mid/b.go uses C"}},
		{"files in a pure package", "low/b.go", "package low\n\nimport _ \"os/exec\"\n", nil, []string{`low/b.go imports "os/exec"`}},
		{"network in a pure package", "low/b.go", "package low\n\nimport _ \"net/http\"\n", nil, []string{`low/b.go imports "net/http"`}},
		{"database in a pure package", "low/b.go", "package low\n\nimport _ \"database/sql\"\n", nil, []string{`low/b.go imports "database/sql"`}},
		{"clock in a pure package", "low/b.go", "package low\n\nimport \"time\"\n\nvar _ = time.Now\n", nil, []string{"low/b.go:5:9 calls time.Now"}},
		{"build tag", "low/b.go", "//go:build windows\n\npackage low\n\nimport _ \"os\"\n", nil, []string{`low/b.go imports "os"`}},
		{"comment not on the clause", "low/low.go", "// Package low is pure.\n\npackage low\n", nil, []string{"low has no package comment"}},
		{"tests alone without a comment", "only/only_test.go", "package only\n", nil, []string{"only has no package comment"}},
		{"comment in a test", "low/low.go", "package low\n", nil, []string{"low has no package comment"}},
		{"comment about another", "low/low.go", "// Package high is pure.\npackage low\n", nil, []string{`does not begin with "Package low "`}},
		{"main without a comment", "cmd/a/main.go", "package main\n\nfunc main() {}\n", nil, []string{"cmd/a has no package comment"}},
		{"long main", "cmd/a/main.go", small["cmd/a/main.go"] + strings.Repeat("//\n", maxMain), nil, []string{"cmd/a/main.go has 36 lines, at most 30"}},
		{"long file", "low/b.go", "package low\n" + strings.Repeat("\n", maxFile), nil, []string{"low/b.go has 501 lines, at most 500"}},
		{"long C file", "low/b.c", strings.Repeat("\n", maxFile+1), nil, []string{"low/b.c has 501 lines"}},
		{"replace", "go.mod", "module m\n\nreplace x => ../x\n", nil, []string{"go.mod has a replace"}},
		{"replace in a block", "tools/go.mod", "module tools\n\nreplace (\n\tx => ../x\n)\n", nil, []string{"tools/go.mod has a replace"}},
		{"secret in a login program", "mid/b.go", "package mid\n\nimport _ \"m/secret\"\n", nil, []string{"cmd/a links secret (through mid)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := maps.Clone(small)
			if c.file != "" {
				files[c.file] = c.text
			}
			fsys := fstest.MapFS{}
			for name, text := range files {
				fsys[name] = &fstest.MapFile{Data: []byte(text)}
			}
			tr, err := load(fsys)
			if err != nil {
				t.Fatal(err)
			}
			rows := append([]row(nil), smallTable...)
			if c.table != nil {
				c.table(rows)
			}
			got := violations(tr, rows, []string{"cmd/a"}, []string{"secret"})
			for _, want := range c.want {
				if !strings.Contains(strings.Join(got, "\n"), want) {
					t.Errorf("%q was not found", want)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("%d violations, want %d:\n%s", len(got), len(c.want), strings.Join(got, "\n"))
			}
		})
	}
}

func TestNoTree(t *testing.T) {
	for name, fsys := range map[string]fstest.MapFS{
		"empty":     {},
		"no module": {"go.mod": {Data: []byte("go 1.26\n")}},
		"not Go":    {"go.mod": {Data: []byte("module m\n")}, "a.go": {Data: []byte("no Go")}},
	} {
		if _, err := load(fsys); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
