package ng_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/ngproto"
)

func TestTimeoutsKnowWhoMadeTheCall(t *testing.T) {
	ended := make(chan *call.Ended, 1)
	d, _ := newDispatcher(t, func(c *call.Config) {
		c.OfferTimeout = 50 * time.Millisecond
		c.Ended = func(e *call.Ended) { ended <- e }
	})
	var dict ngproto.Dict
	for _, e := range [][2]string{
		{"command", "offer"}, {"call-id", "c"}, {"from-tag", "a"}, {"sdp", offerSDP}, {"xmlrpc-callback", "192.0.2.6"},
	} {
		dict.Add(e[0], ngproto.String(e[1]))
	}
	d.From(netip.MustParseAddr("192.0.2.5")).Datagram(t.Context(), append([]byte("k "), ngproto.Encode(dict, ngproto.Bencode)...))
	select {
	case e := <-ended:
		if e.CallID != "c" || e.Language != call.NG || e.Why != call.ReasonOfferTimeout || !e.Whole || len(e.Tags) != 1 || e.Tags[0] != "a" ||
			e.Client.String() != "192.0.2.5" || e.Callback.String() != "192.0.2.6" {
			t.Errorf("told of %+v", e)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody is told of the timeout")
	}
}
