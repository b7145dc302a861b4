package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/srtp"
)

// turner is what the SRTP contexts of both directions have in common.
type turner interface {
	Params() srtp.Params
	Progress(ssrc uint32) (srtp.Progress, bool)
	Advance(ssrc uint32, p srtp.Progress)
	Begun(fn func(ssrc uint32, p srtp.Progress))
}

// twin is the cipher in the kernel that does the same as an SRTP context while flows need it. The context's lock guards it.
//
// Both planes may turn packets of one stream at the same time: each tells the other how far it has come. So no packet is
// encrypted with a rollover counter that is out of date, which would use an index twice, and none is taken twice.
type twin struct {
	cipher fastpath.Cipher // 0: none
	flows  int             // that use it
	full   bool            // it follows as many SSRCs as it can
	knows  bool            // it follows that of the packet pulled for
}

// fits tells why a context can have no twin; empty when it can.
func fits(p srtp.Params) string {
	switch {
	case !p.Common():
		return fmt.Sprintf("SRTP with %v, or with session parameters", p.Suite)
	case p.ReplayWindow() > fastpath.ReplayWindow:
		return fmt.Sprintf("SRTP with a replay window of %d packets", p.ReplayWindow())
	}
	return ""
}

// join has one more flow use the twin, which is made if there is none.
func (t *twin) join(fast FastPath, of turner, from origin) (fastpath.Cipher, error) {
	if t.flows == 0 {
		if err := t.make(fast, of, from); err != nil {
			return 0, err
		}
	}
	t.full = false
	t.flows++
	var err error
	of.Begun(func(ssrc uint32, p srtp.Progress) {
		if err == nil && !t.full {
			err = t.follow(fast, ssrc, p)
		}
	})
	if err != nil {
		return 0, errors.Join(err, t.leave(fast, of))
	}
	return t.cipher, nil
}

// origin is where a twin may be already, when a process before has left it: with the flow that arrives on local.
type origin struct {
	restored bool
	local    netip.AddrPort
	seal     bool // it is the one that the flow encrypts with
}

// make brings the keys into the kernel, or takes over the cipher that has them, and what it knows.
func (t *twin) make(fast FastPath, of turner, from origin) (err error) {
	p := of.Params()
	session := p.SessionKeys()
	k := fastpath.Keys{AES: session.Cipher, Salt: session.Salt, Auth: session.Auth, Tag: p.Suite.TagLen()}
	defer func() {
		clear(k.AES)
		clear(k.Salt)
		clear(k.Auth)
	}()
	if from.restored {
		if cipher, ok := fast.AdoptCipher(from.local, from.seal, k); ok {
			*t = twin{cipher: cipher}
			return t.catchUp(fast, of)
		}
	}
	cipher, err := fast.AddCipher(k)
	if err != nil {
		return err
	}
	*t = twin{cipher: cipher}
	return nil
}

// follow tells the twin of a stream. That it has no room for one more is no error: that stream stays in userspace.
func (t *twin) follow(fast FastPath, ssrc uint32, p srtp.Progress) error {
	err := fast.FollowStream(t.cipher, fastpath.Stream{SSRC: ssrc, Highest: p.Highest, Seen: p.Seen})
	if errors.Is(err, fastpath.ErrCiphers) {
		t.full = true
		return nil
	}
	return err
}

// leave has one flow less use the twin, which goes with the last one; the context goes on from where it was.
func (t *twin) leave(fast FastPath, of turner) error {
	if t.flows--; t.flows > 0 {
		return nil
	}
	state, err := fast.RemoveCipher(t.cipher)
	*t = twin{}
	advance(of, &state)
	return err
}

// pull takes over how far the twin has come with the stream of a packet, before userspace turns it. A packet that is too
// short to have one is nobody's.
func (t *twin) pull(fast FastPath, of turner, packet []byte) error {
	if t.cipher == 0 || len(packet) < rtpFixed {
		return nil
	}
	state, err := fast.CipherState(t.cipher)
	var s fastpath.Stream
	if s, t.knows = state.Stream(ssrcOf(packet)); t.knows {
		of.Advance(s.SSRC, srtp.Progress{Highest: s.Highest, Seen: s.Seen})
	}
	return err
}

