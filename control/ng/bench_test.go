package ng_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/ng"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/ngproto"
)

// BenchmarkCall is what the daemon does for a call of two parties without media: offer, answer and delete, from datagram to
// datagram.
func BenchmarkCall(b *testing.B) {
	plane, err := media.New(media.Config{
		Interfaces: []media.Interface{{Name: "default", Addresses: []media.Address{
			{IP: netip.MustParseAddr("127.0.0.1"), PortMin: 48000, PortMax: 59999},
		}}},
		Workers: 1, Quarantine: -1,
	})
	if err != nil {
		b.Fatal(err)
	}
	m := call.NewManager(call.Config{Plane: plane, MaxSessions: -1})
	b.Cleanup(func() {
		m.Close()
		if err := plane.Close(); err != nil {
			b.Error(err)
		}
	})
	d := ng.NewDispatcher(ng.Config{Calls: m})
	say := func(call, step int, request ngproto.Dict) {
		if reply := d.Datagram(b.Context(), ngproto.EncodeRequest(fmt.Sprintf("%d.%d", call, step), request, ngproto.Bencode)); !bytes.Contains(reply, []byte("2:ok")) {
			b.Fatalf("%s", reply)
		}
	}
	text := func(key, value string) ngproto.Entry { return ngproto.Entry{Key: key, Value: ngproto.String(value)} }
	flags := ngproto.Entry{Key: "flags", Value: ngproto.Strings("trust-address")}
	fast := ngproto.Entry{Key: "flags", Value: ngproto.Strings("fast")}
	replace := ngproto.Entry{Key: "replace", Value: ngproto.Strings("origin")}
	delay := ngproto.Entry{Key: "delete delay", Value: ngproto.Int(0)}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		id := text("call-id", fmt.Sprintf("call-%d@192.0.2.1", i))
		say(i, 0, ngproto.Dict{text("command", "offer"), id, text("from-tag", "a"), text("sdp", offerSDP), flags, replace})
		say(i, 1, ngproto.Dict{text("command", "answer"), id, text("from-tag", "a"), text("to-tag", "b"), text("sdp", offerSDP), flags, replace})
		say(i, 2, ngproto.Dict{text("command", "delete"), id, text("from-tag", "a"), delay, fast})
		i++
		for i%64 == 0 && taken(plane) > 100 {
			time.Sleep(time.Millisecond)
		}
	}
}
