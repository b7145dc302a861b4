// Command webrtcpeer is a WebRTC party of one call, on pion/webrtc, that trickles its candidates. It takes commands from
// standard input and answers each on standard output, JSON objects on lines of their own; internal/peers drives it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// Command is one line in.
type Command struct {
	Do      string `json:"do"`      // start, offer, answer, accept, state
	SDP     string `json:"sdp"`     // of answer and accept
	Restart bool   `json:"restart"` // of offer: with new ICE credentials
	Tone    []byte `json:"tone"`    // of start: PCMU to send, again and again
}

// Reply is one line out.
type Reply struct {
	Error string `json:"error,omitempty"`
	SDP   string `json:"sdp,omitempty"` // without candidates
	State *State `json:"state,omitempty"`
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	var p *party
	for in.Scan() {
		var c Command
		var r Reply
		err := json.Unmarshal(in.Bytes(), &c)
		switch {
		case err != nil:
		case c.Do == "start":
			p, err = newParty(c.Tone)
		case p == nil:
			err = fmt.Errorf("%q before start", c.Do)
		case c.Do == "offer":
			r.SDP, err = p.offer(c.Restart)
		case c.Do == "answer":
			r.SDP, err = p.answer(c.SDP)
		case c.Do == "accept":
			err = p.accept(c.SDP)
		case c.Do == "state":
			r.State = p.state()
		default:
			err = fmt.Errorf("unknown command %q", c.Do)
		}
		if err != nil {
			r.Error = err.Error()
		}
		if err := out.Encode(r); err != nil {
			return
		}
	}
}
