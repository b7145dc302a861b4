package srtp

import (
	"bytes"
	"crypto/cipher"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeyStreamOfCounterMode(t *testing.T) {
	for _, c := range []struct {
		name, key, first, last string
		lastBlock              int
	}{
		{
			"RFC 3711, appendix B.2", "2b7e151628aed2a6abf7158809cf4f3c",
			"e03ead0935c95e80e166b16dd92b4eb4 d23513162b02d0f72a43a2fe4a5f97ab 41e95b3bb0a2e8dd477901e4fca894c0",
			"ec8cdf7398607cb0f2d21675ea9ea1e4 362b7c3c6773516318a077d7fc5073ae 6a2cc3787889374fbeb4c81b17ba6c44", 0xfeff,
		},
		{
			"RFC 6188, section 7.1", "57f82fe3613fd170a85ec93c40b1f092 2ec4cb0dc025b58272147cc438944a98",
			"92bdd28a93c3f52511c677d08b5515a4 9da71b2378a854f67050756ded165bac 63c4868b7096d88421b563b8c94c9a31",
			"cea518c90fd91ced9cbb18c078a54711 3dbc4814f4da5f00a08772b63c6a046d 6eb246913062a16891433e97dd01a57f", 0xfeff,
		},
		{
			"RFC 6188, section 7.3", "eab234764e517b2d3d160d587d8c8621 9740f65f99b6bcf7",
			"35096cba4610028dc1b57503804ce37c 5de986291dcce161d5165ec4568f5c9a 474a40c77894bc17180202272a4c264d",
			"d108d1a31a00bad6367ec23eb044b415 c8f57129fdeb970b59f917b257662d4c a5dab625811034e8cebdfeb6dc158dd3", 0xfeff,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			stream := newCM(unhex(t, c.key), unhex(t, "f0f1f2f3f4f5f6f7f8f9fafbfcfd"))
			pkt := make([]byte, 12+16*(c.lastBlock+3)) // SSRC, sequence number and rollover counter of zero
			stream.xorRTP(pkt, 12, 0)
			if got, want := pkt[12:12+48], unhex(t, c.first); !bytes.Equal(got, want) {
				t.Errorf("first blocks %x\nwant         %x", got, want)
			}
			if got, want := pkt[len(pkt)-48:], unhex(t, c.last); !bytes.Equal(got, want) {
				t.Errorf("last blocks %x\nwant        %x", got, want)
			}
		})
	}
}

func TestF8(t *testing.T) {
	// RFC 3711, appendix B.1.
	stream := newF8(unhex(t, "234829008467be186c3de14aae72d62c"), unhex(t, "32f2870d"))
	header := "806e5cba50681de55c621599"
	pkt := unhex(t, header+"70736575646f72616e646f6d6e65737320697320746865206e6578742062657374207468696e67")
	want := unhex(t, header+"019ce7a26e7854014a6366aa95d4eefd1ad4172a14f9faf455b7f1d4b62bd08f562c0eef7c4802")
	stream.xorRTP(pkt, 12, 0xd462564a)
	if !bytes.Equal(pkt, want) {
		t.Errorf("got  %x\nwant %x", pkt, want)
	}
}

