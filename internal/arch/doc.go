// Package arch is the test of the tree's own shape: which package may import
// which, and a few rules that no compiler keeps. The table is in arch_test.go
// and is the truth about the layout; tree_test.go reads the tree and holds it
// against the table.
package arch
