package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	maxFile = 500 // lines of a source file
	maxMain = 30  // lines of a file with func main
)

// tree is what of the source the rules look at.
type tree struct {
	module   string
	gomod    map[string]string // content of each go.mod
	packages map[string]*pkg   // by folder
	lines    map[string]int    // of each source file
}

// pkg is one package.
type pkg struct {
	name    string            // "" if it has tests alone
	doc     string            // package comment
	testDoc string            // package comment in the tests
	imports map[string]string // import path to a file that has it, tests left out
	clocks  []string          // where the wall clock is read, tests left out
	mains   map[string]int    // files with func main, and their lines
}

var sources = []string{".go", ".c", ".h", ".sql", ".sh", ".toml"}

// load reads the tree below fsys. It leaves out testdata, hidden folders and
// modules of their own.
func load(fsys fs.FS) (*tree, error) {
	tr := &tree{gomod: map[string]string{}, packages: map[string]*pkg{}, lines: map[string]int{}}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return tr.enter(fsys, name)
		}
		if !d.Type().IsRegular() || !slices.Contains(sources, path.Ext(name)) {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		tr.lines[name] = strings.Count(string(text), "\n")
		if path.Ext(name) == ".go" {
			return tr.add(name, text)
		}
		return nil
	})
	if m := regexp.MustCompile(`(?m)^module (\S+)`).FindStringSubmatch(tr.gomod["go.mod"]); m != nil {
		tr.module = m[1]
	} else if err == nil {
		err = fmt.Errorf("no go.mod with a module line")
	}
	return tr, err
}

// enter reads the go.mod of a folder, and says which folders to leave out.
func (tr *tree) enter(fsys fs.FS, name string) error {
	base := path.Base(name)
	if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata") {
		return fs.SkipDir
	}
	mod := path.Join(name, "go.mod")
	if text, err := fs.ReadFile(fsys, mod); err == nil {
		tr.gomod[mod] = string(text)
		if name != "." {
			return fs.SkipDir
		}
	}
	return nil
}

// add reads one Go file.
func (tr *tree) add(name string, text []byte) error {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(name)
	p := tr.packages[dir]
	if p == nil {
		p = &pkg{imports: map[string]string{}, mains: map[string]int{}}
		tr.packages[dir] = p
	}
	if strings.HasSuffix(name, "_test.go") {
		p.testDoc += f.Doc.Text()
		return nil
	}
	p.name = f.Name.Name
	p.doc += f.Doc.Text()
	for _, im := range f.Imports {
		to, err := strconv.Unquote(im.Path.Value)
		if err != nil {
			return err
		}
		p.imports[to] = name
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if f.Name.Name == "main" && n.Name.Name == "main" && n.Recv == nil {
				p.mains[name] = tr.lines[name]
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
				p.clocks = append(p.clocks, fmt.Sprintf("%s calls time.%s", fset.Position(n.Pos()), n.Sel.Name))
			}
		}
		return true
	})
	return nil
}

// clocks are the functions of package time that read a clock or wait for it.
var clocks = []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}

// impure are the parts of the standard library that reach out of the program.
var impure = []string{"os", "net", "syscall", "database", "log", "plugin", "testing"}

// violations holds the tree against the table. Each string tells what is wrong
// and what to do.
func violations(tr *tree, table []row, logins, secrets []string) []string {
	c := &checker{tree: tr, rows: map[string]row{}, rank: map[string]int{}}
	for i, r := range table {
		if _, twice := c.rows[r.name]; twice {
			c.say("%s has two rows: make one of them", r.name)
		}
		c.rows[r.name], c.rank[r.name] = r, i
	}
	for _, r := range table {
		c.row(r)
	}
	for dir, p := range tr.packages {
		c.pkg(dir, p)
	}
	for _, program := range logins {
		c.login(program, secrets)
	}
	for name, n := range tr.lines {
		if n > maxFile {
			c.say("%s has %d lines, at most %d: split it where its subject changes", name, n, maxFile)
		}
	}
	for name, text := range tr.gomod {
		if regexp.MustCompile(`(?m)^\s*replace\b`).MatchString(text) {
			c.say("%s has a replace: depend on the module itself, as those who import us would", name)
		}
	}
	slices.Sort(c.bad)
	return c.bad
}

