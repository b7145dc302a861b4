package golden

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-media/weir/ngproto"
)

// The proxy that the files of control/ng are written for: two interfaces, the first with both families, each address
// advertised as another, so that nothing in a file depends on the host.
const (
	PubIP4, PubAdvertised4   = "127.0.0.1", "203.0.113.1"
	PubIP6, PubAdvertised6   = "::1", "2001:db8::1"
	PrivIP4, PrivAdvertised4 = "127.0.0.2", "10.20.30.40"
)

// Replay plays every file below dir as a subtest with a call of its own. ask sends one request and returns the reply. Calls
// are deleted afterwards.
func Replay(t *testing.T, dir string, ask func(t *testing.T, request ngproto.Dict) ngproto.Dict) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files in %s: %v", dir, err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse(string(text))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				ask(t, ngproto.Dict{
					{Key: "command", Value: ngproto.String("delete")}, {Key: "call-id", Value: ngproto.String(name)},
					{Key: "delete delay", Value: ngproto.Int(0)},
				})
			})
			var seen Bindings
			for i, s := range c.Steps {
				if err := s.Check(ask(t, s.Request(name, &seen)), &seen); err != nil {
					t.Fatalf("%s\nstep %d, %s: %v", c.Title, i+1, s.Command, err)
				}
			}
		})
	}
}
