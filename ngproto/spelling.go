package ngproto

import "strings"

// spellings returns every form in which a name may be written: with hyphens, blanks or underscores between its words,
// and as given.
func spellings(name string) []string {
	forms := []string{name}
	for _, sep := range []string{"-", " ", "_"} {
		form := strings.NewReplacer("-", sep, " ", sep, "_", sep).Replace(name)
		if form != name {
			forms = append(forms, form)
		}
	}
	return forms
}

// row is one line of a spelling table: alternatives separated by "|", and what they stand for.
type row[T any] struct {
	names string
	what  T
}

// table indexes rows by all of their spellings. A table is filled once at start and only read afterwards.
func table[T any](rows []row[T]) map[string]T {
	index := make(map[string]T, 4*len(rows))
	for _, r := range rows {
		for name := range strings.SplitSeq(r.names, "|") {
			for _, form := range spellings(name) {
				index[form] = r.what
			}
		}
	}
	return index
}
