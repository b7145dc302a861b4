package fastpath

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// maxTag is the length of the longest tag.
const maxTag = 16

// What callers may want to tell apart.
var (
	ErrNoSRTP   = errors.New("no SRTP in the kernel")
	ErrNoCipher = errors.New("no such cipher")
	// ErrCiphers: there are as many ciphers, or streams of one, as the kernel has room for.
	ErrCiphers = errors.New("no room for more in the kernel")
)

// errNoKfunc: the kernel does not offer what the programs call.
var errNoKfunc = errors.New("no bpf_crypto")

// ciphers are the programs that keep ciphers, and their maps. Without SRTP all are nil.
type ciphers struct {
	srtpPrograms
	srtpMaps
	xdp secureXDPPrograms
	tc  secureTCPrograms
}

func (c *ciphers) Close() error {
	return errors.Join(c.xdp.Close(), c.tc.Close(), c.srtpPrograms.Close(), c.srtpMaps.Close())
}

// loadCiphers brings what SRTP needs into the kernel, and tries it. That it cannot is no error of the plane's.
func (p *Plane) loadCiphers() error {
	if p.tweaks.noCrypto {
		return errNoKfunc
	}
	spec, err := loadSrtp()
	if err != nil {
		return err
	}
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return fmt.Errorf("%w: %w", errNoKfunc, err)
	}
	var kfunc *btf.Func
	if err := kernel.TypeByName("bpf_crypto_encrypt", &kfunc); err != nil {
		return fmt.Errorf("%w: %w", errNoKfunc, err)
	}
	spec.Maps[srtpMapCiphers].MaxEntries = uint32(p.maxFlows)
	spec.Maps[srtpMapGhashTables].MaxEntries = uint32(p.maxFlows)
	var loaded srtpObjects
	if err := spec.LoadAndAssign(&loaded, p.pins.options(spec)); err != nil {
		return fmt.Errorf("load the programs for SRTP: %w", err)
	}
	p.ciphers.srtpPrograms, p.ciphers.srtpMaps = loaded.srtpPrograms, loaded.srtpMaps
	err = p.tryCiphers()
	if err == nil {
		err = p.loadSecure()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("SRTP in the kernel: %w", err), p.dropCiphers())
	}
	return nil
}

// loadSecure brings in the stages that use ciphers. They may be missing each on its own, but not all.
func (p *Plane) loadSecure() error {
	xdp, err := loadSecureXDP()
	if err != nil {
		return err
	}
	tc, err := loadSecureTC()
	if err != nil {
		return err
	}
	for _, spec := range []*ebpf.CollectionSpec{xdp, tc} {
		for name, m := range p.shared(spec).MapReplacements {
			spec.Maps[name].MaxEntries = m.MaxEntries()
		}
	}
	c, stage := &p.ciphers, relayStageSTAGE_SECURE
	p.loadStage(xdp, stageOf{XDP, stage}, secureXDPProgSecureXdp, p.maps.StagesXdp, 0, &c.xdp.SecureXdp)
	p.loadStage(xdp, stageOf{XDPGeneric, stage}, secureXDPProgSecureXdpGeneric, p.maps.StagesXdp, relayStageSTAGE_COUNT, &c.xdp.SecureXdpGeneric)
	p.loadStage(tc, stageOf{TC, stage}, secureTCProgSecureTc, p.stagesTC, 0, &c.tc.SecureTc)
	if c.xdp.SecureXdp == nil && c.xdp.SecureXdpGeneric == nil && c.tc.SecureTc == nil {
		return errors.Join(p.missing[stageOf{XDP, stage}], p.missing[stageOf{TC, stage}])
	}
	return nil
}

func (p *Plane) dropCiphers() error {
	err := p.ciphers.Close()
	p.ciphers = ciphers{}
	return err
}

// trial is a packet to see with that the kernel calculates as it should.
type trial struct {
	clear, sealed   string
	aes, salt, auth string
	tag             int
}

