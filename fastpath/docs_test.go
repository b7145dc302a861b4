package fastpath

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestThePageOfTheFastPathHasEveryWayOut(t *testing.T) {
	page, err := os.ReadFile("../docs/fastpath.md")
	if os.IsNotExist(err) {
		t.Log("the documentation is not here: the tests run apart from it")
		return
	}
	check(t, err)
	for i, e := range exits {
		if row := fmt.Sprintf("| %d | %s | %s |\n", i, e.name, e.meaning); !strings.Contains(string(page), row) {
			t.Errorf("docs/fastpath.md lacks %q", row)
		}
	}
}
