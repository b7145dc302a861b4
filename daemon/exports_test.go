package daemon

import (
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/rtp"
	"github.com/weir-media/weir/sdp"
)

func TestMistakesInExports(t *testing.T) {
	for arg, want := range map[string]string{
		"--homer=nowhere":               "--homer",
		"--homer-protocol=tls":          "neither udp nor tcp",
		"--homer-ng-capture-proto=256":  "--homer-ng-capture-proto",
		"--homer-enable-ng":             "--homer",
		"--dtmf-log-dest=7001":          "--dtmf-log-dest",
		"--log-facility-cdr=local8":     "--log-facility-cdr: \"local8\" is none of",
		"--log-facility-dtmf=something": "--log-facility-dtmf",
	} {
		if _, err := complete(t, "", arg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q", arg, err, want)
		}
	}
}

// TestLinesForSyslog places a call with a key press and a report, and reads what its three logs say.
func TestLinesForSyslog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	syslog, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer syslog.Close()
	r := startWith(t, func(o *Options) { o.Exports.syslog = path }, "",
		"--log-facility-cdr=local1", "--log-facility-rtcp=local2", "--log-facility-dtmf=local3", "--log-name=here", "--delete-delay=0")
	phone, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer phone.Close()
	describe := func(port string) *sdp.Description {
		desc, err := sdp.Parse(strings.ReplaceAll("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio "+port+
			" RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\n", "\n", "\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		return desc
	}
	_, port, _ := net.SplitHostPort(phone.LocalAddr().String())
	if _, err := r.calls.Offer(&call.Request{CallID: "one", FromTag: "a", SDP: describe(port)}); err != nil {
		t.Fatal(err)
	}
	text, err := r.calls.Answer(&call.Request{CallID: "one", FromTag: "a", ToTag: "b", SDP: describe("4000")})
	if err != nil {
		t.Fatal(err)
	}
	desc, err := sdp.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(desc.Sessions[0].Media[0].Port)}
	next := func() string {
		b := make([]byte, 8192)
		_ = syslog.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, _, err := syslog.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	expect := func(pattern string) {
		t.Helper()
		if got := next(); !regexp.MustCompile(pattern).MatchString(got) {
			t.Errorf("the line is %q, want %s", got, pattern)
		}
	}
	h := rtp.Header{PayloadType: 101, SSRC: 7, Timestamp: 800}
	e := rtp.Event{Code: 1, End: true, Volume: 10, Duration: 800}
	if _, err := phone.WriteTo(e.Append(h.Append(nil)), to); err != nil {
		t.Fatal(err)
	}
	expect(`^<158>.* here\[\d+\]: \{"callid":"one","source_tag":"a","tags":\["a","b"\],"type":"DTMF",.*"event":1,"duration":100,"volume":10\}$`)
	to.Port++
	if _, err := phone.WriteTo([]byte{0x80, 201, 0, 1, 0, 0, 0, 7}, to); err != nil {
		t.Fatal(err)
	}
	expect(`^<150>.* here\[\d+\]: \[one\] version=2, padding=0, count=0, payloadtype=201, length=1, ssrc=7$`)
	if _, err := r.calls.Delete(&call.DeleteRequest{CallID: "one", FromTag: "a"}); err != nil {
		t.Fatal(err)
	}
	expect(`^<142>.* here\[\d+\]: ci=one, created_from=, last_signal=\d+, tos=0, ml0_start_time=\d+\.\d{6}, .*ml0_termination=REGULAR, ` +
		`ml0_local_tag=a, ml0_local_tag_type=FROM_TAG, ml0_remote_tag=b, payload_type=101, ml0_midx1_rtp_endpoint_ip=127.0.0.1, .*` +
		`ml0_midx1_rtp_relayed_packets=1, .*ml0_midx1_rtcp_relayed_packets=1, .*ml1_local_tag_type=TO_TAG, ml1_remote_tag=a, payload_type=unknown`)
	if _, body := r.get(t, "/metrics"); !strings.Contains(body, `weir_export_messages_total{result="sent",to="syslog"} 3`) ||
		!strings.Contains(body, `weir_export_messages_total{result="sent",to="dtmf"} 1`) {
		t.Error("the lines are not counted")
	}
	r.offer(t, "two")
	r.calls.Close()
	expect(`ci=two, .*ml0_termination=FORCED`)
}
