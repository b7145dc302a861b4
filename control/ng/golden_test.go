package ng_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/ng"
	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/internal/golden"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/ngproto"
)

const (
	goldenDir = "testdata/golden"
	// lastRule is the highest number of the rules about what stands in a description beside ICE, keys and bundles.
	lastRule = 102
)

// goldenDispatcher is the proxy that the golden files are written for.
func goldenDispatcher(t *testing.T) *ng.Dispatcher {
	t.Helper()
	address := func(ip, advertised string) media.Address {
		return media.Address{
			IP: netip.MustParseAddr(ip), Advertised: netip.MustParseAddr(advertised), PortMin: 46000, PortMax: 47999,
		}
	}
	plane, err := media.New(media.Config{
		Interfaces: []media.Interface{
			{Name: "pub", Addresses: []media.Address{
				address(golden.PubIP4, golden.PubAdvertised4), address(golden.PubIP6, golden.PubAdvertised6),
			}},
			{Name: "priv", Addresses: []media.Address{address(golden.PrivIP4, golden.PrivAdvertised4)}},
		},
		Workers: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	certificates, err := dtls.NewCertificates(dtls.CertificateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	calls := call.NewManager(call.Config{Plane: plane, MaxSessions: -1, Certificates: certificates})
	t.Cleanup(func() {
		calls.Close()
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	return ng.NewDispatcher(ng.Config{Calls: calls})
}

func TestGoldenPairs(t *testing.T) {
	d := goldenDispatcher(t)
	for _, enc := range []ngproto.Encoding{ngproto.Bencode, ngproto.JSON} {
		t.Run(enc.String(), func(t *testing.T) {
			golden.Replay(t, goldenDir, func(t *testing.T, request ngproto.Dict) ngproto.Dict {
				t.Helper()
				reply, err := ngproto.ParsePlain(d.Plain(ngproto.Encode(request, enc)))
				if err != nil {
					t.Fatal(err)
				}
				return reply.Dict
			})
		})
	}
}

// TestEveryRuleHasAPairOrAReason wants a golden file for every rule, or a line that says why there is none.
func TestEveryRuleHasAPairOrAReason(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	paired := make(map[string]string)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rule := regexp.MustCompile(`^SDP-\d{3}`).FindString(filepath.Base(file))
		if rule == "" || !strings.HasPrefix(string(text), rule+" ") {
			t.Errorf("%s: name and text must begin with the same rule", file)
		}
		paired[rule] = file
	}
	text, err := os.ReadFile(filepath.Join(goldenDir, "without-pair.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	reasons := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		rule, reason, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok || reason == "" {
			t.Errorf("%q: want a rule, a tab and a reason", line)
		}
		reasons[rule] = reason
	}
	for n := range lastRule {
		rule := fmt.Sprintf("SDP-%03d", n+1)
		switch {
		case paired[rule] == "" && reasons[rule] == "":
			t.Errorf("%s has neither a golden file nor a reason in without-pair.tsv", rule)
		case paired[rule] != "" && reasons[rule] != "":
			t.Errorf("%s has %s: take its line out of without-pair.tsv", rule, paired[rule])
		case reasons[rule] != "":
			t.Logf("%s has no pair: %s", rule, reasons[rule])
		}
	}
}
