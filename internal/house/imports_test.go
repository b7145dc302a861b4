package house

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/weir-media/weir"

// mayImport says which of our packages a package may import, outside its tests. A name ending in /* stands for the
// packages below it that have no row of their own. The order is the direction: down, never up, never sideways.
var mayImport = map[string][]string{
	"rtp": {}, "sdp": {}, "ngproto": {}, "fastpath": {}, "ice": {}, "dtls": {}, "nexthop": {},
	"srtp":        {"rtp"},
	"codec":       {"rtp"},
	"media":       {"rtp", "srtp", "ice", "dtls", "codec", "fastpath", "nexthop"},
	"recording":   {"rtp", "codec", "media"},
	"call":        {"sdp", "media", "rtp", "codec", "srtp", "ice", "dtls"},
	"store":       {"call"},
	"store/redis": {},
	"control/ng":  {"call", "ngproto", "media", "sdp", "control/socket", "control/cookie", "control/outbox"},
	"control/cli": {"control/counts", "call", "media", "recording"},

	"control/socket": {}, "control/cookie": {}, "control/outbox": {},
	"control/rtpproxy":   {"call", "media", "recording", "control/socket", "control/cookie"},
	"control/mediaproxy": {"call", "media", "control/socket"},
	"control/*":          {"call", "media"},

	"control/counts":   {"call", "media", "fastpath"}, // what the others show
	"control/metrics":  {"control/counts", "call", "media", "fastpath"},
	"control/graphite": {"control/counts", "call"},
	"control/dtmf":     {"call", "control/outbox"},
	"control/homer":    {"control/outbox", "control/rtcptext"},
	"control/rtcptext": {"rtp"},
	"control/syslog":   {"control/outbox"},
	"control/cdr":      {"call", "media"},
	"control/mqtt":     {"call", "media", "sdp", "control/outbox"},
	"daemon": {"rtp", "sdp", "ngproto", "fastpath", "ice", "dtls", "srtp", "codec", "media", "recording", "call",
		"store", "store/redis", "control/*", "daemon/ui"},
	"daemon/doctor": {}, "daemon/ui": {},
	"cmd/*": {"daemon", "daemon/doctor", "control/cli", "ngproto"},
	// Test helpers and the bench. Nothing else imports them outside its tests.
	"internal/*":     {"internal/*", "ngproto"},
	"internal/bench": {"internal/*", "srtp", "dtls", "ice", "fastpath"}, // it plays the parties, and installs flows
}

// misdirected tells what is wrong with a package importing another; empty when nothing is.
func misdirected(pkg, other string) string {
	row, ok := mayImport[pkg]
	if !ok {
		if row, ok = mayImport[path.Dir(pkg)+"/*"]; !ok {
			return "package " + pkg + " has no row in the import table: decide what it may import and add one"
		}
	}
	if slices.Contains(row, other) || slices.Contains(row, path.Dir(other)+"/*") {
		return ""
	}
	return pkg + " must not import " + other
}

func TestImportsGoDownward(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		for _, spec := range s.syntax.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if other, ours := strings.CutPrefix(name, module+"/"); ours {
				if why := misdirected(s.pkg(), other); why != "" {
					t.Errorf("%s: %s", s.name, why)
				}
			}
		}
	}
}

func TestImportRule(t *testing.T) {
	for _, c := range []struct {
		name, pkg, other string
		allowed          bool
	}{
		{"down", "call", "media", true},
		{"down from a package without a row of its own", "control/janus", "call", true},
		{"the daemon wires every way in", "daemon", "control/janus", true},
		{"bench and rig", "internal/bench", "internal/netrig", true},
		{"up", "media", "call", false},
		{"sideways between leaves", "sdp", "rtp", false},
		{"sideways between ways in", "control/ng", "control/cli", false},
		{"only ng knows the ng wire language", "control/janus", "ngproto", false},
		{"past the daemon", "cmd/weir", "media", false},
		{"a test helper outside tests", "daemon", "internal/testpkt", false},
		{"a package nobody has decided about", "brandnew", "sdp", false},
		{"a package below one with a row", "media/taps", "rtp", false},
	} {
		if why := misdirected(c.pkg, c.other); (why == "") != c.allowed {
			t.Errorf("%s: %s importing %s: got %q", c.name, c.pkg, c.other, why)
		}
	}
}