type checker struct {
	*tree
	rows map[string]row
	rank map[string]int
	bad  []string
}

func (c *checker) say(format string, args ...any) {
	c.bad = append(c.bad, fmt.Sprintf(format, args...))
}

// row checks a row by itself.
func (c *checker) row(r row) {
	if r.reason == "" {
		c.say("the row of %s has no reason: say in a few words why the package is where it is", r.name)
	}
	if c.packages[r.name] == nil {
		c.say("the table has a row for %s, which is not there: take the row out", r.name)
	}
	for _, to := range r.imports {
		lower, ok := c.rows[to]
		switch {
		case !ok:
			c.say("the row of %s allows %s, which has no row: give it one or take it out", r.name, to)
		case c.rank[to] <= c.rank[r.name]:
			c.say("the row of %s allows %s, which is not below it: arrows point down, so move what both need down", r.name, to)
		case r.kind == pure && lower.kind != pure:
			c.say("the row of pure %s allows %s, which is not pure: hand over a value instead", r.name, to)
		case r.kind != testOnly && lower.kind == testOnly:
			c.say("the row of %s allows %s, which is for tests only", r.name, to)
		}
	}
}

// pkg checks a package against its row.
func (c *checker) pkg(dir string, p *pkg) {
	r, ok := c.rows[dir]
	if !ok {
		c.say("%s has no row in the table: add one, above all it imports, with the reason why it exists", dir)
		return
	}
	c.comment(dir, p)
	for file, n := range p.mains {
		if n > maxMain {
			c.say("%s has %d lines, at most %d: a main has no thoughts, so move them to a package", file, n, maxMain)
		}
	}
	for to, file := range p.imports {
		c.edge(r, to, file)
	}
	if r.kind == pure {
		for _, where := range p.clocks {
			c.say("%s: %s is pure, so let the time come in as a value", where, dir)
		}
	}
}

func (c *checker) comment(dir string, p *pkg) {
	switch start := "Package " + p.name + " "; {
	case p.name == "" && p.testDoc != "":
	case p.doc == "":
		c.say("%s has no package comment: say what it is for, above one package clause", dir)
	case p.name != "main" && !strings.HasPrefix(p.doc, start):
		c.say("the package comment of %s does not begin with %q", dir, start)
	}
}

// edge checks one import.
func (c *checker) edge(r row, to, file string) {
	first, _, _ := strings.Cut(to, "/")
	local, isLocal := strings.CutPrefix(to, c.module+"/")
	switch {
	case isLocal && c.rows[local].kind == testOnly && r.kind != testOnly:
		c.say("%s imports %s, which is for tests only: use it in a _test.go file", file, local)
	case isLocal && !slices.Contains(r.imports, local):
		c.say("%s imports %s, which the row of %s does not allow: see whether it belongs there, then add it to the row", file, local, r.name)
	case isLocal:
	case strings.Contains(first, ".") || to == "C":
		if !slices.ContainsFunc(r.modules, func(m string) bool { return to == m || strings.HasPrefix(to, m+"/") }) {
			c.say("%s uses %s, which the row of %s does not allow: every module is one more to trust, so see whether it is needed", file, to, r.name)
		}
	case r.kind == pure && slices.Contains(impure, first):
		c.say("%s imports %q, but %s is pure: let what it needs come in as a value", file, to, r.name)
	}
}

// login checks that a program does not reach any of the secrets.
func (c *checker) login(program string, secrets []string) {
	from := map[string]string{program: ""}
	for queue := []string{program}; len(queue) > 0; queue = queue[1:] {
		p := c.packages[queue[0]]
		if p == nil {
			continue
		}
		for to := range p.imports {
			local, ok := strings.CutPrefix(to, c.module+"/")
			if _, seen := from[local]; !ok || seen {
				continue
			}
			from[local] = queue[0]
			queue = append(queue, local)
			if slices.Contains(secrets, local) {
				c.say("%s links %s (through %s), and no login program may: ask the daemon through internal/wire", program, local, queue[0])
			}
		}
	}
}
