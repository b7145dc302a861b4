package peers

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"strings"
	"time"
)

// Trickler is a client of internal/webrtcpeer. Its descriptions have no candidates: they follow one by one, in fragments. It
// speaks PCMU. Its methods must not be called at the same time.
type Trickler struct {
	*process
	tone    float64
	talk    conversation
	replies *bufio.Reader

	// Deaf ones do not look at the candidates of the other side.
	Deaf bool
}

// TricklerState is what it tells of its call.
type TricklerState struct {
	Connection string   `json:"connection"`
	Ufrag      string   `json:"ufrag"`
	Pwd        string   `json:"pwd"`
	Candidates []string `json:"candidates"`
	Gathered   bool     `json:"gathered"`
	Remote     string   `json:"remote"`
	RemoteType string   `json:"remoteType"`
	Packets    int      `json:"packets"`
	Heard      []byte   `json:"heard"`
}

// NewTrickler starts one on a side; program is the path of the built client.
func NewTrickler(side Side, program string, tone float64) (p *Trickler, err error) {
	p = &Trickler{tone: tone}
	cmd := exec.Command(program)
	if p.talk, err = newConversation(); err != nil {
		return nil, err
	}
	p.replies = bufio.NewReader(p.talk.in)
	cmd.Stdin, cmd.Stdout = p.talk.its[0], p.talk.its[1]
	p.process, err = start(side.host, side.dir, "webrtcpeer", cmd)
	err = errors.Join(err, p.talk.begun())
	if p.process == nil {
		return nil, errors.Join(err, p.talk.end())
	}
	samples := toneSamples(tone, time.Second)
	pcmu := make([]byte, len(samples))
	for i, v := range samples {
		pcmu[i] = toMu(v)
	}
	if err == nil {
		_, err = p.do(map[string]any{"do": "start", "tone": pcmu})
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Close ends it.
func (p *Trickler) Close() error {
	return errors.Join(p.process.Close(), p.talk.end())
}

// tricklerReply is what it answers to a command.
type tricklerReply struct {
	Error string         `json:"error"`
	SDP   string         `json:"sdp"`
	State *TricklerState `json:"state"`
}

// do sends a command and waits for the reply.
func (p *Trickler) do(command map[string]any) (r tricklerReply, err error) {
	text, err := json.Marshal(command)
	if err != nil {
		return r, err
	}
	if _, err := p.talk.out.Write(append(text, '\n')); err != nil {
		return r, fmt.Errorf("webrtcpeer: %w", err)
	}
	if err := p.talk.in.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return r, err
	}
	text, err = p.replies.ReadBytes('\n')
	if err != nil {
		return r, fmt.Errorf("webrtcpeer: %s: %w; the end of its log:\n%s", command["do"], err, p.tail(20))
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("webrtcpeer: %s: %w", command["do"], err)
	}
	if r.Error != "" {
		return r, fmt.Errorf("webrtcpeer: %s: %s", command["do"], r.Error)
	}
	return r, nil
}

// Offer makes an offer without candidates, with restart one for new ICE credentials.
func (p *Trickler) Offer(restart bool) (offer string, err error) {
	r, err := p.do(map[string]any{"do": "offer", "restart": restart})
	return r.SDP, err
}

// Answer takes an offer and returns an answer without candidates.
func (p *Trickler) Answer(offer string) (answer string, err error) {
	r, err := p.do(map[string]any{"do": "answer", "sdp": p.seen(offer)})
	return r.SDP, err
}

// Accept takes the answer to the offer.
func (p *Trickler) Accept(answer string) error {
	_, err := p.do(map[string]any{"do": "accept", "sdp": p.seen(answer)})
	return err
}

// seen is what it sees of a description.
func (p *Trickler) seen(sdp string) string {
	if !p.Deaf {
		return sdp
	}
	var lines []string
	for line := range strings.Lines(sdp) {
		if !strings.HasPrefix(line, "a=candidate:") && !strings.HasPrefix(line, "a=end-of-candidates") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// State asks for it.
func (p *Trickler) State() (TricklerState, error) {
	r, err := p.do(map[string]any{"do": "state"})
	if err == nil && r.State == nil {
		err = errors.New("webrtcpeer: no state")
	}
	if err != nil {
		return TricklerState{}, err
	}
	return *r.State, nil
}

// FragmentType is the type of bodies with candidates (RFC 8840).
const FragmentType = "application/trickle-ice-sdpfrag"

// Fragments are the candidates that have followed the latest description, each in a body of its own, and the word that
// there are no more.
func (p *Trickler) Fragments() (fragments []string, err error) {
	var s TricklerState
	err = await(patience, "webrtcpeer has gathered its candidates", func() (err error) {
		if s, err = p.State(); err == nil && !s.Gathered {
			err = fmt.Errorf("so far %q", s.Candidates)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, candidate := range append(s.Candidates, "end-of-candidates") {
		fragments = append(fragments, fmt.Sprintf("a=ice-ufrag:%s\r\na=ice-pwd:%s\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=%s\r\n",
			s.Ufrag, s.Pwd, candidate))
	}
	return fragments, nil
}

// Tone is the frequency that it sends.
func (p *Trickler) Tone() float64 { return p.tone }

// Hear is what it has received last.
func (p *Trickler) Hear() (Sound, error) {
	s, err := p.State()
	if err != nil {
		return Sound{}, err
	}
	samples := make([]float64, len(s.Heard))
	for i, code := range s.Heard {
		samples[i] = float64(fromMu(code)) / math.MaxInt16
	}
	sound := listen(samples, toneRate)
	sound.Heard = time.Duration(s.Packets) * 20 * time.Millisecond
	return sound, nil
}
