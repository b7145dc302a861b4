package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/ice"
	"github.com/weir-media/weir/srtp"
)

// secured says which end of the calls speaks SRTP. In the zero value neither does.
type secured struct {
	suite       srtp.Suite
	caller      bool              // the caller does; else it is the callee
	certificate *dtls.Certificate // of the caller, which finds keys by DTLS (RFC 5763); nil: they are in the descriptions (RFC 4568)
	ice         bool              // the caller does ICE, with RTP and RTCP on one port
}

// securedPaths are those that are measured.
func securedPaths() (all []secured) {
	for _, suite := range []srtp.Suite{srtp.AES128CM80, srtp.AES128GCM} {
		all = append(all, secured{suite: suite}, secured{suite: suite, caller: true})
	}
	return all
}

// kernel says whether the kernel relays such packets.
func (s secured) kernel() bool { return s.suite == srtp.AES128CM80 || s.suite == srtp.AES128GCM }

// String is empty for the zero value.
func (s secured) String() string {
	switch {
	case !s.suite.Valid():
		return ""
	case s.caller:
		return "SRTP to RTP, " + s.suite.String()
	}
	return "RTP to SRTP, " + s.suite.String()
}

// callerFrame and calleeFrame are the lengths of the measured frames on either side of the proxy.
func (s secured) callerFrame() int {
	if s.caller {
		return frameLen + s.suite.TagLen()
	}
	return frameLen
}

func (s secured) calleeFrame() int {
	if s.caller {
		return frameLen
	}
	return frameLen + s.suite.TagLen()
}

// spare is by how much the frames of the generator are longer than those it sends. Where their length does not change on the
// way it can do without.
func (s secured) spare() int {
	if s.suite.Valid() {
		return s.suite.TagLen()
	}
	return 0
}

// protocol is the transport protocol of one end.
func (s secured) protocol(caller bool) string {
	switch {
	case !s.suite.Valid() || s.caller != caller:
		return "RTP/AVP"
	case s.certificate != nil:
		return "UDP/TLS/RTP/SAVP"
	}
	return "RTP/SAVP"
}

// cryptoLine is the attribute for keys.
func cryptoLine(tag int, p srtp.Params) string {
	return "a=crypto:" + strconv.Itoa(tag) + " " + p.Suite.String() + " inline:" + base64.StdEncoding.EncodeToString(p.KeySalt()) + "\r\n"
}

// cryptoOf reads the attribute for a suite from a description.
func cryptoOf(sdp string, suite srtp.Suite) (tag int, p srtp.Params, err error) {
	for line := range strings.Lines(sdp) {
		value, ok := strings.CutPrefix(line, "a=crypto:")
		fields := strings.Fields(value)
		if !ok || len(fields) < 3 || srtp.SuiteByName(fields[1]) != suite {
			continue
		}
		if tag, err = strconv.Atoi(fields[0]); err != nil {
			return 0, p, fmt.Errorf("line %q: %w", line, err)
		}
		inline, _, _ := strings.Cut(strings.TrimPrefix(fields[2], "inline:"), "|")
		key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(inline, "="))
		if err == nil {
			p, err = srtp.ParseKeySalt(suite, key)
		}
		return tag, p, err
	}
	return 0, p, errors.New("the proxy's description has no keys for " + suite.String())
}

// fingerprintLines are the attributes of who begins a DTLS handshake.
func fingerprintLines(c *dtls.Certificate) string {
	return "a=setup:active\r\na=fingerprint:" + c.Fingerprint(dtls.SHA256).String() + "\r\n"
}

// fingerprintOf reads the proxy's fingerprint from a description.
func fingerprintOf(sdp string) (dtls.Fingerprint, error) {
	for line := range strings.Lines(sdp) {
		if value, ok := strings.CutPrefix(line, "a=fingerprint:"); ok {
			return dtls.ParseFingerprint(strings.TrimSpace(value))
		}
	}
	return dtls.Fingerprint{}, errors.New("the proxy's description has no fingerprint")
}

// iceLines are the attributes of an end that does ICE with one candidate.
func iceLines(own ice.Credentials, at netip.AddrPort) string {
	return "a=rtcp-mux\r\na=ice-ufrag:" + own.Ufrag + "\r\na=ice-pwd:" + own.Pwd + "\r\n" +
		fmt.Sprintf("a=candidate:1 1 UDP 2130706431 %s %d typ host\r\n", at.Addr(), at.Port())
}

// credentialsOf reads the proxy's ICE credentials from a description.
func credentialsOf(sdp string) (c ice.Credentials, err error) {
	for line := range strings.Lines(sdp) {
		if value, ok := strings.CutPrefix(line, "a=ice-ufrag:"); ok {
			c.Ufrag = strings.TrimSpace(value)
		}
		if value, ok := strings.CutPrefix(line, "a=ice-pwd:"); ok {
			c.Pwd = strings.TrimSpace(value)
		}
	}
	if c.Ufrag == "" || c.Pwd == "" {
		return c, errors.New("the proxy's description has no ICE credentials")
	}
	return c, nil
}

// keys are those of the SRTP between the proxy and the end that speaks it.
type keys struct{ ends, proxys srtp.Params }

// exchange takes the proxy's keys from its description for one end, if that end speaks SRTP, and puts that end's into its
// answer.
func (c *call) exchange(caller bool, sdp string) error {
	if !c.secured.suite.Valid() || c.secured.caller != caller {
		return nil
	}
	if c.secured.certificate != nil {
		var err error
		if c.fingerprint, err = fingerprintOf(sdp); err == nil && c.secured.ice {
			c.proxys, err = credentialsOf(sdp)
		}
		return err
	}
	tag, proxys, err := cryptoOf(sdp, c.secured.suite)
	if err != nil {
		return err
	}
	c.keys.proxys = proxys
	if !caller {
		c.answer = c.encodeAnswer(cryptoLine(tag, c.keys.ends))
	}
	return nil
}

// secure gives the party the contexts of its keys.
func (p *party) secure(k keys) (err error) {
	if p.out, err = srtp.NewOutbound(k.ends); err != nil {
		return err
	}
	p.in, err = srtp.NewInbound(k.proxys)
	return err
}
