package graphite

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/media"
)

// moment returns the counts of a daemon after n seconds, in each of which everything happens n times more often.
func moment(n uint64) *counts.Snapshot {
	s := &counts.Snapshot{
		Commands: []string{"offer", "start recording"},
		Clients: []counts.Client{{Address: "192.0.2.1", Requests: map[string]counts.Requests{
			"offer": {Count: n * n, Time: time.Duration(n) * time.Second},
		}}},
		Times: map[string]counts.Times{"offer": {Shortest: time.Duration(n) * time.Millisecond, Longest: time.Duration(40-10*n) * time.Millisecond}},
		Calls: call.Stats{Live: 10 + n, Ended: n, Rejected: 3 * n, EndedBy: map[call.Reason]uint64{call.ReasonTimeout: n, call.ReasonForced: 2 * n},
			Past: call.Past{Seconds: float64(30 * n)}},
		Media:    media.Totals{Kernel: media.Counts{Packets: 100 * n, Bytes: 1000 * n}, Userspace: media.Counts{Packets: 10 * n, Bytes: 50 * n}},
		Families: call.Families{IPv4: 7, IPv6: 2, Mixed: 1},
		Interfaces: []counts.Interface{
			{Name: "pub", Address: netip.MustParseAddr("192.0.2.7"), Pool: media.PoolStats{Free: 5, Used: 6}},
		},
	}
	s.Media.Drops[media.DropSend] = 4 * n
	return s
}

// rig runs a pusher whose seconds the test counts.
type rig struct {
	t    *testing.T
	l    net.Listener
	tick chan time.Time
	n    uint64
}

func newRig(t *testing.T, interval time.Duration) *rig {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, l: l, tick: make(chan time.Time)}
	p := New(Config{Address: l.Addr().String(), Prefix: "weir.", Interval: interval, Timeout: time.Second, Log: slog.New(slog.DiscardHandler),
		Snapshot: func() *counts.Snapshot {
			s := moment(r.n)
			r.n++
			return s
		}, tick: r.tick})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		p.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		l.Close()
	})
	return r
}

// lines accepts a connection and returns those of one interval of n seconds, up to the last.
func (r *rig) lines(conn net.Conn) map[string]string {
	r.t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	in, got := bufio.NewScanner(conn), make(map[string]string)
	for in.Scan() {
		fields := strings.Fields(in.Text())
		if len(fields) != 3 || fields[2] != "1000" {
			r.t.Fatalf("a line is %q", in.Text())
		}
		got[fields[0]] = fields[1]
		if strings.HasPrefix(fields[0], "weir.ports_used_") {
			return got
		}
	}
	r.t.Fatalf("the connection ends after %d lines: %v", len(got), in.Err())
	return nil
}

func (r *rig) accept() net.Conn {
	r.t.Helper()
	conn, err := r.l.Accept()
	if err != nil {
		r.t.Fatal(err)
	}
	return conn
}

func TestLinesOfAnInterval(t *testing.T) {
	r := newRig(t, 3*time.Second)
	for range 3 {
		r.tick <- time.Unix(1000, 0)
	}
	conn := r.accept()
	defer conn.Close()
	got := r.lines(conn)
	for name, want := range map[string]string{
		"offer_time_min": "0.001000", "offer_time_max": "0.030000", "offer_time_avg": "0.333333", "offer_count": "9",
		"offers_ps_min": "1", "offers_ps_max": "5", "offers_ps_avg": "3", "start_recordings_ps_max": "0",
		"call_dur": "90.000000", "average_call_dur": "30.000000", "forced_term_sess": "6", "managed_sess": "3", "managed_sess_min": "10",
		"managed_sess_max": "13", "current_sessions_total": "13", "current_sessions_ipv4": "7", "current_sessions_mixed": "1",
		"relayed_packets_kernel": "300", "relayed_bytes_user": "150", "relayed_packets": "330", "relayed_errors": "12", "timeout_sess": "3",
		"reject_sess": "9", "ports_free_pub_192.0.2.7": "10", "ports_used_pub_192.0.2.7": "12",
	} {
		if got["weir."+name] != want {
			t.Errorf("%s is %q, want %q", name, got["weir."+name], want)
		}
	}
	// Every name of rtpengine's is there, but for those of conversions, of which there are none.
	names, err := os.ReadFile("testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.Lines(string(names)) {
		name = strings.TrimSpace(name)
		if strings.HasPrefix(name, "transcoder_") {
			continue
		}
		pattern := "^weir\\." + strings.NewReplacer("<command>", "offer", "<interface>", "pub", "<address>", "192[.]0[.]2[.]7").Replace(name) + "$"
		if re := regexp.MustCompile(pattern); !contains(got, re) {
			t.Errorf("%s is missing", name)
		}
	}
}

func contains(got map[string]string, re *regexp.Regexp) bool {
	for name := range got {
		if re.MatchString(name) {
			return true
		}
	}
	return false
}

func TestServerThatComesBack(t *testing.T) {
	r := newRig(t, time.Second)
	r.tick <- time.Unix(1000, 0)
	conn := r.accept()
	r.lines(conn)
	conn.Close()
	// The first lines after that are lost at the latest when the system knows; then there is another connection.
	accepted := make(chan net.Conn)
	go func() { accepted <- r.accept() }()
	for deadline := time.After(20 * time.Second); ; {
		select {
		case r.tick <- time.Unix(1000, 0):
		case conn = <-accepted:
			defer conn.Close()
			if got := r.lines(conn); got["weir.relayed_packets_kernel"] != "100" {
				t.Errorf("the interval has %s packets, want 100", got["weir.relayed_packets_kernel"])
			}
			return
		case <-deadline:
			t.Fatal("no other connection")
		}
	}
}