// trials are a packet under AES_CM_128_HMAC_SHA1_80, with the keys of RFC 3711, appendix B.3, and that of RFC 7714, section 16.1.1,
// under AEAD_AES_128_GCM.
var trials = [...]trial{
	{
		clear:  "800f1234decafbadcafebabe" + "abababababababababababababababab",
		sealed: "800f1234decafbadcafebabe" + "4e55dc4ce79978d88ca4d215949d2402" + "b78d6acc99ea179b8dbb",
		aes:    "c61e7a93744f39ee10734afe3ff7a087", salt: "30cbbc08863d8c85d49db34a9ae1",
		auth: "cebe321f6ff7716b6fd4ab49af256a156d38baa4", tag: 10,
	},
	{
		clear: "8040f17b8041f8d35501a0b2" + "47616c6c696120657374206f6d6e697320646976697361" + "20696e207061727465732074726573",
		sealed: "8040f17b8041f8d35501a0b2" + "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833" +
			"899d7f27beb16a9152cf765ee4390cce",
		aes: "000102030405060708090a0b0c0d0e0f", salt: "517569642070726f2071756f", tag: gcmTag,
	},
}

// tryCiphers opens these packets and seals them again: the other way round it would be a replay.
func (p *Plane) tryCiphers() error {
	for i := range trials {
		if err := p.tryOut(&trials[i]); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plane) tryOut(t *trial) (err error) {
	clearPacket, sealedPacket := unhex(t.clear), unhex(t.sealed)
	keys := Keys{AES: unhex(t.aes), Salt: unhex(t.salt), Auth: unhex(t.auth), Tag: t.tag}
	request, err := keys.request()
	if err != nil {
		return err
	}
	c, err := p.addCipher(&request, keys.ghash())
	if err != nil {
		return err
	}
	defer func() {
		_, removed := p.RemoveCipher(c)
		err = errors.Join(err, removed)
	}()
	seq, ssrc := binary.BigEndian.Uint16(clearPacket[2:]), binary.BigEndian.Uint32(clearPacket[8:])
	if err := p.FollowStream(c, Stream{SSRC: ssrc, Highest: uint64(seq - 1)}); err != nil {
		return err
	}
	for _, way := range []struct {
		open, seal Cipher
		in, out    []byte
	}{{c, 0, sealedPacket, clearPacket}, {0, c, clearPacket, sealedPacket}} {
		reason, out, err := p.tryCipher(way.open, way.seal, way.in)
		if err != nil {
			return err
		}
		if reason != relayReasonREASON_RELAYED || !bytes.Equal(out, way.out) {
			return fmt.Errorf("%x becomes %x, not %x", way.in, out, way.out)
		}
	}
	return nil
}

// tryCipher has the program for it open and seal an RTP packet.
func (p *Plane) tryCipher(open, seal Cipher, packet []byte) (relayReason, []byte, error) {
	const head = 8 // struct trial in cipher.c
	in := make([]byte, 0, head+len(packet))
	in = binary.NativeEndian.AppendUint32(in, uint32(open))
	in = binary.NativeEndian.AppendUint32(in, uint32(seal))
	opts := ebpf.RunOptions{Data: append(in, packet...), DataOut: make([]byte, cap(in)+maxTag)}
	code, err := p.ciphers.CipherTry.Run(&opts)
	if err != nil {
		return 0, nil, err
	}
	return relayReason(code), opts.DataOut[min(head, len(opts.DataOut)):], nil
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err) // a constant
	}
	return b
}

// explainCipher turns what the kernel says into what can be done about it, as explain does.
func explainCipher(err error) string {
	var refused *ebpf.VerifierError
	switch {
	case errors.As(err, &refused):
		return fmt.Sprintf("the kernel refuses the programs for SRTP (%v)", err)
	case errors.Is(err, errNoKfunc):
		return fmt.Sprintf("the kernel offers its ciphers not to eBPF: Linux 6.10 or newer does (%v)", err)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Sprintf("the kernel has no ecb(aes): load its modules aes and ecb (%v)", err)
	}
	return explain(err)
}
