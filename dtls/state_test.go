package dtls

import (
	"bytes"
	"encoding/gob"
	"slices"
	"testing"

	"github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/pion/dtls/v3/pkg/protocol"
	"github.com/pion/dtls/v3/pkg/protocol/extension"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
)

// encode is what the library does with a state, with a field that is of no use here.
func encode(t testing.TB, e exportedState) []byte {
	t.Helper()
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(struct {
		MasterSecret              []byte
		LocalRandom, RemoteRandom [helloRandomSize]byte
		CipherSuiteID             uint16
		RemoteSequenceNumber      uint64
		IsClient                  bool
		SessionID                 []byte
	}{
		MasterSecret: e.MasterSecret, LocalRandom: e.LocalRandom, RemoteRandom: e.RemoteRandom, CipherSuiteID: e.CipherSuiteID,
		RemoteSequenceNumber: e.RemoteSequenceNumber, IsClient: e.IsClient, SessionID: []byte("session"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestStatesAreReadOneAfterTheOther(t *testing.T) {
	var other bytes.Buffer
	if err := gob.NewEncoder(&other).Encode(struct{ CipherSuiteID uint16 }{7}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*states{nil, new(states)} {
		for i := range 20 {
			// Fields that are zero are not in the stream: what an earlier state had there must not come up.
			want := exportedState{CipherSuiteID: uint16(i), IsClient: i%2 == 0, RemoteSequenceNumber: uint64(i % 3)}
			if i%4 == 0 {
				want.MasterSecret = bytes.Repeat([]byte{byte(i + 1)}, 48)
				want.LocalRandom[i] = 1
			}
			got, err := s.read(encode(t, want))
			if err != nil || !bytes.Equal(got.MasterSecret, want.MasterSecret) || got.LocalRandom != want.LocalRandom ||
				got.CipherSuiteID != want.CipherSuiteID || got.IsClient != want.IsClient || got.RemoteSequenceNumber != want.RemoteSequenceNumber {
				t.Fatalf("state %d: %+v, %v, want %+v", i, got, err, want)
			}
			switch i {
			case 5: // another description
				if got, err := s.read(other.Bytes()); err != nil || got.CipherSuiteID != 7 {
					t.Fatalf("%+v, %v", got, err)
				}
			case 10:
				if _, err := s.read(encode(t, want)[:60]); err == nil {
					t.Fatal("half a state is read")
				}
			}
		}
	}
}

func FuzzStateTypes(f *testing.F) {
	f.Add(encode(f, exportedState{CipherSuiteID: 1}))
	f.Fuzz(func(t *testing.T, encoded []byte) {
		if types := typesIn(encoded); !bytes.HasPrefix(encoded, types) || len(types) > 0 && len(types) == len(encoded) {
			t.Errorf("%x has the types %x", encoded, types)
		}
	})
}

func TestKeysAreExchangedOnP256WithThoseWhoCan(t *testing.T) {
	hello := func(curves ...elliptic.Curve) []byte {
		h := &handshake.Handshake{Message: &handshake.MessageClientHello{
			Version: protocol.Version1_2, CipherSuiteIDs: []uint16{0xc02b},
			CompressionMethods: []*protocol.CompressionMethod{{}},
			Extensions:         []extension.Extension{&extension.SupportedEllipticCurves{EllipticCurves: curves}},
		}}
		body, err := h.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		record := []byte{handshakeRecord, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, byte(len(body) >> 8), byte(len(body))}
		return append(record, body...)
	}
	all := []elliptic.Curve{elliptic.P256, elliptic.X25519, elliptic.P384}
	for _, c := range []struct {
		name string
		a    attempt
		want []elliptic.Curve
	}{
		{"a client that likes another one better", attempt{role: Passive, hello: hello(elliptic.X25519, elliptic.P256)}, []elliptic.Curve{elliptic.P256}},
		{"a client that cannot", attempt{role: Passive, hello: hello(elliptic.X25519, elliptic.P384)}, all},
		{"a hello in fragments", attempt{role: Passive, hello: hello(elliptic.P256)[:70]}, all},
		{"no hello", attempt{role: Passive}, all},
		{"the client's side", attempt{role: Active}, all},
	} {
		if got := c.a.curves(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
