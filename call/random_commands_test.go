package call_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
)

// mixed draws a description of sections of every kind, in bundles or not.
func (c chance) mixed() string {
	var sections, mids []string
	for i := range c.IntN(6) {
		m := c.pick("audio %d RTP/AVP 8 0 101|a=rtpmap:101 telephone-event/8000", "audio %d RTP/SAVPF 111 0|a=rtpmap:111 opus/48000/2", "video %d RTP/AVP 97|a=rtpmap:97 VP8/90000",
			"video %d RTP/AVPF 97|a=rtpmap:97 VP8/90000", "image %d udptl t38|a=T38FaxVersion:0", "message %d TCP/MSRP *", "audio %d RTP/AVP 9", "text %d RTP/AVP 98|a=rtpmap:98 t140/1000")
		port := 4000 + 2*c.IntN(3)
		if c.of(.2) {
			port = 0
		}
		lines := []string{"m=" + fmt.Sprintf(m, port)}
		if c.of(.6) {
			mid := c.pick(fmt.Sprint(i), fmt.Sprint(i), "a", "b")
			mids = append(mids, mid)
			lines = append(lines, "a=mid:"+mid)
		}
		for _, l := range []string{"a=rtcp-mux", "a=bundle-only", "c=IN IP4 0.0.0.0", "a=sendonly", "a=inactive", "a=extmap:1 " + midExt, "a=extmap:1 " + levelExt,
			"a=extmap:2 " + levelExt, "a=ptime:30", "a=ssrc:17 cname:x", "a=rtcp-fb:* nack", ufrag("a"), ufrag("c"), "a=rtcp:9", "a=label:1"} {
			if c.of(.15) {
				lines = append(lines, l)
			}
		}
		sections = append(sections, lines...)
	}
	session := ""
	if c.of(.5) && len(mids) > 0 {
		c.Shuffle(len(mids), func(i, j int) { mids[i], mids[j] = mids[j], mids[i] })
		session = "a=group:BUNDLE " + strings.Join(mids, " ") + "\r\n"
	}
	text := strings.SplitAfter(describe(c.pick("127.0.0.1", "127.0.0.1", "::1"), 1), "t=0 0\r\n")[0] + session
	return text + strings.ReplaceAll(strings.Join(append(sections, ""), "\r\n"), "|", "\r\n")
}

func (c chance) specs() []call.CodecSpec {
	if c.of(.8) {
		return nil
	}
	return []call.CodecSpec{{Name: c.pick("PCMA", "PCMU", "G722", "opus", "telephone-event", "all", "VP8"), PayloadType: -1}}
}

// wishes draws options on what is about the sections as such.
func (c chance) wishes() call.Options {
	o := c.options()
	o.Bundle = call.Bundle{Accept: c.of(.5), Offer: c.of(.2), Require: c.of(.2), Strict: c.of(.1), Reject: c.of(.1)}
	o.T38 = call.T38{Decode: c.of(.2), Force: c.of(.1), Stop: c.of(.1)}
	w := &o.Codecs
	for _, list := range []*[]call.CodecSpec{&w.Strip, &w.Except, &w.Offer, &w.Ignore, &w.Transcode, &w.Mask, &w.Consume, &w.Accept} {
		*list = c.specs()
	}
	w.AllowNone, w.Single, w.Static, w.Reuse = c.of(.3), c.of(.2), c.of(.2), c.of(.2)
	o.ExtMaps = call.ExtMaps{Strip: []string{c.pick("", midExt, "all")}, Mask: []string{c.pick("", levelExt, "all")}}
	if c.of(.1) {
		o.RemoveMedia = []string{c.pick("video", "audio", "other")}
	}
	o.AliasKey, o.NewBranch = call.AliasKey(c.IntN(3)), c.of(.2)
	o.GenerateMID, o.PortLatching = c.of(.2), c.of(.2)
	return o
}

// remembered is what parties looked like once. Nothing may ever write to it.
type remembered struct {
	parties []call.PartySnapshot
	print   string
}

