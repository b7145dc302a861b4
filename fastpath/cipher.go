package fastpath

import (
	"crypto/sha1"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Cipher is the number of an SRTP cipher in the kernel: the session keys of one direction of a leg, and what is known of the
// streams under them. 0 is none. Any number of flows may use one.
type Cipher uint32

// CipherStreams is how many SSRCs the kernel follows for one cipher. Packets of others go up to the socket.
const CipherStreams = 4

// ReplayWindow is the replay window of the kernel in packets.
const ReplayWindow = 128

// Keys are the session keys of a suite that encrypts with AES in counter mode and authenticates with HMAC-SHA1 (RFC 3711,
// section 4; RFC 6188), or does both by GCM (RFC 7714).
type Keys struct {
	AES  []byte // 16, 24 or 32 bytes; with GCM not 24
	Salt []byte // 14 bytes; with GCM 12
	Auth []byte // 20 bytes; with GCM none
	Tag  int    // length of the tag in bytes: 10 or 4; with GCM 16
}

// gcmTag is the length of the tag of GCM, and of no other suite.
const gcmTag = 16

// Stream is what is known of one SSRC under a cipher.
type Stream struct {
	SSRC    uint32
	Highest uint64    // index of a packet: rollover counter << 16 | sequence number
	Seen    [2]uint64 // bit i of the whole tells whether the packet with index Highest-i has passed
}

// CipherState is what the kernel knows of the streams of a cipher.
type CipherState struct {
	Streams [CipherStreams]Stream // the first Len of them
	Len     int
}

// Stream returns what is known of an SSRC.
func (s *CipherState) Stream(ssrc uint32) (Stream, bool) {
	for _, have := range s.Streams[:s.Len] {
		if have.SSRC == ssrc {
			return have, true
		}
	}
	return Stream{}, false
}

// cipherValue is struct cipher in bpf/cipher.h, which asserts the offsets.
type cipherValue struct {
	AES     uint64 // never seen here
	Lock    uint32
	Tag     uint32
	Keys    srtpCipherKeys
	Streams [CipherStreams]srtpCipherStream
}

// cipherLookup is what reading a cipher needs, kept because the kernel wants it on the heap.
type cipherLookup struct {
	id    uint32
	value cipherValue
}

func (v *cipherValue) state() (s CipherState) {
	for _, stream := range v.Streams {
		if stream.Used != 0 {
			s.Streams[s.Len] = Stream{SSRC: stream.Ssrc, Highest: stream.Highest, Seen: stream.Seen}
			s.Len++
		}
	}
	return s
}

// Secures tells whether flows can be encrypted and decrypted in the kernel, and if not, why in words.
func (p *Plane) Secures() (ok bool, why string) {
	if p.maps.Flows == nil {
		return false, "no kernel plane"
	}
	if p.cipherErr != nil {
		return false, explainCipher(p.cipherErr)
	}
	return true, ""
}

// AddCipher brings session keys into the kernel. It knows no stream yet: their packets go up until FollowStream. The error is
// ErrNoSRTP with the reason, ErrCiphers, or tells what is wrong with the keys.
func (p *Plane) AddCipher(k Keys) (Cipher, error) {
	request, err := k.request()
	if err != nil {
		return 0, fmt.Errorf("add a cipher: %w", err)
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.noCiphers(); err != nil {
		return 0, fmt.Errorf("add a cipher: %w", err)
	}
	return p.addCipher(&request, k.ghash())
}

// noCiphers needs p.mu.
func (p *Plane) noCiphers() error {
	switch {
	case p.closed:
		return ErrClosed
	case p.maps.Flows == nil || p.cipherErr != nil:
		_, why := p.Secures()
		return fmt.Errorf("%w: %s", ErrNoSRTP, why)
	}
	return nil
}

// addCipher needs p.mu. The table is for GCM, else nil.
func (p *Plane) addCipher(request *srtpCipherRequest, table *srtpGhashTable) (c Cipher, err error) {
	defer clear(request.Key[:])
	for {
		request.Id = p.lastCipher.Add(1)
		if request.Id == 0 {
			continue // none
		}
		err := p.ciphers.Ciphers.Update(&request.Id, &cipherValue{}, ebpf.UpdateNoExist)
		if errors.Is(err, ebpf.ErrKeyExist) {
			continue // of a process before
		}
		if errors.Is(err, unix.E2BIG) {
			return 0, fmt.Errorf("add a cipher: %w", ErrCiphers)
		}
		if err != nil {
			return 0, fmt.Errorf("add a cipher: %w", err)
		}
		break
	}
	if table != nil {
		err = p.ciphers.GhashTables.Update(&request.Id, table, ebpf.UpdateAny)
		*table = srtpGhashTable{}
	}
	if err == nil {
		err = p.ask(p.ciphers.CipherSet, request)
	}
	if request.Error != 0 {
		err = errors.Join(err, fmt.Errorf("the kernel makes no ecb(aes): %w", unix.Errno(-request.Error)))
	}
	if err != nil {
		_, removed := p.removeCipher(Cipher(request.Id))
		return 0, errors.Join(fmt.Errorf("add a cipher: %w", err), removed)
	}
	p.ownCiphers.Store(Cipher(request.Id), true)
	return Cipher(request.Id), nil
}

// AdoptCipher returns the cipher that a flow of a process before encrypts with, or decrypts with unless seal is set, if it
// has the keys k.
func (p *Plane) AdoptCipher(local netip.AddrPort, seal bool, k Keys) (c Cipher, adopted bool) {
	local = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	request, err := k.request()
	key, flow := encodeEndpoint(local), relayFlow{}
	if err != nil || !p.adopted() || p.flow(local, func(m *ebpf.Map) error { return m.Lookup(&key, &flow) }) != nil {
		return 0, false
	}
	if c = Cipher(flow.Open); seal {
		c = Cipher(flow.Seal)
	}
	id, value := uint32(c), cipherValue{}
	err = p.cipher(c, func() error { return p.ciphers.Ciphers.LookupWithFlags(&id, &value, ebpf.LookupLock) })
	// The key of AES cannot be seen, but it comes from the same master key as the others.
	if err != nil || value.Tag != request.Tag || value.Keys != request.Keys {
		return 0, false
	}
	p.ownCiphers.Store(c, true)
	return c, true
}

// sweepCiphers removes what a process before has left and nobody has adopted. It needs p.mu.
func (p *Plane) sweepCiphers() error {
	if p.ciphers.Ciphers == nil || !p.adopted() {
		return nil
	}
	var left []Cipher
	var id uint32
	var value cipherValue
	all := p.ciphers.Ciphers.Iterate()
	for all.Next(&id, &value) {
		if _, own := p.ownCiphers.Load(Cipher(id)); !own {
			left = append(left, Cipher(id))
		}
	}
	errs := []error{all.Err()}
	for _, c := range left {
		_, err := p.removeCipher(c)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ask runs one of the programs of cipher.c. The answer is in the request.
func (p *Plane) ask(program *ebpf.Program, request *srtpCipherRequest) error {
	code, err := program.Run(&ebpf.RunOptions{Context: request, ContextOut: request})
	if err != nil {
		return err
	}
	if n := int32(code); n < 0 {
		return unix.Errno(-n)
	}
	return nil
}

// FollowStream tells a cipher of a stream: a new one, which the kernel serves from then on, or what has been seen of one that
// it knows already. The error is ErrCiphers when there are CipherStreams others, and ErrNoCipher.
func (p *Plane) FollowStream(c Cipher, s Stream) error {
	request := srtpCipherRequest{
		Id: uint32(c), Stream: srtpCipherStream{Ssrc: s.SSRC, Highest: s.Highest, Seen: s.Seen, Used: 1},
	}
	return p.cipher(c, func() error { return p.ask(p.ciphers.CipherFollow, &request) })
}

// CipherState reads what the kernel knows of the streams of a cipher. It allocates nothing. The error is ErrNoCipher.
func (p *Plane) CipherState(c Cipher) (s CipherState, err error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.noCiphers(); err != nil {
		return s, cipherError(c, err)
	}
	l := p.lookups.Get().(*cipherLookup)
	defer p.lookups.Put(l)
	l.id = uint32(c)
	if err := p.ciphers.Ciphers.LookupWithFlags(&l.id, &l.value, ebpf.LookupLock); err != nil {
		return s, cipherError(c, err)
	}
	s = l.value.state()
	l.value.Keys = srtpCipherKeys{}
	return s, nil
}

// RemoveCipher wipes a cipher and returns what the kernel knew in the end: no packet is sent with it any more. Flows that
// still use it pass their packets up.
func (p *Plane) RemoveCipher(c Cipher) (s CipherState, err error) {
	err = p.cipher(c, func() error { s, err = p.removeCipher(c); return err })
	return s, err
}

func (p *Plane) removeCipher(c Cipher) (s CipherState, err error) {
	request, value := srtpCipherRequest{Id: uint32(c)}, cipherValue{}
	if err := p.ask(p.ciphers.CipherWipe, &request); err != nil {
		return s, err
	}
	err = p.ciphers.Ciphers.LookupAndDelete(&request.Id, &value)
	if gone := p.ciphers.GhashTables.Delete(&request.Id); !errors.Is(gone, ebpf.ErrKeyNotExist) { // others have none
		err = errors.Join(err, gone)
	}
	p.ownCiphers.Delete(c)
	return value.state(), err
}

// cipher does one thing with a cipher.
func (p *Plane) cipher(c Cipher, do func() error) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	err := p.noCiphers()
	if err == nil {
		err = do()
	}
	return cipherError(c, err)
}

// cipherError says what the kernel means.
func cipherError(c Cipher, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ebpf.ErrKeyNotExist), errors.Is(err, unix.ENOENT):
		err = ErrNoCipher
	case errors.Is(err, unix.ENOSPC):
		err = fmt.Errorf("%w: it follows %d streams", ErrCiphers, CipherStreams)
	}
	return fmt.Errorf("cipher %d: %w", c, err)
}

// request is how the programs take k.
func (k *Keys) request() (r srtpCipherRequest, err error) {
	salt, auth := 14, sha1.Size
	if k.Tag == gcmTag {
		salt, auth = 12, 0
	}
	switch {
	case len(k.AES) != 16 && len(k.AES) != 32 && (len(k.AES) != 24 || k.Tag == gcmTag):
		return r, fmt.Errorf("an AES key of %d bytes", len(k.AES))
	case len(k.Salt) != salt:
		return r, fmt.Errorf("a salt of %d bytes, not %d", len(k.Salt), salt)
	case len(k.Auth) != auth:
		return r, fmt.Errorf("an authentication key of %d bytes, not %d", len(k.Auth), auth)
	case k.Tag != 10 && k.Tag != 4 && k.Tag != gcmTag:
		return r, fmt.Errorf("a tag of %d bytes, not 10, 4 or %d", k.Tag, gcmTag)
	}
	r.Tag, r.KeyLen = uint32(k.Tag), uint32(len(k.AES))
	copy(r.Key[:], k.AES)
	copy(r.Keys.Salt[:], k.Salt)
	if k.Tag == gcmTag {
		return r, nil
	}
	if r.Keys.Inner, err = midstate(k.Auth, 0x36); err == nil {
		r.Keys.Outer, err = midstate(k.Auth, 0x5c)
	}
	return r, err
}

// midstate is the state of SHA-1 after the key, filled up to a block and mixed with pad (RFC 2104).
func midstate(key []byte, pad byte) (state [5]uint32, err error) {
	block := make([]byte, sha1.BlockSize)
	copy(block, key)
	for i := range block {
		block[i] ^= pad
	}
	h := sha1.New()
	h.Write(block)
	raw, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil || len(raw) < 4+sha1.Size {
		return state, fmt.Errorf("read the state of SHA-1: %w", err)
	}
	for i := range state {
		state[i] = binary.BigEndian.Uint32(raw[4+4*i:]) // behind a mark of four bytes
	}
	return state, nil
}
