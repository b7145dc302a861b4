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

// cipher is the SRTP state of a leg. It is immutable, but what it refers to is not.
type cipher struct {
	keys Keys
	in   *inbound
	out  *outbound
}

// inbound unprotects what arrives on a leg. The leg's worker uses it under mu, and the offloader when flows come and go.
type inbound struct {
	mu sync.Mutex
	*srtp.Inbound
	twin twin
}

// outbound protects what leaves by a leg. Whoever sends by the leg uses it, under mu: that is the same worker unless calls
// were joined, so that nobody waits. It outlives the cipher that it was made for.
type outbound struct {
	mu sync.Mutex
	*srtp.Outbound
	twin twin
}

// newCipher prepares for keys, going on where the state before was: with an unchanged key all stays, with another the
// rollover counters do (RFC 3711, section 3.3.1). Two legs of a pair with the same key have the same state: RTCP goes by the
// one or, muxed, by the other, and no index may be used twice. The legs' worker calls it.
func newCipher(fast FastPath, keys Keys, before, beside *cipher) (*cipher, error) {
	if before == nil {
		before = new(cipher)
	}
	if beside == nil {
		beside = new(cipher)
	}
	c := &cipher{keys: keys}
	switch {
	case keys.In == nil:
	case before.in != nil && sameParams(keys.In, before.keys.In):
		c.in = before.in
	case beside.in != nil && sameParams(keys.In, beside.keys.In):
		c.in = beside.in
	default:
		in, err := srtp.NewInbound(*keys.In)
		if err != nil {
			return nil, err
		}
		if before.in != nil {
			before.in.mu.Lock()
			defer before.in.mu.Unlock()
			if err := before.in.twin.catchUp(fast, before.in); err != nil {
				return nil, err
			}
			in.Import(forNewKey(before.in.Export())...)
		}
		c.in = &inbound{Inbound: in}
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
			if err := before.out.twin.catchUp(fast, before.out); err != nil {
				return nil, err
			}
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
	if c, err := newCipher(l.plane.offload.fast, keys, before, beside); err == nil {
		l.cipher.Store(c)
	} else {
		l.plane.logs.srtp.Error("SRTP keys cannot be used", "local", l.local, "err", err)
	}
	l.plane.offload.changed(l)
	l.tell()
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
	data, err := c.in.unprotect(l.plane.offload.fast, class, data)
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
			w.plane.logs.srtp.Error("SRTP keys cannot be used", "local", l.local, "err", err)
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
	out, err := c.out.protect(to.plane.offload.fast, class, out)
	return out, DropProtect, err == nil
}

func (in *inbound) unprotect(fast FastPath, class rtp.Class, data []byte) ([]byte, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if class == rtp.RTCP {
		return in.UnprotectRTCP(data)
	}
	if err := in.twin.pull(fast, in, data); err != nil {
		return nil, err
	}
	data, err := in.UnprotectRTP(data)
	if err == nil {
		in.twin.push(fast, in, data)
	}
	return data, err
}

func (o *outbound) protect(fast FastPath, class rtp.Class, data []byte) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if class == rtp.RTCP {
		return o.ProtectRTCP(data)
	}
	if err := o.twin.pull(fast, o, data); err != nil {
		return nil, err
	}
	data, err := o.ProtectRTP(data)
	if err == nil {
		o.twin.push(fast, o, data)
	}
	return data, err
}