func remember(m *call.Manager, id string) remembered {
	snap, err := m.Query(id, "", "")
	if err != nil {
		return remembered{}
	}
	return remembered{snap.Parties, printed(snap.Parties)}
}

func printed(parties []call.PartySnapshot) string {
	var b strings.Builder
	for _, p := range parties {
		fmt.Fprintf(&b, "%p %+v\n", p.Party, *p.Party)
		for _, m := range p.Party.Media {
			fmt.Fprintf(&b, "  %+v %+v\n", *m, m.Section)
		}
	}
	return b.String()
}

// TestRandomCommands has parties of two calls do anything that commands can ask for. Whatever they do, what comes out can be
// parsed, what fails changes nothing, nobody writes to a plan that was in force, and no port is lost.
func TestRandomCommands(t *testing.T) {
	m, plane := newRandomManager(t, 36000)
	c := chance{rand.New(rand.NewPCG(5, 5))}
	tags := []string{"a", "b", "c", "d", "e"}
	for n := range 300 {
		ids := []string{fmt.Sprint("one ", n), fmt.Sprint("other ", n)}
		offerer := "a"
		var before []remembered
		for range 14 {
			id := c.pick(ids[0], ids[0], ids[1])
			text := c.mixed()
			req := &call.Request{CallID: id, FromTag: c.pick(tags...), ToTag: c.pick(append(tags, "", "")...), ViaBranch: c.pick("", "", "x", "y"), SDPText: text, SDP: parse(t, text), Options: c.wishes()}
			sel := call.Selection{FromTag: c.pick(tags...), All: c.of(.3)}
			was := remember(m, id)
			before = append(before, was)
			out, err := "", error(nil)
			switch c.IntN(14) {
			case 0, 1, 2, 3:
				offerer = req.FromTag
				out, err = m.Offer(req)
			case 4, 5, 6, 7:
				req.FromTag = offerer
				out, err = m.Answer(req)
			case 8:
				var made *call.Subscribed
				if made, err = m.Subscribe(&call.SubscribeRequest{Request: *req, Sources: sel, Mix: c.of(.2), Bidirectional: c.of(.3)}); err == nil {
					out = made.SDP
				}
			case 9:
				err = m.SubscribeAnswer(req, c.of(.7))
			case 10:
				var made *call.Published
				if c.of(.5) {
					made, err = m.Publish(&call.PublishRequest{Request: *req})
				} else {
					made, err = m.Create(&call.CreateRequest{Request: *req})
				}
				if err == nil {
					out = made.SDP
				}
			case 11:
				err = m.Connect(&call.ConnectRequest{CallID: id, ToCallID: c.pick(ids...), Sources: sel, ToTag: req.ToTag, Directional: c.of(.3)})
			case 12:
				err = m.Unsubscribe(&call.UnsubscribeRequest{CallID: id, FromTag: req.FromTag, ToTag: req.ToTag})
			case 13:
				_, err = m.Delete(&call.DeleteRequest{CallID: id, FromTag: req.FromTag, ViaBranch: c.pick("", "x"), Delay: new(time.Duration)})
			}
			if out != "" {
				parse(t, out)
			}
			now := remember(m, id)
			if err != nil && now.print != was.print {
				t.Fatalf("round %d: %v, and the call has changed from\n%s\nto\n%s", n, err, was.print, now.print)
			}
			for _, p := range now.parties {
				if len(p.Party.Media) > 2*call.MaxSections {
					t.Fatalf("round %d: %d sections", n, len(p.Party.Media))
				}
			}
		}
		for i := range before {
			if print := printed(before[i].parties); print != before[i].print {
				t.Fatalf("round %d: somebody wrote to what was in force, from\n%s\nto\n%s", n, before[i].print, print)
			}
		}
		for _, id := range ids {
			_, _ = m.Delete(&call.DeleteRequest{CallID: id, Delay: new(time.Duration)})
		}
	}
	if !eventually(func() bool { return used(m) == 0 }) {
		t.Errorf("ports are lost: %+v", plane.Pools())
	}
}
