package sdp

import (
	"testing"

	pion "github.com/pion/sdp/v3"
)

// audioOffer is a typical offer of a SIP phone, about 800 bytes.
const audioOffer = "v=0\r\n" +
	"o=phone 3724394400 3724394401 IN IP4 192.0.2.10\r\n" +
	"s=call\r\n" +
	"c=IN IP4 192.0.2.10\r\n" +
	"t=0 0\r\n" +
	"a=msid-semantic:WMS *\r\n" +
	"m=audio 49170 RTP/SAVP 96 9 8 0 18 101\r\n" +
	"a=rtpmap:96 opus/48000/2\r\n" +
	"a=fmtp:96 maxplaybackrate=16000;sprop-maxcapturerate=16000;minptime=20;useinbandfec=1\r\n" +
	"a=rtpmap:9 G722/8000\r\n" +
	"a=rtpmap:8 PCMA/8000\r\n" +
	"a=rtpmap:0 PCMU/8000\r\n" +
	"a=rtpmap:18 G729/8000\r\n" +
	"a=fmtp:18 annexb=no\r\n" +
	"a=rtpmap:101 telephone-event/8000\r\n" +
	"a=fmtp:101 0-16\r\n" +
	"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|2^31\r\n" +
	"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|2^31\r\n" +
	"a=ptime:20\r\n" +
	"a=maxptime:150\r\n" +
	"a=sendrecv\r\n" +
	"a=rtcp:49171\r\n" +
	"a=ssrc:1234567890 cname:phone@192.0.2.10\r\n"

// maxParseAllocs is what audioOffer needs: description, section, connection and RTCP, and one growing list each for
// sections, codecs, crypto lines and unknown attributes.
const maxParseAllocs = 10

func TestParseAllocatesLittle(t *testing.T) {
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := Parse(audioOffer); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > maxParseAllocs {
		t.Errorf("parsing takes %v allocations, want at most %d", allocs, maxParseAllocs)
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	d, buffer := mustParse(t, audioOffer), make([]byte, 0, 2000)
	if allocs := testing.AllocsPerRun(100, func() { buffer = d.Append(buffer[:0]) }); allocs != 0 {
		t.Errorf("printing takes %v allocations, want none", allocs)
	}
}

func BenchmarkParse(b *testing.B) {
	b.SetBytes(int64(len(audioOffer)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(audioOffer); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParsePion(b *testing.B) {
	b.SetBytes(int64(len(audioOffer)))
	b.ReportAllocs()
	for b.Loop() {
		var d pion.SessionDescription
		if err := d.UnmarshalString(audioOffer); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	d, buffer := mustParse(b, audioOffer), make([]byte, 0, 2000)
	b.ReportAllocs()
	for b.Loop() {
		buffer = d.Append(buffer[:0])
	}
}

func BenchmarkClone(b *testing.B) {
	d := mustParse(b, audioOffer)
	b.ReportAllocs()
	for b.Loop() {
		d.Clone()
	}
}
