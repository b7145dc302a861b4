package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/srtp"
)

// fakeCipher is one of a fakeKernel.
type fakeCipher struct {
	keys    fastpath.Keys
	streams map[uint32]fastpath.Stream
}

func (k *fakeKernel) Secures() (bool, string) { return k.insecure == "", k.insecure }

func (k *fakeKernel) AddCipher(keys fastpath.Keys) (fastpath.Cipher, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.made++
	keys.AES, keys.Salt, keys.Auth = slices.Clone(keys.AES), slices.Clone(keys.Salt), slices.Clone(keys.Auth)
	k.ciphers[k.made] = &fakeCipher{keys, make(map[uint32]fastpath.Stream)}
	return k.made, nil
}

func (k *fakeKernel) AdoptCipher(local netip.AddrPort, seal bool, keys fastpath.Keys) (fastpath.Cipher, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.flows[local].Open
	if seal {
		c = k.flows[local].Seal
	}
	have := k.ciphers[c]
	return c, have != nil && bytes.Equal(have.keys.Auth, keys.Auth)
}

func (k *fakeKernel) FollowStream(c fastpath.Cipher, s fastpath.Stream) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	have := k.ciphers[c]
	if have == nil {
		return fastpath.ErrNoCipher
	}
	if old, ok := have.streams[s.SSRC]; !ok && len(have.streams) == fastpath.CipherStreams {
		return fastpath.ErrCiphers
	} else if !ok || s.Highest > old.Highest {
		have.streams[s.SSRC] = s
	}
	return nil
}

func (k *fakeKernel) CipherState(c fastpath.Cipher) (s fastpath.CipherState, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state(c)
}

func (k *fakeKernel) RemoveCipher(c fastpath.Cipher) (s fastpath.CipherState, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, err = k.state(c)
	delete(k.ciphers, c)
	return s, err
}

func (k *fakeKernel) state(c fastpath.Cipher) (s fastpath.CipherState, err error) {
	have := k.ciphers[c]
	if have == nil {
		return s, fastpath.ErrNoCipher
	}
	for _, ssrc := range slices.Sorted(maps.Keys(have.streams)) {
		s.Streams[s.Len] = have.streams[ssrc]
		s.Len++
	}
	return s, nil
}

// cipher returns one of those of a flow, as it is now.
func (k *fakeKernel) cipher(c fastpath.Cipher) fakeCipher {
	k.mu.Lock()
	defer k.mu.Unlock()
	have := k.ciphers[c]
	return fakeCipher{have.keys, maps.Clone(have.streams)}
}

// held is how many ciphers there are.
func (k *fakeKernel) held() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.ciphers)
}

// move has the kernel come to an index of a stream.
func (k *fakeKernel) move(c fastpath.Cipher, ssrc uint32, index uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ciphers[c].streams[ssrc] = fastpath.Stream{SSRC: ssrc, Highest: index, Seen: [2]uint64{1}}
}

const phoneSSRC = 0x01020304 // of phone.rtp

// securedRig is an offloadRig whose leg a speaks SRTP.
type securedRig struct {
	*offloadRig
	sends    *srtp.Outbound // of alice
	receives *srtp.Inbound
}

func newSecuredRig(t *testing.T, suite srtp.Suite, change func(r *offloadRig)) *securedRig {
	t.Helper()
	keys, sends, receives := keyed(t, suite)
	return &securedRig{newOffloadRig(t, func(r *offloadRig) {
		r.as.Secure, r.as.Keys = true, keys
		if change != nil {
			change(r)
		}
	}), sends, receives}
}

func (r *securedRig) toB(rtp []byte) {
	r.Helper()
	r.alice.send(r.a, sealed(r.T, r.sends, bytes.Clone(rtp)))
	r.bob.wants(r.b, rtp)
}

