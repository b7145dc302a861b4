package media

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/weir-media/weir/rtp"
)

// named returns an RTP packet whose one-byte header extension 4 holds a name; without one it has no extension.
func named(pt uint8, ssrc uint32, mid string) []byte {
	b := rtpFrom(pt, ssrc)
	if mid == "" {
		return b
	}
	ext := append([]byte{0xbe, 0xde, 0, 0, 4<<4 | byte(len(mid)-1)}, mid...)
	for len(ext)%4 != 0 {
		ext = append(ext, 0)
	}
	binary.BigEndian.PutUint16(ext[2:], uint16(len(ext)/4-1))
	b[0] |= 0x10
	return append(append(append([]byte(nil), b[:rtp.HeaderSize]...), ext...), b[rtp.HeaderSize:]...)
}

func rtpFrom(pt uint8, ssrc uint32) []byte {
	h := rtp.Header{PayloadType: pt, Sequence: 1, Timestamp: 1, SSRC: ssrc}
	return append(h.Append(nil), 1, 2, 3, 4)
}

func types(all ...uint8) (t PayloadTypes) {
	for _, pt := range all {
		t.Add(pt)
	}
	return t
}

// bundleRig is alice, whose audio and video share a leg, and the phones that hear the one and the other.
type bundleRig struct {
	*rig
	alice, audio, video       *phone
	leg, rtcp, toAudio, toVid *Leg
}

func newBundleRig(t *testing.T) *bundleRig {
	r := newRig(t, nil)
	b := &bundleRig{rig: r, alice: newPhone(t, loopback4), audio: newPhone(t, loopback4), video: newPhone(t, loopback4)}
	b.leg, b.rtcp = r.pair(4, "call")
	var ra, rv *Leg
	b.toAudio, ra = r.pair(4, "call")
	b.toVid, rv = r.pair(4, "call")
	bundle := &Bundle{MIDExtension: 4, Medias: []Bundled{
		{MID: "a", Types: types(0, 100), Sinks: []Sink{{RTP: b.toAudio, RTCP: b.toAudio}}},
		{MID: "v", Types: types(100, 105), SSRCs: []uint32{0x77}, Sinks: []Sink{{RTP: b.toVid, RTCP: b.toVid}}},
	}}
	b.leg.Apply(Settings{Signalled: b.alice.addr(), Epoch: 1, Learning: LearnOff, Bundle: bundle})
	b.rtcp.Apply(Settings{Kind: RTCP, Signalled: b.alice.addr(), Epoch: 1, Learning: LearnOff, Bundle: bundle})
	b.toAudio.Apply(Settings{Signalled: b.audio.addr(), Epoch: 1, Sinks: []Sink{{RTP: b.leg, RTCP: b.leg}}})
	b.toVid.Apply(Settings{Signalled: b.video.addr(), Epoch: 1, Sinks: []Sink{{RTP: b.leg, RTCP: b.leg}}})
	ra.Apply(Settings{Kind: RTCP, Signalled: b.audio.addr(), Epoch: 1})
	rv.Apply(Settings{Kind: RTCP, Signalled: b.video.addr(), Epoch: 1})
	return b
}

func TestMediasThatShareALegAreToldApart(t *testing.T) {
	const toAudio, toVideo = 'a', 'v'
	type step struct {
		packet []byte
		to     byte
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"by payload type", []step{{rtpFrom(0, 1), toAudio}, {rtpFrom(105, 2), toVideo}}},
		{"by name, against the payload type", []step{{named(0, 1, "v"), toVideo}, {named(105, 2, "a"), toAudio}}},
		{"by an SSRC that a name came with", []step{{rtpFrom(100, 1), toAudio}, {named(100, 1, "v"), toVideo}, {rtpFrom(100, 1), toVideo}}},
		{"by an SSRC that a payload type of one media only came with", []step{{rtpFrom(105, 1), toVideo}, {rtpFrom(100, 1), toVideo}}},
		{"by a signalled SSRC", []step{{rtpFrom(100, 0x77), toVideo}, {rtpFrom(100, 0x78), toAudio}}},
		{"RTCP by the SSRC of its sender", []step{{receiverReport(0x77), toVideo}, {rtpFrom(0, 5), toAudio}, {receiverReport(5), toAudio}}},
		{"an unknown name says nothing", []step{{named(105, 1, "x"), toVideo}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newBundleRig(t)
			for _, s := range c.steps {
				r.alice.send(r.leg, s.packet)
				if s.to == toAudio {
					r.audio.wants(r.toAudio, s.packet)
				} else {
					r.video.wants(r.toVid, s.packet)
				}
			}
		})
	}
}

