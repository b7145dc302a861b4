package media

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestKernelReasonsAreComplete holds the list that metrics take their labels from against the constants.
func TestKernelReasonsAreComplete(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "kernelflow.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "why") {
			return true
		}
		if word, ok := spec.Values[0].(*ast.BasicLit); ok {
			n++
			if text, err := strconv.Unquote(word.Value); err != nil || !slices.Contains(KernelReasons(), text) {
				t.Errorf("%s = %s is not in KernelReasons", spec.Names[0].Name, word.Value)
			}
		}
		return true
	})
	if n != len(KernelReasons()) {
		t.Errorf("%d constants, and %d reasons", n, len(KernelReasons()))
	}
}