func (r *securedRig) toA(rtp []byte) {
	r.Helper()
	r.bob.send(r.b, rtp)
	got, err := r.receives.UnprotectRTP(r.alice.receive())
	if err != nil || !bytes.Equal(got, rtp) {
		r.Fatalf("alice has %x, %v, want %x", got, err, rtp)
	}
}

func (r *securedRig) talkSealed(first, n uint16) {
	r.Helper()
	for seq := first; seq < first+n; seq++ {
		r.toB(rtpPacket(seq))
		r.toA(rtpPacket(seq))
	}
	r.settle()
}

func TestSRTPMovesToTheKernelWithItsKeys(t *testing.T) {
	for _, suite := range []srtp.Suite{srtp.AES128CM80, srtp.AES128CM32, srtp.AES192CM80, srtp.AES256CM80} {
		t.Run(suite.String(), func(t *testing.T) {
			r := newSecuredRig(t, suite, nil)
			r.talkSealed(1, confirmations)
			r.inKernel(r.a, r.b)
			for _, c := range []struct {
				leg        *Leg
				open, seal bool
				params     *srtp.Params
			}{{r.a, true, false, r.as.Keys.In}, {r.b, false, true, r.as.Keys.Out}} {
				f, _ := r.kernel.flow(c.leg)
				if (f.Open != 0) != c.open || (f.Seal != 0) != c.seal {
					t.Fatalf("flow with the ciphers %d and %d", f.Open, f.Seal)
				}
				cipher := r.kernel.cipher(max(f.Open, f.Seal))
				want := c.params.SessionKeys()
				if k := cipher.keys; !bytes.Equal(k.AES, want.Cipher) || !bytes.Equal(k.Salt, want.Salt) || !bytes.Equal(k.Auth, want.Auth) || k.Tag != suite.TagLen() {
					t.Errorf("keys %x", k)
				}
				if s := cipher.streams[phoneSSRC]; len(cipher.streams) != 1 || s.Highest != confirmations {
					t.Errorf("streams %+v", cipher.streams)
				}
			}
			for _, s := range []*Leg{r.a, r.b} {
				s.Close()
			}
			r.settle()
			if r.kernel.held() != 0 {
				t.Errorf("%d ciphers are left", r.kernel.held())
			}
		})
	}
}

// Packets that reach the socket meanwhile are turned with the rollover counter of the kernel, and it is told of them.
func TestStrayPacketsOfSecuredFlows(t *testing.T) {
	r := newSecuredRig(t, srtp.AES128CM80, nil)
	r.talkSealed(1, confirmations)
	r.inKernel(r.a, r.b)
	fa, _ := r.kernel.flow(r.a)
	fb, _ := r.kernel.flow(r.b)
	// The kernel relays for two rounds of sequence numbers.
	const index = 2<<16 | 500
	r.kernel.move(fa.Open, phoneSSRC, index)
	r.kernel.move(fb.Seal, phoneSSRC, index)
	r.sends.Advance(phoneSSRC, srtp.Progress{Highest: index})
	r.receives.Advance(phoneSSRC, srtp.Progress{Highest: index})
	r.toB(rtpPacket(501))
	r.toA(rtpPacket(501))
	for _, c := range []fastpath.Cipher{fa.Open, fb.Seal} {
		if s := r.kernel.cipher(c).streams[phoneSSRC]; s.Highest != index+1 {
			t.Errorf("the kernel is at %x", s.Highest)
		}
	}
	// What the kernel has received is a replay.
	r.kernel.move(fa.Open, phoneSSRC, index+2)
	r.alice.send(r.a, sealed(t, r.sends, rtpPacket(502)))
	r.until("the replay is dropped", func() bool { return r.a.Stats().Drops[DropReplay] == 1 })

	// Streams that it does not know: it learns of as many as it can follow, and the rest goes on in userspace.
	for ssrc := range uint32(fastpath.CipherStreams + 2) {
		for seq := range uint16(2) {
			p := rtpPacket(seq)
			binary.BigEndian.PutUint32(p[8:], 100+ssrc)
			r.toB(p)
			r.toA(p)
		}
	}
	for _, c := range []fastpath.Cipher{fa.Open, fb.Seal} {
		have := r.kernel.cipher(c).streams
		if len(have) != fastpath.CipherStreams || have[100].Highest != 1 {
			t.Errorf("the kernel follows %+v", have)
		}
	}
	// One that it does know is still followed.
	r.toB(rtpPacket(503))
	if s := r.kernel.cipher(fa.Open).streams[phoneSSRC]; s.Highest != index+3 {
		t.Errorf("the kernel is at %x", s.Highest)
	}
}

