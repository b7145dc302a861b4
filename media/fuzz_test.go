package media

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/ice"
	"github.com/weir-media/weir/rtp"
	"github.com/weir-media/weir/srtp"
)

// FuzzDatagram has any datagram come to any kind of leg, in the state before the peer is known and after. Each is counted once,
// relayed or not, and nothing passes a leg with keys that was not made with them.
func FuzzDatagram(f *testing.F) {
	report := []byte{
		0x81, 201, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0x80, 207, 0, 2, 0, 0, 0, 1, 4, 0, 0, 0,
	}
	hello := append([]byte{22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13}, make([]byte, 13)...)
	request := []byte{0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 6, 0, 3, 'a', ':', 'b', 0}
	for kind := range byte(32) {
		f.Add(kind, rtpPacket(1), report)
		f.Add(kind, hello, request)
	}
	p, err := New(Config{Workers: 1, Interfaces: []Interface{{Name: "x", Addresses: []Address{{IP: loopback4}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := p.Close(); err != nil {
			f.Error(err)
		}
	})
	certificate, err := dtls.NewCertificate(dtls.CertificateConfig{})
	if err != nil {
		f.Fatal(err)
	}
	keys := Keys{In: new(srtp.Params), Out: new(srtp.Params)}
	*keys.In, *keys.Out = srtp.Generate(srtp.AES128CM80), srtp.Generate(srtp.AES128CM80)
	in, out := newInBatch(), newOutBatch()
	f.Fuzz(func(t *testing.T, kind byte, first, second []byte) {
		w := &worker{plane: p, in: in, out: out, commands: []func(){nil}}
		from := &silent{from: netip.MustParseAddrPort("192.0.2.1:4000")}
		leg := func(port uint16) *Leg {
			return &Leg{
				plane: p, worker: w, streams: new(streams), sock: from,
				local: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port),
			}
		}
		a, aRTCP, b, bRTCP := leg(30000), leg(30001), leg(30002), leg(30003)
		a.beside, aRTCP.beside, b.beside, bRTCP.beside = aRTCP, a, bRTCP, b
		as := Settings{Signalled: from.from, Learning: LearnImmediate}
		secure := kind&1 != 0
		if secure {
			as.Secure, as.Keys = true, keys
		}
		if kind&2 != 0 {
			as.Sealed, as.Proof = !secure, keys.In
		}
		if kind&4 != 0 {
			as.Link = p.NewLink()
			defer as.Link.Close()
			err := as.Link.Apply(LinkConfig{
				RTP: []*Leg{a}, RTCP: []*Leg{aRTCP}, ICE: &ICE{Local: ice.NewCredentials()}, DTLS: &DTLS{Certificate: certificate, Role: dtls.Passive},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if kind&8 != 0 {
			as.ReportBy = a
		}
		if kind&16 != 0 {
			as.Kind = Opaque
		}
		bridge(a, aRTCP, as, b, bRTCP, Settings{Signalled: netip.MustParseAddrPort("192.0.2.2:4000")})
		as.Kind = max(as.Kind, RTCP)
		aRTCP.Apply(as)
		if secure {
			a.rekey(keys)
			aRTCP.rekey(keys)
		}
		for _, data := range [][]byte{first, second, first} {
			if len(data) > maxDatagram {
				return
			}
			for _, l := range []*Leg{a, aRTCP} {
				from.data = append(in.buffers[0][:0], data...)
				taken, given := accounted(l), b.Stats().Out.Packets+bRTCP.Stats().Out.Packets
				w.round += 2
				w.serve(l)
				given = b.Stats().Out.Packets + bRTCP.Stats().Out.Packets - given
				stun := as.Kind != Opaque && rtp.Classify(data) == rtp.STUN && as.Link != nil
				if now := accounted(l); !stun && now == taken {
					t.Fatalf("%x was neither counted nor dropped", data)
				}
				if secure && as.Kind != Opaque && given != 0 && !relayedInClear(data) {
					t.Fatalf("%x passed without the keys", data)
				}
			}
		}
	})
}

// accounted counts what is known of packets that came to a leg.
func accounted(l *Leg) (n uint64) {
	st := l.Stats()
	n = st.In.Packets
	for _, d := range st.Drops {
		n += d
	}
	return n
}

// relayedInClear tells whether packets of a kind have no tag.
func relayedInClear(data []byte) bool {
	class := rtp.Classify(bytes.Clone(data))
	return class == rtp.DTLS || class == rtp.ZRTP
}