func TestKeyDerivation(t *testing.T) {
	for _, c := range []struct{ name, master, salt, key, sessionSalt, auth string }{
		{
			"RFC 3711, appendix B.3", "e1f97a0d3e018be0d64fa32c06de4139", "0ec675ad498afeebb6960b3aabe6",
			"c61e7a93744f39ee10734afe3ff7a087", "30cbbc08863d8c85d49db34a9ae1", "cebe321f6ff7716b6fd4ab49af256a156d38baa4",
		},
		{
			"RFC 6188, section 7.2", "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6", "3b04803de51ee7c96423ab5b78d2",
			"5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4", "fa31791685ca444a9e07c6c64e93",
			"fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
		},
		{
			"RFC 6188, section 7.4", "73edc66c4fa15776fb57f9505c17136550ffda71f3e8e5f1", "c8522f3acd4ce86d5add78edbb11",
			"31874736a8f1143870c26e4857d8a5b2c4a354407faadabb", "2372b82d639b6d8503a47adc0a6c",
			"355b10973cd95b9eacf4061c7e1a7151e7cfbfcb",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for label, want := range map[byte]string{labelKey: c.key, labelSalt: c.sessionSalt, labelAuth: c.auth} {
				if got := hex.EncodeToString(derive(unhex(t, c.master), unhex(t, c.salt), label, len(want)/2)); got != want {
					t.Errorf("label %d: got %s, want %s", label, got, want)
				}
			}
		})
	}
}

func TestGCM(t *testing.T) {
	const (
		plainRTP = "8040f17b8041f8d35501a0b2 47616c6c696120657374206f6d6e697320646976697361" +
			"20696e207061727465732074726573"
		plainRTCP = "81c8000d4d617273 4e5450314e545032525450200000042a0000e9304c756e61" +
			"deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"
	)
	for _, c := range []struct{ name, key, rtp, rtpClear, rtcp, rtcpClear string }{
		{
			"RFC 7714, sections 16.1 and 17.1, AEAD_AES_128_GCM", "000102030405060708090a0b0c0d0e0f",
			"8040f17b8041f8d35501a0b2 f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb1" +
				"6a9152cf765ee4390cce",
			plainRTP + "22493f82d2bce397e9d79e3b19aa4216",
			"81c8000d4d617273 63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b" +
				"c84aa45896cf4d2fc5abf87245d9eade 800005d4",
			plainRTCP + "841dd9683dd78ec92ae58790125f62b3 000005d4",
		},
		{
			"RFC 7714, sections 16.2 and 17.2, AEAD_AES_256_GCM", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
			"8040f17b8041f8d35501a0b2 32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfff" +
				"d6b0f9bb7878d7a76c13",
			plainRTP + "a866d5910f887463067ceefec45215d4",
			"81c8000d4d617273 d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad" +
				"1d1eb30c4446839f57ff6f6cb26ac3be 800005d4",
			plainRTCP + "91db4afbfeee5a978fab4393ed2615fe 000005d4",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			aead, err := cipher.NewGCM(newAES(unhex(t, c.key)))
			if err != nil {
				t.Fatal(err)
			}
			for clear, want := range map[bool][2]string{false: {c.rtp, c.rtcp}, true: {c.rtpClear, c.rtcpClear}} {
				s := session{aead: aead, tag: gcmTag, clear: clear}
				copy(s.salt[:], unhex(t, "517569642070726f2071756f"))

				wantRTP, pkt := unhex(t, want[0]), append(make([]byte, 0, 200), unhex(t, plainRTP)...)
				if pkt = s.protectRTP(pkt, 12, 0); !bytes.Equal(pkt, wantRTP) {
					t.Errorf("clear %t: RTP  %x\nwant %x", clear, pkt, wantRTP)
				}
				if back, err := s.unprotectRTP(pkt, 12, 0); err != nil || !bytes.Equal(back, unhex(t, plainRTP)) {
					t.Errorf("clear %t: RTP back %x, %v", clear, back, err)
				}
				wantRTCP, pkt := unhex(t, want[1]), append(make([]byte, 0, 200), unhex(t, plainRTCP)...)
				if pkt = s.protectRTCP(pkt, 0x5d4); !bytes.Equal(pkt, wantRTCP) {
					t.Errorf("clear %t: RTCP %x\nwant %x", clear, pkt, wantRTCP)
				}
				if back, err := s.unprotectRTCP(pkt, s.word(pkt)); err != nil || !bytes.Equal(back, unhex(t, plainRTCP)) {
					t.Errorf("clear %t: RTCP back %x, %v", clear, back, err)
				}
			}
		})
	}
}