// A flow that is withdrawn goes on from where the kernel was, without its keys there.
func TestWithdrawnSecuredFlowGoesOn(t *testing.T) {
	r := newSecuredRig(t, srtp.AES256CM80, nil)
	r.talkSealed(1, confirmations)
	r.inKernel(r.a, r.b)
	const index = 1<<16 | 3
	for leg, cipher := range map[*Leg]func(fastpath.Flow) fastpath.Cipher{
		r.a: func(f fastpath.Flow) fastpath.Cipher { return f.Open }, r.b: func(f fastpath.Flow) fastpath.Cipher { return f.Seal },
	} {
		f, _ := r.kernel.flow(leg)
		r.kernel.move(cipher(f), phoneSSRC, index)
	}
	r.sends.Advance(phoneSSRC, srtp.Progress{Highest: index})
	r.receives.Advance(phoneSSRC, srtp.Progress{Highest: index})
	r.as.UserspaceReason, r.bs.UserspaceReason = "test", "test"
	r.a.Apply(r.as)
	r.b.Apply(r.bs)
	if len(r.kernel.flows) != 0 || r.kernel.held() != 0 {
		t.Fatalf("%d flows and %d ciphers are left", len(r.kernel.flows), r.kernel.held())
	}
	r.alice.send(r.a, sealed(t, r.sends, rtpPacket(3)))
	r.until("what the kernel had is a replay", func() bool { return r.a.Stats().Drops[DropReplay] == 1 })
	r.talkSealed(4, 3)

	r.as.UserspaceReason, r.bs.UserspaceReason = "", ""
	r.a.Apply(r.as)
	r.b.Apply(r.bs)
	r.inKernel(r.a, r.b)
	f, _ := r.kernel.flow(r.a)
	if s := r.kernel.cipher(f.Open).streams[phoneSSRC]; s.Highest != 1<<16|6 {
		t.Errorf("the kernel begins at %x", s.Highest)
	}
}

// New keys come into the kernel with the rollover counter of the old ones, after a packet has shown that they are in use.
func TestSecuredFlowGetsNewKeys(t *testing.T) {
	r := newSecuredRig(t, srtp.AES128CM80, nil)
	r.talkSealed(1, confirmations)
	r.inKernel(r.a, r.b)
	old, _ := r.kernel.flow(r.a)
	const index = 1<<16 | 3
	r.kernel.move(old.Open, phoneSSRC, index)

	keys, sends, receives := keyed(t, srtp.AES256CM32)
	sends.Advance(phoneSSRC, srtp.Progress{Highest: index})
	r.sends, r.receives = sends, receives
	r.as.Keys = keys
	r.a.Apply(r.as)
	r.until("the flows have the new keys", func() bool {
		fa, _ := r.kernel.flow(r.a)
		fb, _ := r.kernel.flow(r.b)
		return fa.Open != 0 && fa.Open != old.Open && fb.Seal != 0 && r.kernel.held() == 2
	})
	f, _ := r.kernel.flow(r.a)
	if n := len(r.kernel.cipher(f.Open).streams); n != 0 {
		t.Errorf("%d streams are followed before the first packet", n)
	}
	r.toB(rtpPacket(4))
	if s := r.kernel.cipher(f.Open).streams[phoneSSRC]; s.Highest != index+1 {
		t.Errorf("the kernel begins at %x", s.Highest)
	}
}