func TestRTCPOfAnUnknownSenderReachesAllMedias(t *testing.T) {
	r := newBundleRig(t)
	report := receiverReport(0xabc)
	r.alice.send(r.leg, report)
	r.audio.wants(r.toAudio, report)
	r.video.wants(r.toVid, report)
}

func TestWhatALegForRTCPHearsIsToldApartByWhatTheOtherLegLearnt(t *testing.T) {
	r := newBundleRig(t)
	video := rtpFrom(105, 9)
	r.alice.send(r.leg, video)
	r.video.wants(r.toVid, video)
	report, last := receiverReport(9), receiverReport(0xabc)
	r.alice.send(r.rtcp, report)
	r.video.wants(r.toVid, report)
	r.alice.send(r.rtcp, last)
	r.audio.wants(r.toAudio, last) // and not the first report
}

func TestAPacketOfNoMediaIsDropped(t *testing.T) {
	r := newBundleRig(t)
	r.alice.send(r.leg, rtpFrom(99, 1))
	r.until("a packet of no media is counted", func() bool { return r.leg.Stats().Drops[DropNoMedia] == 1 })
}

func TestMediasLeaveByTheSharedLeg(t *testing.T) {
	r := newBundleRig(t)
	r.alice.wants(r.leg, r.audio.rtp(r.toAudio))
	r.alice.wants(r.leg, r.video.rtp(r.toVid))
}

func TestAPeerMaySendFromThePortsOfAllItsMedias(t *testing.T) {
	r := newBundleRig(t)
	other := newPhone(t, loopback4)
	p := r.leg.plan.Load().Settings
	p.Also = []netip.AddrPort{other.addr()}
	r.leg.Apply(p)
	video := rtpFrom(105, 1)
	other.send(r.leg, video)
	r.video.wants(r.toVid, video)
	r.alice.wants(r.leg, r.video.rtp(r.toVid)) // who is still where it was
}

func TestLearntSourcesOfABundleStayWithNewSettings(t *testing.T) {
	r := newBundleRig(t)
	first := named(100, 1, "v")
	r.alice.send(r.leg, first)
	r.video.wants(r.toVid, first)
	s := r.leg.plan.Load().Settings
	b := *s.Bundle
	s.Bundle = &b
	r.leg.Apply(s)
	second := rtpFrom(100, 1)
	r.alice.send(r.leg, second)
	r.video.wants(r.toVid, second)
}

func TestStreamsForgetTheOldestSource(t *testing.T) {
	var s streams
	for i := range uint32(maxSSRCs + 1) {
		s.learn(1000+i, 1)
	}
	if s.get(1000) != nil || s.get(1001) == nil || s.get(1000+maxSSRCs) == nil || len(s.list) != maxSSRCs {
		t.Errorf("known: first %v, second %v, last %v of %d", s.get(1000), s.get(1001), s.get(1000+maxSSRCs), len(s.list))
	}
}

func TestHeaderExtensionsAreChangedForOneHearerOnly(t *testing.T) {
	r := newRig(t, nil)
	alice, bob, carol := newPhone(t, loopback4), newPhone(t, loopback4), newPhone(t, loopback4)
	a, _ := r.pair(4, "call")
	b, _ := r.pair(4, "call")
	c, _ := r.pair(4, "call")
	for leg, p := range map[*Leg]*phone{b: bob, c: carol} {
		leg.Apply(Settings{Signalled: p.addr()})
	}
	m := &rtp.ExtensionMap{}
	a.Apply(Settings{Signalled: alice.addr(), Sinks: []Sink{{RTP: b, Extensions: m}, {RTP: c}}})
	in := named(8, 1, "audio")
	alice.send(a, in)
	bob.wants(b, rtpFrom(8, 1))
	carol.wants(c, in)
	if why := a.Stats().Why; why != whyUserspace+": header extensions" {
		t.Errorf("not in the kernel because %q", why)
	}
}

func TestDemultiplexingAllocatesNothing(t *testing.T) {
	r := newBundleRig(t)
	packets := [][]byte{named(100, 1, "v"), rtpFrom(0, 2), rtpFrom(105, 3), rtpFrom(100, 4)}
	w, p := r.leg.worker, r.leg.plan.Load()
	done := make(chan float64)
	w.do(func() {
		done <- testing.AllocsPerRun(100, func() {
			for _, b := range packets {
				_ = w.header.Parse(b)
				w.unbundle(r.leg, p, rtp.RTP, b)
			}
		})
	})
	if n := <-done; n != 0 {
		t.Errorf("%v allocations per packet, want none", n)
	}
}
