package ng_test

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-media/weir/control/ng"
	"github.com/weir-media/weir/ngproto"
	"github.com/weir-media/weir/rtp"
)

func TestWhereTheFiguresOfSSRCsAre(t *testing.T) {
	d, m := newDispatcher(t, nil)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	here := strings.NewReplacer("192.0.2.1", "127.0.0.1", "4000", strconv.Itoa(conn.LocalAddr().(*net.UDPAddr).Port)).Replace(offerSDP)
	ask(t, d, ngproto.Bencode, "command", "offer", "call-id", "x", "from-tag", "a", "sdp", here)
	ask(t, d, ngproto.Bencode, "command", "answer", "call-id", "x", "from-tag", "a", "to-tag", "b", "sdp", offerSDP)
	media := func(reply ngproto.Dict, tag string) ngproto.Dict {
		return reply.Dict("tags").Dict(tag).List("medias")[0].Dict()
	}
	port, _ := media(ask(t, d, ngproto.Bencode, "command", "query", "call-id", "x"), "a").List("streams")[0].Dict().Int("local port")
	h := rtp.Header{PayloadType: 8, Sequence: 7, Timestamp: 1234, SSRC: 4660}
	if _, err := conn.WriteToUDP(append(h.Append(nil), 1, 2, 3, 4), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name                   string
		where                  ng.SSRCReporting
		global, listed, inline bool
	}{
		{"full", ng.SSRCFull, true, true, true},
		{"inline", ng.SSRCInline, false, true, true},
		{"global", ng.SSRCGlobal, true, true, false},
		{"none", ng.SSRCNone, false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := ng.NewDispatcher(ng.Config{Calls: m, SSRC: c.where})
			reply := ask(t, d, ngproto.Bencode, "command", "query", "call-id", "x")
			in, out := media(reply, "a").List("ingress SSRCs"), media(reply, "b").List("egress SSRCs")
			if c.listed != (len(in) == 1) || c.listed != (len(out) == 1) || len(media(reply, "b").List("ingress SSRCs")) != 0 {
				t.Fatalf("in %v, out %v", in, out)
			}
			one := ngproto.Dict{}
			if c.listed {
				one = in[0].Dict()
				if ssrc, _ := one.Int("SSRC"); ssrc != 4660 {
					t.Errorf("SSRC %d", ssrc)
				}
			}
			if one.Has("packets") != c.inline || reply.Has("SSRC") != c.global {
				t.Errorf("figures inline %v, global %v", one.Has("packets"), reply.Has("SSRC"))
			}
			if c.global {
				one = reply.Dict("SSRC").Dict("4660")
			}
			if !c.global && !c.inline {
				return
			}
			for key, want := range map[string]int64{"packets": 1, "bytes": 16, "last RTP timestamp": 1234, "last RTP seq": 7} {
				if got, ok := one.Int(key); !ok || got != want {
					t.Errorf("%s is %d, want %d", key, got, want)
				}
			}
		})
	}
}
