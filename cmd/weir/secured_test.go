package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/pion/srtp/v3"

	"github.com/weir-media/weir/control/cli"
)

// testKeys are the SDES keys of a phone (RFC 4568), which has SRTP by another implementation. The zero value is for RTP.
type testKeys struct {
	mu      sync.Mutex
	own     string // inline, of what the phone sends
	in, out *srtp.Context
}

const masterKey, masterSalt = 16, 14

// renew has the phone send with keys made of octet from now on, its streams under a rollover counter.
func (k *testKeys) renew(octet byte, roc uint32, ssrc uint32) (err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.own = base64.StdEncoding.EncodeToString(slices.Repeat([]byte{octet}, masterKey+masterSalt))
	k.out, err = srtpContext(k.own, roc, ssrc)
	return err
}

var inline = regexp.MustCompile(`a=crypto:\d+ AES_CM_128_HMAC_SHA1_80 inline:([A-Za-z0-9+/=]+)`)

// take has the phone expect what an SDP says.
func (k *testKeys) take(sdp string, roc uint32, ssrc uint32) (err error) {
	m := inline.FindStringSubmatch(sdp)
	if m == nil {
		return fmt.Errorf("no keys in\n%s", sdp)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.in, err = srtpContext(m[1], roc, ssrc)
	return err
}

func srtpContext(inline string, roc uint32, ssrc uint32) (*srtp.Context, error) {
	b, err := base64.StdEncoding.DecodeString(inline)
	if err != nil {
		return nil, err
	}
	if len(b) != masterKey+masterSalt {
		return nil, fmt.Errorf("keys of %d bytes", len(b))
	}
	c, err := srtp.CreateContext(b[:masterKey], b[masterKey:], srtp.ProtectionProfileAes128CmHmacSha1_80)
	if err == nil {
		c.SetROC(ssrc, roc)
	}
	return c, err
}

func (k *testKeys) seal(rtp []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.out == nil {
		return rtp, nil
	}
	return k.out.EncryptRTP(nil, rtp, nil)
}

func (k *testKeys) open(packet []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.in == nil {
		return packet, nil
	}
	return k.in.DecryptRTP(nil, packet, nil)
}

// line is the attribute of an SDP; empty without keys.
func (k *testKeys) line() string {
	if k.own == "" {
		return ""
	}
	return "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + k.own
}

// connectSecured sets up n calls from SRTP to RTP.
func (s *scene) connectSecured(n int) []*testCall {
	s.Helper()
	calls := make([]*testCall, n)
	for i := range calls {
		c := s.newCall(1000 + i)
		must(s.T, c.caller.keys.renew(byte(i), 0, c.caller.ssrc))
		s.agree(c)
		must(s.T, c.caller.keys.take(c.reply, 0, c.callee.ssrc))
		calls[i] = c
	}
	return calls
}

// ciphers are the numbers of those in the kernel.
func (s *scene) ciphers() (ids []uint32) {
	s.Helper()
	m := value(ebpf.LoadPinnedMap(filepath.Join(s.status().Life.Pins, "ciphers"), nil))(s.T)
	defer m.Close()
	var id uint32
	err := m.NextKey(nil, &id)
	for ; err == nil; err = m.NextKey(id, &id) {
		ids = append(ids, id)
	}
	if !errors.Is(err, ebpf.ErrKeyNotExist) {
		s.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}

// TestSecuredCallsGoOnOverAKill kills the daemon of calls from SRTP to RTP and back in the kernel. No packet may be lost, none
// be taken twice, and the next process has to go on with the ciphers of the dead one.
func TestSecuredCallsGoOnOverAKill(t *testing.T) {
	for _, c := range []struct {
		name   string
		engine string
		first  uint32 // sequence number
		jump   uint32 // to this sequence number when the process dies
	}{
		{"rolled over before, XDP", "xdp", 1<<16 - 100, 0},
		{"rolled over before, tc", "tc", 1<<16 - 100, 0},
		{"rolls over while nobody lives", "auto", 45_000, 1<<16 - 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, "--fast-path="+c.engine)
			s.start()
			if st := s.status().SRTP; !st.Kernel {
				t.Skip(st.Reason)
			}
			calls := s.connectSecured(10)
			for _, call := range calls {
				call.caller.first, call.callee.first = c.first, c.first
			}
			traffic := s.talk(calls)
			s.inKernel(calls)
			s.kept(calls)
			s.eventually("sequence numbers have rolled over, where they are to", func() bool { return calls[0].caller.got.Load() > 150 })
			traffic.end()
			from := marks(calls)
			ciphers := s.ciphers()
			if len(ciphers) != 2*len(calls) {
				t.Fatalf("%d calls have the ciphers %v", len(calls), ciphers)
			}
			if c.jump > 0 {
				for _, call := range calls {
					call.caller.first, call.callee.first = c.jump-call.caller.sent, c.jump-call.callee.sent
				}
			}
			before := s.status().Packets

			traffic = s.talk(calls)
			s.signal(syscall.SIGKILL)
			time.Sleep(time.Second) // of death
			traffic.end()
			repeated := make([][]byte, len(calls)) // when the next process starts
			for i, call := range calls {
				repeated[i] = value(call.caller.next())(t)
				value(call.caller.conn.WriteToUDPAddrPort(repeated[i], call.caller.to))(t)
			}
			traffic = s.talk(calls)
			s.start()
			s.inKernel(calls)
			traffic.end()
			if now := s.ciphers(); !slices.Equal(now, ciphers) {
				t.Errorf("the next process has the ciphers %v, the one before had %v", now, ciphers)
			}
			for i, call := range calls {
				value(call.caller.conn.WriteToUDPAddrPort(repeated[i], call.caller.to))(t)
			}
			s.eventually("repeated packets are dropped", func() bool {
				return exits(s.status(), "received before") >= uint64(len(calls))
			})
			s.expectAll(calls, from)
			s.eventually("the counts go on", func() bool { return s.status().Packets.Kernel > before.Kernel })
			if now := s.status().Packets; now.Userspace > before.Userspace {
				t.Errorf("after the restart: %+v, before it %+v", now, before)
			}

			// New keys, in calls of the process before.
			roc := func(p *testPhone) uint32 { return (p.first + p.sent) >> 16 }
			for i, call := range calls {
				must(t, call.caller.keys.renew(byte(100+i), roc(call.caller), call.caller.ssrc))
				s.agree(call)
				must(t, call.caller.keys.take(call.reply, roc(call.callee), call.callee.ssrc))
			}
			from = marks(calls)
			traffic = s.talk(calls)
			s.inKernel(calls)
			had := s.status().Packets.Kernel
			s.eventually("packets pass by the kernel again", func() bool { return s.status().Packets.Kernel > had+uint64(20*len(calls)) })
			traffic.end()
			s.expectAll(calls, from)
			if now := s.ciphers(); len(now) != 2*len(calls) || slices.Equal(now, ciphers) {
				t.Errorf("with new keys there are the ciphers %v, before there were %v", now, ciphers)
			}
			for _, call := range calls {
				for _, p := range []*testPhone{call.caller, call.callee} {
					if wrong, again := p.wrong.Load(), p.again.Load(); wrong+again > 0 {
						t.Errorf("%s: %d packets are not what was said, %d came again", call.id, wrong, again)
					}
				}
				s.do("command", "delete", "call-id", call.id, "from-tag", "caller")
			}
			s.eventually("the kernel has no cipher any more", func() bool { return len(s.ciphers()) == 0 })
			s.signal(syscall.SIGTERM)
			s.expectBare()
		})
	}
}

// exits counts the packets that left the programs in a way whose meaning is told with some words.
func exits(st *cli.Status, words string) (n uint64) {
	for _, r := range st.Kernel {
		if strings.Contains(r.Reason, words) {
			n += r.Count
		}
	}
	return n
}