func TestSRTPThatStaysInUserspace(t *testing.T) {
	for _, c := range []struct {
		name   string
		suite  srtp.Suite
		change func(r *offloadRig)
		why    string
	}{
		{"a suite that the kernel has not", srtp.F8128SHA80, nil, "F8_128_HMAC_SHA1_80"},
		{"an MKI", srtp.AES128CM80, func(r *offloadRig) { r.as.Keys.In.MKI = []byte{1} }, "session parameters"},
		{"a long window", srtp.AES128CM80, func(r *offloadRig) { r.as.Keys.In.Window = 1024 }, "1024"},
		{"a kernel without SRTP", srtp.AES128CM80, func(r *offloadRig) { r.kernel.insecure = "no kfunc" }, "no kfunc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newSecuredRig(t, c.suite, c.change)
			var err error
			if r.sends, err = srtp.NewOutbound(*r.as.Keys.In); err != nil {
				t.Fatal(err)
			}
			r.talkSealed(1, confirmations+2)
			if st := r.a.Stats(); st.Plane != PlaneUserspace || !strings.Contains(st.Why, c.why) {
				t.Errorf("%v: %s", st.Plane, st.Why)
			}
			if r.kernel.held() > 1 { // the other direction may have one
				t.Errorf("%d ciphers", r.kernel.held())
			}
		})
	}
}

func TestFailedInstallationLeavesNoKeys(t *testing.T) {
	r := newSecuredRig(t, srtp.AES128CM80, func(r *offloadRig) { r.kernel.fail = errors.New("no room") })
	r.talkSealed(1, confirmations+2)
	r.until("it is said why", func() bool { return strings.Contains(r.a.Stats().Why, "no room") })
	if r.kernel.held() != 0 {
		t.Errorf("%d ciphers are left", r.kernel.held())
	}
	r.talkSealed(20, 2)
}

// The kernel's counts of refused packets are the leg's.
func TestRefusedPacketsOfSecuredFlowsAreCounted(t *testing.T) {
	r := newSecuredRig(t, srtp.AES128CM80, nil)
	r.talkSealed(1, confirmations)
	r.inKernel(r.a)
	r.kernel.mu.Lock()
	c := r.kernel.counts[r.a.Local()]
	c.Unauthenticated, c.Replayed = 5, 7
	r.kernel.counts[r.a.Local()] = c
	r.kernel.mu.Unlock()
	r.poll()
	r.poll()
	if d := r.a.Stats().Drops; d[DropAuth] != 5 || d[DropReplay] != 7 {
		t.Errorf("dropped %d and %d", d[DropAuth], d[DropReplay])
	}
}

// Clear RTCP must not reach a party that speaks SRTP, nor does a flow that has become clear keep its ciphers.
func TestNothingClearFollowsSecuredFlows(t *testing.T) {
	r := newSecuredRig(t, srtp.AES128CM80, nil)
	r.talkSealed(1, confirmations)
	r.inKernel(r.a, r.b)
	_, reports := r.pair(4, "call")
	reporter := newPhone(t, loopback4)
	reports.Apply(Settings{Kind: RTCP, Signalled: reporter.addr(), Learning: LearnOff, Sinks: []Sink{{RTP: r.a, RTCP: r.a}}})
	r.settle()
	if f, ok := r.kernel.flow(reports); ok {
		t.Errorf("a flow of reports that nobody encrypts: %+v", f)
	}
	if st := reports.Stats(); !strings.Contains(st.Why, "SRTCP") {
		t.Errorf("it is in userspace for %q", st.Why)
	}
	reports.Close()

	r.as.Secure, r.as.Keys = false, Keys{}
	r.a.Apply(r.as)
	r.until("both flows are clear", func() bool {
		fa, a := r.kernel.flow(r.a)
		fb, b := r.kernel.flow(r.b)
		return a && b && fa.Open == 0 && fb.Seal == 0
	})
	r.until("the keys are gone", func() bool {
		return r.kernel.held() == 0
	})
}
