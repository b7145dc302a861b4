package media

import (
	"errors"
	"sync"
	"unsafe"

	"github.com/weir-media/weir/rtp"
	"github.com/weir-media/weir/srtp"
)

// Keys are the SRTP keys of a leg, one set for each direction. The zero value has none.
type Keys struct {
	In  *srtp.Params // the peer protects with; nil: it sends in clear
	Out *srtp.Params // the peer expects; nil: it is sent clear packets
}

func (k Keys) equal(other Keys) bool {
	return sameParams(k.In, other.In) && sameParams(k.Out, other.Out)
}

func sameParams(a, b *srtp.Params) bool { return a == b || a != nil && b != nil && a.Equal(*b) }

// cipher is the SRTP state of a leg. Only the leg's worker uses in. It is immutable, but what it refers to is not.
type cipher struct {
	keys Keys
	in   *srtp.Inbound
	out  *outbound
}

// outbound protects what leaves by a leg. Whoever sends by the leg uses it, under mu: that is the same worker unless calls
// were joined, so that nobody waits. It outlives the cipher that it was made for.
type outbound struct {
	mu sync.Mutex
	*srtp.Outbound
}

// newCipher prepares for keys, going on where the state before was: with an unchanged key all stays, with another the
// rollover counters do (RFC 3711, section 3.3.1). Two legs of a pair with the same key have the same state: RTCP goes by the
// one or, muxed, by the other, and no index may be used twice. The legs' worker calls it.
func newCipher(keys Keys, before, beside *cipher) (*cipher, error) {
	if before == nil {
		before = new(cipher)
	}
	if beside == nil {
		beside = new(cipher)
	}
	c := &cipher{keys: keys}
	var err error
	switch {
	case keys.In == nil:
	case before.in != nil && sameParams(keys.In, before.keys.In):
		c.in = before.in
	case beside.in != nil && sameParams(keys.In, beside.keys.In):
		c.in = beside.in
	default:
		if c.in, err = srtp.NewInbound(*keys.In); err != nil {
			return nil, err
		}
		if before.in != nil {
			c.in.Import(forNewKey(before.in.Export())...)
		}
	}
	switch {
	case keys.Out == nil:
	case before.out != nil && sameParams(keys.Out, before.keys.Out):
		c.out = before.out
	case beside.out != nil && sameParams(keys.Out, beside.keys.Out):
		c.out = beside.out
	default:
		out, err := srtp.NewOutbound(*keys.Out)
		if err != nil {
			return nil, err
		}
		if before.out != nil {
			before.out.mu.Lock()
			defer before.out.mu.Unlock()
			out.Import(forNewKey(before.out.Export())...)
		}
		c.out = &outbound{Outbound: out}
	}
	return c, nil
}

func forNewKey(states []srtp.State) []srtp.State {
	for i, s := range states {
		states[i] = s.ForNewKey()
	}
	return states
}

// SetKeys gives the leg other keys, as a handshake does when it has found them. It takes effect after the packets that the
// worker is busy with, and has none if signalling has given keys by then. Keys are not used while Settings.Secure is not set.
// The error is that of srtp.Params.Validate.
func (l *Leg) SetKeys(keys Keys) error {
	for _, p := range []*srtp.Params{keys.In, keys.Out} {
		if p != nil {
			if err := p.Validate(); err != nil {
				return err
			}
		}
	}
	l.worker.do(func() {
		if p := l.plan.Load(); p == nil || p.Keys == (Keys{}) {
			l.rekey(keys)
		}
	})
	return nil
}

// rekey is for the worker. What there was for other keys is forgotten, but stays while there is no use for it: an index that
// was used with a key must not come again.
func (l *Leg) rekey(keys Keys) {
	before := l.cipher.Load()
	if before != nil && before.keys.equal(keys) {
		return
	}
	var beside *cipher
	if l.beside != nil {
		beside = l.beside.cipher.Load()
	}
	if c, err := newCipher(keys, before, beside); err == nil {
		l.cipher.Store(c)
	} else {
		l.plane.log.Error("SRTP keys cannot be used", "local", l.local, "err", err)
	}
	l.plane.offload.changed(l)
	l.tell()
}

// secured tells why packets of a leg cannot pass as they are; empty when they can.
func (l *Leg) secured(p *plan) string {
	if p.Secure {
		return "SRTP"
	}
	return ""
}

// unprotect turns what a leg has received into clear RTP or RTCP in place. Sealed tells whether the packet proves that its
// sender has the keys.
func (w *worker) unprotect(l *Leg, p *plan, class rtp.Class, data []byte) (clear []byte, sealed bool, why Drop, ok bool) {
	if !p.Secure {
		return data, false, 0, true
	}
	c := l.cipher.Load()
	if c == nil || c.in == nil {
		return nil, false, DropNoKeys, false
	}
	var err error
	if class == rtp.RTCP {
		data, err = c.in.UnprotectRTCP(data)
	} else {
		data, err = c.in.UnprotectRTP(data)
	}
	switch {
	case err == nil:
		return data, class == rtp.RTCP || !c.keys.In.UnauthenticatedRTP, 0, true
	case errors.Is(err, srtp.ErrReplay):
		return data, false, DropReplay, false
	}
	return data, false, DropAuth, false
}

// proof is what a leg tells the peer by whose SRTP packets pass as they are. Only the leg's worker uses it.
type proof struct {
	in    *srtp.Inbound
	found bool // a packet had the keys. Later on the rollover counter is not known, so that others cannot be told apart
}

// prove tells whether a packet has the keys of Settings.Proof.
func (w *worker) prove(l *Leg, p *plan, class rtp.Class, data []byte) bool {
	if have := l.proof.in; have == nil || !have.Params().Equal(*p.Proof) {
		in, err := srtp.NewInbound(*p.Proof)
		if err != nil {
			w.plane.log.Error("SRTP keys cannot be used", "local", l.local, "err", err)
			return false
		}
		l.proof.in = in
	}
	// The packet goes on as it is, so that it is a copy which is deciphered.
	if w.out.n == batchSize {
		w.flush()
	}
	packet := append(w.out.room(), data...)
	var err error
	if class == rtp.RTCP {
		_, err = l.proof.in.UnprotectRTCP(packet)
	} else {
		_, err = l.proof.in.UnprotectRTP(packet)
	}
	if err != nil {
		return false
	}
	l.proof.found = true
	return true
}

// protect writes a packet in the room of its place in the outgoing batch as the peer of a leg expects it, unless it expects
// clear packets. The packet may be in that room already.
func (w *worker) protect(to *Leg, class rtp.Class, data []byte) (out []byte, why Drop, ok bool) {
	if p := to.plan.Load(); p == nil || !p.Secure {
		return data, 0, true
	}
	if class != rtp.RTP && class != rtp.RTCP {
		return nil, DropUnsealed, false
	}
	c := to.cipher.Load()
	if c == nil || c.out == nil {
		return nil, DropNoKeys, false
	}
	out = w.out.room()
	if unsafe.SliceData(out) == unsafe.SliceData(data) {
		out = data
	} else {
		if len(data)+srtp.MaxOverhead > cap(out) {
			return nil, DropTooLong, false
		}
		out = append(out, data...)
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	var err error
	if class == rtp.RTCP {
		out, err = c.out.ProtectRTCP(out)
	} else {
		out, err = c.out.ProtectRTP(out)
	}
	return out, DropProtect, err == nil
}