// push tells the twin of a packet that userspace has turned. It may fail: then the twin is a packet behind, or knows one
// stream less.
func (t *twin) push(fast FastPath, of turner, packet []byte) {
	if t.cipher == 0 || t.full && !t.knows {
		return
	}
	ssrc := ssrcOf(packet)
	if p, ok := of.Progress(ssrc); ok {
		t.full = t.follow(fast, ssrc, p) != nil || t.full
	}
}

// catchUp takes over how far the twin has come with all its streams.
func (t *twin) catchUp(fast FastPath, of turner) error {
	if t.cipher == 0 {
		return nil
	}
	state, err := fast.CipherState(t.cipher)
	advance(of, &state)
	return err
}

const rtpFixed = 12 // bytes of an RTP header (RFC 3550, section 5.1)

func ssrcOf(packet []byte) uint32 { return binary.BigEndian.Uint32(packet[8:]) }

func advance(of turner, state *fastpath.CipherState) {
	for _, s := range state.Streams[:state.Len] {
		of.Advance(s.SSRC, srtp.Progress{Highest: s.Highest, Seen: s.Seen})
	}
}

// turning is what the packets of a flow are decrypted and encrypted with; nil where they are clear.
type turning struct {
	open *inbound
	seal *outbound
}

// turning returns what the packets of a flow need, or why the kernel cannot do it.
func (l *Leg) turning(p *plan, f *fastpath.Flow, to hearers) (t turning, why string) {
	secure := p.Secure
	for _, leg := range to.rtp {
		sp := leg.plan.Load()
		secure = secure || sp != nil && sp.Secure
	}
	for _, leg := range to.rtcp {
		if sp := leg.plan.Load(); sp != nil && sp.Secure {
			return t, "SRTCP"
		}
	}
	switch {
	case !secure:
		return t, ""
	case len(to.rtp) > 1:
		return t, "SRTP with several hearers"
	case f.Treatment != fastpath.Treatment{}:
		return t, "SRTP that is treated"
	}
	if ok, why := l.plane.offload.fast.Secures(); !ok {
		return t, "SRTP: " + why
	}
	if p.Secure {
		if c := l.cipher.Load(); c != nil {
			t.open = c.in
		}
		if t.open == nil {
			return t, "SRTP without keys"
		}
		why = fits(t.open.Params())
	}
	if sink := to.rtp[0]; why == "" && sink.plan.Load().Secure {
		if c := sink.cipher.Load(); c != nil {
			t.seal = c.out
		}
		if t.seal == nil {
			return t, "SRTP without keys"
		}
		why = fits(t.seal.Params())
	}
	return t, why
}

// join brings the keys of a flow into the kernel; with restored, a process before may have done it. The flow must not be
// installed when that fails.
func (t turning) join(fast FastPath, f *fastpath.Flow, restored bool) (err error) {
	if t.open != nil {
		t.open.mu.Lock()
		defer t.open.mu.Unlock()
		if f.Open, err = t.open.twin.join(fast, t.open, origin{restored, f.Local, false}); err != nil {
			return err
		}
	}
	if t.seal != nil {
		t.seal.mu.Lock()
		defer t.seal.mu.Unlock()
		if f.Seal, err = t.seal.twin.join(fast, t.seal, origin{restored, f.Local, true}); err != nil && t.open != nil {
			err = errors.Join(err, t.open.twin.leave(fast, t.open))
		}
	}
	return err
}

// leave takes the keys of a flow out of the kernel once no other needs them. The flow must be out before.
func (t turning) leave(fast FastPath) error {
	var errs []error
	if t.open != nil {
		t.open.mu.Lock()
		defer t.open.mu.Unlock()
		errs = append(errs, t.open.twin.leave(fast, t.open))
	}
	if t.seal != nil {
		t.seal.mu.Lock()
		defer t.seal.mu.Unlock()
		errs = append(errs, t.seal.twin.leave(fast, t.seal))
	}
	return errors.Join(errs...)
}
