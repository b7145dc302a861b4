package rtpproxy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/weir-media/weir/call"
)

// What rtpengine serves of the protocol, for clients that know its form of the replies: V, VF, U, L, D and Q, with a family behind each
// address and E8 for everything that goes wrong.

// peerFeatures are the dates of capabilities that rtpengine has.
var peerFeatures = map[string]bool{"20040107": true, "20050322": true, "20060704": true}

// peerError is the one error there is.
const peerError = codeDelete

func (d *Dispatcher) runPeer(from Client, c *Command) (string, error) {
	// The call-id may have the branch of the request behind it, which tells nothing that the tags do not.
	if id, _, ok := strings.Cut(c.CallID, ";"); ok && id != "" {
		c.CallID = id
	}
	switch c.Op {
	case Version:
		return protocolDate, nil
	case Feature:
		if peerFeatures[c.Words[1]] {
			return "1", nil
		}
		return "0", nil
	case Update, Lookup:
		return d.signalPeer(from, c)
	case Delete:
		// The whole call, with the delay that is configured.
		_, err := d.calls.Delete(&call.DeleteRequest{CallID: c.CallID, FromTag: c.From.Text, ToTag: c.To.Text, Fast: true})
		return "0", err
	case Query:
		return d.query(c)
	}
	return "", codeUnknown
}

func (d *Dispatcher) signalPeer(from Client, c *Command) (string, error) {
	req := &call.PairRequest{PairKey: c.key(), Language: call.RTPproxy, Client: from.From.Addr(), TTL: d.cfg.TTL, SetupTTL: d.cfg.SetupTTL}
	addr, err := netip.ParseAddr(c.Words[2])
	port, portErr := strconv.ParseUint(c.Words[3], 10, 16)
	if err != nil || portErr != nil || c.From.Number == 0 {
		// It says what it was told where it does not understand.
		return c.Words[3] + " " + c.Words[2], nil
	}
	req.Remote = netip.AddrPortFrom(addr.Unmap(), uint16(port))
	side := 0
	for _, letter := range []byte(c.Modifiers) {
		name := map[byte]string{'E': external, 'I': internal}[upper(letter)]
		if name != "" && side < 2 && d.bridged {
			req.Interfaces[side] = name
			side++
		}
	}
	step := d.calls.AnswerPair
	if c.Op == Update {
		step = d.calls.OfferPair
	}
	done, err := step(req)
	switch {
	case c.Op == Lookup && (errors.Is(err, call.ErrUnknownCall) || errors.Is(err, call.ErrNoPair)):
		return "0 0.0.0.0", nil
	case err != nil:
		return "", err
	}
	d.counters.placed(done)
	family := 4
	if done.Told.Addr().Is6() {
		family = 6
	}
	return fmt.Sprintf("%d %s %d", done.Told.Port(), done.Told.Addr(), family), nil
}
