package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf/rlimit"

	"github.com/weir-media/weir/srtp"
)

func TestKeysOfADescription(t *testing.T) {
	const sdp = "m=audio 4000 RTP/SAVP 0\r\n" +
		"a=crypto:1 AEAD_AES_256_GCM inline:AAAA\r\n" +
		"a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|2^31\r\n" +
		"a=crypto:4 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==\r\n" +
		"a=crypto:5 AES_CM_128_HMAC_SHA1_32 inline:AAEC\r\n"
	for _, test := range []struct {
		suite srtp.Suite
		tag   int
		salt  byte // its last byte
		err   string
	}{
		{suite: srtp.AES128CM80, tag: 3, salt: 29},
		{suite: srtp.AES128GCM, tag: 4, salt: 27},
		{suite: srtp.AES128CM32, err: "length"},
		{suite: srtp.NullSHA80, err: "no keys for"},
	} {
		tag, p, err := cryptoOf(sdp, test.suite)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%v: error %v, want one with %q", test.suite, err, test.err)
			}
			continue
		}
		if err != nil || tag != test.tag || p.Salt[len(p.Salt)-1] != test.salt {
			t.Errorf("%v: tag %d, %v, %v", test.suite, tag, p, err)
			continue
		}
		if again, q, err := cryptoOf(cryptoLine(9, p), test.suite); err != nil || again != 9 || !q.Equal(p) {
			t.Errorf("%v: written and read again: tag %d, %v", test.suite, again, err)
		}
	}
}

func TestPreparedPacketsAreThoseOfEveryCallerAndNeverTheSameTwice(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("loading programs needs root")
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	for _, path := range securedPaths() {
		if !path.caller {
			continue
		}
		t.Run(path.String(), func(t *testing.T) {
			spec, err := loadRig()
			if err != nil {
				t.Fatal(err)
			}
			length := path.callerFrame()
			spec.Maps[rigMapSeries].MaxEntries = seriesLen
			spec.Variables[rigVarWindow].Set(uint32(seriesLen))
			spec.Variables[rigVarPreparedLen].Set(uint32(length))
			var objects rigObjects
			if err := spec.LoadAndAssign(&objects, nil); err != nil {
				t.Fatal(err)
			}
			defer objects.Close()

			const calls = 3
			streams := testStreams(calls)
			var callers []*party
			var proxy [calls]*srtp.Inbound
			for i := range calls {
				k := keys{ends: srtp.Generate(path.suite), proxys: srtp.Generate(path.suite)}
				p := &party{ssrc: streams[i].ssrc, sequence: 65530}
				if err := p.secure(k); err != nil {
					t.Fatal(err)
				}
				if proxy[i], err = srtp.NewInbound(k.ends); err != nil {
					t.Fatal(err)
				}
				callers = append(callers, p)
			}
			s, err := newSeries(objects.Series, callers, streams, length)
			if err != nil {
				t.Fatal(err)
			}
			// Two runs, the second of which begins where the first has ended.
			n := 0
			for _, packets := range []int{100, 50} {
				objects.First.Set(s.first)
				objects.Sent.Set(uint64(0))
				for range packets {
					_, frame, err := objects.Replay.Test(bytes.Repeat([]byte{0xee}, length))
					if err != nil {
						t.Fatal(err)
					}
					checkPrepared(t, frame, streams[n%calls], proxy[n%calls], uint16(65530+n/calls))
					if t.Failed() {
						t.Fatalf("packet %d", n)
					}
					n++
				}
				if err := s.advance(uint64(packets)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func checkPrepared(t *testing.T, b []byte, s stream, proxy *srtp.Inbound, sequence uint16) {
	t.Helper()
	udp := b[34:]
	pseudo := append(append([]byte{}, b[26:34]...), 0, 17, udp[4], udp[5])
	if !sumIsZero(b[14:34]) || !sumIsZero(append(pseudo, udp...)) || int(binary.BigEndian.Uint16(udp[4:])) != len(udp) {
		t.Errorf("headers %x", b[:42])
	}
	if binary.BigEndian.Uint16(udp) != s.src.Port() {
		t.Errorf("from port %d, want %v", binary.BigEndian.Uint16(udp), s.src)
	}
	clear, err := proxy.UnprotectRTP(udp[8:])
	if err != nil {
		t.Error(err)
		return
	}
	if got := binary.BigEndian.Uint16(clear[2:]); got != sequence || !bytes.Equal(clear[12:], payload()) {
		t.Errorf("sequence number %d, want %d, and payload %x", got, sequence, clear[12:])
	}
}
