package daemon

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/ngproto"
)

// TestScrapeOfAThousandCalls holds what a scrape costs and what it shows against real calls. Each has four legs.
func TestScrapeOfAThousandCalls(t *testing.T) {
	r := start(t, "")
	const calls = 1000
	for i := range calls {
		r.offer(t, "call "+strconv.Itoa(i))
	}
	if err := r.calls.Terminate("call 0"); err != nil {
		t.Fatal(err)
	}
	best := time.Hour // of several, since other work may hold up any of them
	var text string
	for range 5 {
		began := time.Now()
		var status int
		if status, text = r.get(t, "/metrics"); status != http.StatusOK {
			t.Fatalf("status %d: %s", status, text)
		}
		best = min(best, time.Since(began))
	}
	if best > time.Second {
		t.Errorf("a scrape takes %v", best)
	}
	for _, want := range []string{
		`rtpengine_sessions{type="own"} 999`,
		`rtpengine_closed_sessions_total{reason="force_terminated"} 1`,
		`rtpengine_zero_packet_streams_total 1`,
		`weir_objects{kind="legs"} 3996`,
		`weir_legs_not_in_kernel{reason="muted"} 999`, // of the party that has not answered
		`weir_ports{address="127.0.0.1",name="default",state="used"} 3996`,
		`weir_draining 0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("missing %s", want)
		}
	}
}

func TestStatisticsOverHTTPAreTheTree(t *testing.T) {
	r := start(t, "")
	r.offer(t, "one")
	status, text := r.get(t, "/statistics")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, text)
	}
	msg, err := ngproto.ParsePlain([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := msg.Dict.Dict("currentstatistics").Int("sessionsown"); n != 1 {
		t.Errorf("%d calls, want 1, in %s", n, text)
	}
}
