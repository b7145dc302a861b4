package cli_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// newCommands returns the command lines of a manager without calls.
func newCommands(t *testing.T) (*cli.Commands, *call.Manager) {
	t.Helper()
	plane, err := media.New(media.Config{
		Interfaces: []media.Interface{{Name: "default", Addresses: []media.Address{
			{IP: netip.MustParseAddr("127.0.0.1"), PortMin: 45000, PortMax: 45999},
		}}},
		Workers: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	m := call.NewManager(call.Config{Plane: plane, MaxSessions: 7})
	t.Cleanup(func() {
		m.Close()
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	return &cli.Commands{Calls: m, Plane: plane, JSON: func() string { return "{}\n" }}, m
}

func TestCommandLines(t *testing.T) {
	c, m := newCommands(t)
	if got := c.Run("list sessions all"); got != "No sessions on this media relay.\n" {
		t.Errorf("without calls: %q", got)
	}
	desc, err := sdp.Parse(offer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Offer(&call.Request{CallID: "one", FromTag: "a", SDP: desc}); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"":                        "Incomplete command: \n",
		"list":                    "Incomplete command: \n",
		"dance":                   "Unknown command: dance\n",
		"list dances":             "Unknown command: dances\n",
		"list help":               "numsessions",
		"list numsessions":        "Current sessions ipv4 only media: 1\n",
		"get maxsessions":         "Maximum sessions configured on rtpengine: 7\n",
		"list timeout":            "TIMEOUT=60\n",
		"list silenttimeout":      "SILENT_TIMEOUT=3600\n",
		"list offertimeout":       "OFFER_TIMEOUT=3600\n",
		"list finaltimeout":       "FINAL_TIMEOUT=0\n",
		"list deletedelay":        "0\n",
		"list jsonstats":          "{}\n",
		"list totals":             " Owned sessions                                  :1\n",
		"list sessions":           "More parameters required.\n",
		"list sessions all":       "ID: " + strings.Repeat(" ", 57) + "one | del:n | creat:",
		"list sessions foreign":   "No foreign sessions on this media relay.\n",
		"list sessions one":       "--- Tag 'a', type: FROM_TAG, label '', branch '', callduration ",
		"list sessions none":      "\nCall ID not found (none).\n\n",
		"call one info":           "------ Media #1 (audio over RTP/AVP) using PCMU/8000\n-------- Port       127.0.0.1:45",
		"call none info":          "No such call 'none'\n",
		"call one":                "More parameters required.\n",
		"call one dance":          "Unknown command: dance\n",
		"  list   maxsessions   ": "Maximum sessions configured on rtpengine: 7\n",
	} {
		if got := c.Run(line); !strings.Contains(got, want) {
			t.Errorf("%q prints\n%s\nwant in it %q", line, got, want)
		}
	}
}
