package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/ice"
	"github.com/weir-media/weir/srtp"
)

// inFlight is how many calls are being set up at a time.
const inFlight = 64

// call is one call through the proxy, with one audio stream.
type call struct {
	id             string
	caller, callee netip.AddrPort // where they receive and send
	toCaller       netip.AddrPort // the proxy's side towards the caller
	toCallee       netip.AddrPort // the proxy's side towards the callee
	secured        secured
	keys           keys
	fingerprint    dtls.Fingerprint // the proxy's
	own, proxys    ice.Credentials  // where the caller does ICE
	offer, answer  []byte           // ready to be sent, so that the client has little to do against the clock
}

// newCalls describes n calls; name keeps their call-ids apart from those of other batches.
func newCalls(name string, n int) []call { return newSecuredCalls(name, n, secured{}) }

// newSecuredCalls is newCalls with SRTP at one end.
func newSecuredCalls(name string, n int, s secured) []call {
	calls := make([]call, n)
	for i := range calls {
		port := uint16(10000 + 2*i%20000)
		calls[i] = call{
			id:     name + "-" + strconv.Itoa(i),
			caller: netip.AddrPortFrom(callerAddr, port),
			callee: netip.AddrPortFrom(calleeAddr, port), secured: s,
		}
		c, crypto := &calls[i], ""
		switch {
		case s.certificate != nil:
			crypto = fingerprintLines(s.certificate)
			if s.ice {
				c.own = ice.NewCredentials()
				crypto += iceLines(c.own, c.caller)
			}
		case s.suite.Valid():
			c.keys.ends = srtp.Generate(s.suite)
			crypto = cryptoLine(1, c.keys.ends)
		}
		c.offer, c.answer = c.encodeOffer(crypto), c.encodeAnswer("")
	}
	return calls
}

// setUp makes an offer and an answer for every call and fills in the proxy's addresses.
func (c *client) setUp(calls []call) error {
	return c.pipeline(len(calls), inFlight, script{
		steps: 2,
		request: func(i, step int) []byte {
			if step == 0 {
				return calls[i].offer
			}
			return calls[i].answer
		},
		reply: func(i, step int, dict []byte) error {
			local, want := &calls[i].toCallee, proxyToCallee
			if step == 1 {
				local, want = &calls[i].toCaller, proxyToCaller
			}
			sdp, err := sdpOf(dict)
			if err != nil {
				return err
			}
			if *local, err = mediaAddr(sdp); err != nil {
				return err
			}
			if err := calls[i].exchange(step == 1, sdp); err != nil {
				return err
			}
			if local.Addr() != want {
				return fmt.Errorf("the proxy offers %v instead of a port of %v", *local, want)
			}
			return nil
		},
	})
}

// hangUp deletes the calls at once.
func (c *client) hangUp(calls []call) error {
	return c.pipeline(len(calls), inFlight, script{
		steps: 1,
		request: func(i, _ int) []byte {
			return appendDict(nil, "call-id", calls[i].id, "command", "delete", "delete delay", 0, "from-tag", "caller")
		},
		reply: func(_, _ int, dict []byte) error { return checkResult(dict) },
	})
}

// The keys of the dictionaries are sorted. crypto is for the end that speaks SRTP.

func (c *call) encodeOffer(crypto string) []byte {
	if !c.secured.caller {
		crypto = ""
	}
	pairs := append(c.keying(),
		"ICE", "remove",
		"call-id", c.id,
		"command", "offer",
		"direction", []string{"caller", "callee"},
		"from-tag", "caller",
		"replace", []string{"origin"},
		"sdp", description(c.caller, c.secured.protocol(true), crypto))
	if c.secured.suite.Valid() {
		pairs = append(pairs, "transport-protocol", c.secured.protocol(false))
	}
	return appendDict(nil, pairs...)
}

func (c *call) encodeAnswer(crypto string) []byte {
	pairs := c.keying()
	if !c.secured.ice {
		pairs = append(pairs, "ICE", "remove")
	}
	return appendDict(nil, append(pairs,
		"call-id", c.id,
		"command", "answer",
		"direction", []string{"callee", "caller"},
		"from-tag", "caller",
		"replace", []string{"origin"},
		"sdp", description(c.callee, c.secured.protocol(false), crypto),
		"to-tag", "callee")...)
}

// keying leaves SDES alone to find keys, where there are any.
func (c *call) keying() []any {
	if c.secured.suite.Valid() && c.secured.certificate == nil {
		return []any{"DTLS", "off"}
	}
	return nil
}

// description is an SDP body like those of common telephones, with more attributes at its end.
func description(at netip.AddrPort, protocol, more string) string {
	host, port := at.Addr().String(), strconv.Itoa(int(at.Port()))
	return "v=0\r\no=- 1 1 IN IP4 " + host + "\r\ns=-\r\nc=IN IP4 " + host + "\r\nt=0 0\r\n" +
		"m=audio " + port + " " + protocol + " 0 8 101\r\n" +
		"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n" +
		"a=ptime:20\r\na=sendrecv\r\n" + more
}

func checkResult(dict []byte) error {
	result, err := lookup(dict, "result")
	if err != nil {
		return err
	}
	if result == "ok" {
		return nil
	}
	reason, _ := lookup(dict, "error-reason")
	return fmt.Errorf("the proxy answered %q: %s", result, reason)
}

func sdpOf(dict []byte) (string, error) {
	if err := checkResult(dict); err != nil {
		return "", err
	}
	sdp, err := lookup(dict, "sdp")
	if err == nil && sdp == "" {
		err = errors.New("the proxy answered without sdp")
	}
	return sdp, err
}

// mediaAddr reads connection address and port of a description with one audio stream.
func mediaAddr(sdp string) (netip.AddrPort, error) {
	var addr netip.Addr
	var port uint64
	var err error
	for line := range strings.Lines(sdp) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 3 && fields[0] == "c=IN":
			addr, err = netip.ParseAddr(fields[2])
		case len(fields) > 3 && fields[0] == "m=audio":
			port, err = strconv.ParseUint(fields[1], 10, 16)
		}
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("line %q of the answer: %w", strings.TrimSpace(line), err)
		}
	}
	if !addr.IsValid() || port == 0 {
		return netip.AddrPort{}, fmt.Errorf("no media address in %q", sdp)
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}
