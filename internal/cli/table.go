package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table prints rows under a head, in columns two blanks apart. A column whose
// name ends in ">" is set to the right; the sign is not printed. A cell that is
// "" is shown as "-".
func Table(w io.Writer, head []string, rows [][]string) {
	right := make([]bool, len(head))
	names := make([]string, len(head))
	widths := make([]int, len(head))
	for i, h := range head {
		names[i], right[i] = strings.CutSuffix(h, ">")
		widths[i] = utf8.RuneCountInString(names[i])
	}
	for _, row := range rows {
		for i := range row {
			row[i] = Clean(row[i])
			if row[i] == "" {
				row[i] = "-"
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	for _, row := range append([][]string{names}, rows...) {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if right[i] {
				cell, pad = pad+cell, ""
			}
			line.WriteString(cell + pad + "  ")
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}
