package ice

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/stun/v4"
)

// unhex reads the hex dumps of RFC 5769.
func unhex(t *testing.T, dump string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(dump), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const vectorPassword = "VOkJxbRl1RmTxUk/WvJxBt"

// TestVectors are the messages of RFC 5769, sections 2.1 to 2.3: padded with blanks, which we would not do.
func TestVectors(t *testing.T) {
	key := newIntegrityKey(vectorPassword)
	for _, c := range []struct {
		name, dump string
		kind       uint16
		mapped     string
		username   string
		priority   uint32
		tieBreaker uint64
	}{
		{name: "2.1 request", kind: bindingRequest, username: "evtj:h6vY", priority: 0x6e0001ff, tieBreaker: 0x932ff9b151263b36, dump: `
			00010058 2112a442 b7e7a701 bc34d686 fa87dfae 80220010 5354554e 20746573 7420636c 69656e74 00240004 6e0001ff
			80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020 00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249
			c1b571a2 80280004 e57a3bcf`},
		{name: "2.2 IPv4 response", kind: bindingSuccess, mapped: "192.0.2.1:32853", dump: `
			0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200008 0001a147 e112a643
			00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96`},
		{name: "2.3 IPv6 response", kind: bindingSuccess, mapped: "[2001:db8:1234:5678:11:2233:4455:6677]:32853", dump: `
			01010048 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200014 0002a147 0113a9fa
			a5d3f179 bc25f4b5 bed2b9d9 00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c`},
	} {
		t.Run(c.name, func(t *testing.T) {
			pkt := unhex(t, c.dump)
			m, ok := parse(pkt)
			if !ok || m.kind != c.kind || string(m.username) != c.username || m.priority != c.priority || m.tieBreaker != c.tieBreaker {
				t.Fatalf("got %+v, %v", m, ok)
			}
			if c.mapped != "" && m.mapped != netip.MustParseAddrPort(c.mapped) {
				t.Errorf("mapped address %v, want %v", m.mapped, c.mapped)
			}
			if !key.authentic(&m) {
				t.Error("the signature is not accepted")
			}
			for i := range len(pkt) - fingerprintSize {
				spoilt := bytes.Clone(pkt)
				spoilt[i] ^= 0x10
				binary.BigEndian.PutUint32(spoilt[len(pkt)-4:], fingerprint(spoilt[:len(pkt)-fingerprintSize]))
				if m, ok := parse(spoilt); ok && key.authentic(&m) {
					t.Errorf("a change of byte %d is accepted", i)
				}
			}
			if newIntegrityKey("another").authentic(&m) {
				t.Error("another password is accepted")
			}
		})
	}
}

// TestPionReadsOurs lets another implementation read what ours writes.
func TestPionReadsOurs(t *testing.T) {
	id := transactionID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	for _, addr := range []string{"192.0.2.200:40001", "[2001:db8::99]:1024"} {
		for _, software := range []string{"", "x", "weir-1.2.3"} {
			var w writer
			w.begin(bindingRequest, id)
			if software != "" {
				w.text(attrSoftware, software)
			}
			w.text(attrUsername, "theirs:ours")
			w.uint64(attrControlling, 77)
			w.uint32(attrPriority, 0x6effffff)
			w.header(attrUseCandidate, 0)
			w.xorMapped(netip.MustParseAddrPort(addr))
			w.errorCode(487, "Role Conflict")
			w.unknown([]uint16{0x7001})
			pkt := bytes.Clone(w.finish(newIntegrityKey("password")))

			m := stun.New()
			if err := stun.Decode(pkt, m); err != nil {
				t.Fatal(err)
			}
			var mapped stun.XORMappedAddress
			var code stun.ErrorCodeAttribute
			var name stun.Username
			var unknown stun.UnknownAttributes
			err := errors.Join(m.Check(stun.Fingerprint, stun.NewShortTermIntegrity("password")), mapped.GetFrom(m),
				code.GetFrom(m), name.GetFrom(m), unknown.GetFrom(m))
			if err != nil {
				t.Fatal(err)
			}
			if mapped.String() != addr || code.Code != 487 || string(code.Reason) != "Role Conflict" ||
				name.String() != "theirs:ours" || len(unknown) != 1 || unknown[0] != 0x7001 || m.TransactionID != id {
				t.Errorf("read as %v %v %v %v", mapped, code, name, unknown)
			}
		}
	}
}

// TestOursReadPion is the reverse.
func TestOursReadPion(t *testing.T) {
	pkt := stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.NewSoftware("other"), stun.NewUsername("ours:theirs"),
		stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{0x6e, 0, 1, 0xff}},
		stun.RawAttribute{Type: stun.AttrICEControlled, Value: []byte{0, 0, 0, 0, 0, 0, 1, 0}},
		stun.RawAttribute{Type: 0x7abc, Value: []byte{1, 2, 3}}, stun.NewShortTermIntegrity("password"), stun.Fingerprint).Raw
	m, ok := parse(pkt)
	if !ok || !newIntegrityKey("password").authentic(&m) {
		t.Fatalf("refused: %x", pkt)
	}
	if string(m.username) != "ours:theirs" || m.priority != 0x6e0001ff || !m.controlled || m.controlling || m.tieBreaker != 256 ||
		m.nominate || m.unknownCount != 1 || m.unknown[0] != 0x7abc {
		t.Errorf("read as %+v", m)
	}
}

func TestParseRefuses(t *testing.T) {
	var w writer
	w.begin(bindingRequest, transactionID{9})
	w.text(attrUsername, "ours:theirs")
	w.uint32(attrPriority, 5)
	good := bytes.Clone(w.finish(newIntegrityKey("password")))
	for _, c := range []struct {
		name  string
		spoil func([]byte) []byte
	}{
		{"nothing", func([]byte) []byte { return nil }},
		{"half a header", func(b []byte) []byte { return b[:12] }},
		{"another cookie", func(b []byte) []byte { b[4]++; return b }},
		{"RTP", func(b []byte) []byte { b[0] = 0x80; return b }},
		{"cut short", func(b []byte) []byte { return b[:len(b)-4] }},
		{"bytes after the end", func(b []byte) []byte { return append(b, 0, 0, 0, 0) }},
		{"a length that is no multiple of four", func(b []byte) []byte { b[3]--; return b[:len(b)-1] }},
		{"an attribute beyond the end", func(b []byte) []byte { b[23] = 0xff; return b }},
		{"a wrong fingerprint", func(b []byte) []byte { b[len(b)-1]++; return b }},
		{"a priority of two bytes", func(b []byte) []byte { b[39] = 2; return b }},
	} {
		if m, ok := parse(c.spoil(bytes.Clone(good))); ok {
			t.Errorf("%s: accepted as %+v", c.name, m)
		}
	}
	if _, ok := parse(good); !ok {
		t.Error("the message itself is refused")
	}
}

// TestUnsignedAttributes: what follows the signature must not count.
func TestUnsignedAttributes(t *testing.T) {
	key := newIntegrityKey("password")
	var w writer
	w.begin(bindingRequest, transactionID{9})
	w.text(attrUsername, "ours:theirs")
	w.finish(key)
	w.buf = w.buf[:len(w.buf)-fingerprintSize]
	w.header(attrUseCandidate, 0)
	w.length(fingerprintSize)
	w.uint32(attrFingerprint, fingerprint(w.buf))
	m, ok := parse(w.buf)
	if !ok || !key.authentic(&m) {
		t.Fatal("the message is refused")
	}
	if m.nominate {
		t.Error("an unsigned USE-CANDIDATE counts")
	}
}
