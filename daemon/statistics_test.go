package daemon

import (
	"testing"
	"time"

	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/ngproto"
)

func TestControlStatisticsSumOverClients(t *testing.T) {
	ping := func(n uint64) map[string]counts.Requests {
		return map[string]counts.Requests{string(ngproto.Ping): {Count: n, Time: 1500 * time.Millisecond}}
	}
	tree := controlStatistics([]counts.Client{
		{Address: "192.0.2.2", Requests: ping(3), Errors: 1}, {Address: "192.0.2.1", Requests: ping(4), Errors: 2},
	})
	if n, _ := tree.Int("totalpingcount"); n != 7 {
		t.Errorf("%d pings in all, want 7", n)
	}
	if n, _ := tree.Int("totalerrorcount"); n != 3 {
		t.Errorf("%d errors in all, want 3", n)
	}
	first := tree.List("proxies")[0].Dict()
	if n, _ := first.Int("pingcount"); first.Text("proxy") != "192.0.2.1" || n != 4 || first.Text("pingduration") != "1.500000" {
		t.Errorf("the first client is %v", first)
	}
	for _, command := range ngproto.Commands() {
		if key := "total" + lowered(command) + "count"; !tree.Has(key) {
			t.Errorf("%s is missing", key)
		}
	}
}

func TestSoftwareIDHasSafeCharacters(t *testing.T) {
	for in, want := range map[string]string{"": "rtpengine-1-2", "My proxy/7": "My-proxy-7"} {
		if got := softwareID(in, "1.2"); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
