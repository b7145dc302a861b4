package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
)

// party has one call.
type party struct {
	pc *webrtc.PeerConnection

	mu         sync.Mutex
	candidates []string
	gathered   bool
	packets    int
	heard      []byte // the end of what was received, PCMU
}

// State is what the party knows about its call.
type State struct {
	Connection string   `json:"connection"`
	Ufrag      string   `json:"ufrag"`
	Pwd        string   `json:"pwd"`
	Candidates []string `json:"candidates"` // all so far
	Gathered   bool     `json:"gathered"`   // there will be no more
	Remote     string   `json:"remote"`     // of the pair in use
	RemoteType string   `json:"remoteType"`
	Packets    int      `json:"packets"`
	Heard      []byte   `json:"heard"`
}

// ptime is how much audio a packet has; frame how many bytes that is.
const (
	ptime = 20 * time.Millisecond
	frame = 160
	most  = 4000 // bytes of what was heard that are kept, half a second
)

func newParty(tone []byte) (*party, error) {
	if len(tone) < frame {
		return nil, fmt.Errorf("a tone of %d bytes", len(tone))
	}
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	p := &party{pc: pc}
	pcmu := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMU, ClockRate: 8000, Channels: 1}
	track, err := webrtc.NewTrackLocalStaticSample(pcmu, "audio", "peer")
	if err != nil {
		return nil, err
	}
	if _, err := pc.AddTrack(track); err != nil {
		return nil, err
	}
	pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.gathered = c == nil; c != nil {
			p.candidates = append(p.candidates, c.ToJSON().Candidate)
		}
	})
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { p.listen(track) })
	go speak(track, tone)
	return p, nil
}

// speak sends a tone, whether somebody listens or not, for as long as the process lives.
func speak(track *webrtc.TrackLocalStaticSample, tone []byte) {
	i := 0
	for range time.Tick(ptime) {
		if i+frame > len(tone) {
			i = 0
		}
		// An error says that there is no connection yet.
		_ = track.WriteSample(media.Sample{Data: tone[i : i+frame], Duration: ptime})
		i += frame
	}
}

func (p *party) listen(track *webrtc.TrackRemote) {
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.packets++
		p.heard = append(p.heard, packet.Payload...)
		p.heard = p.heard[max(0, len(p.heard)-most):]
		p.mu.Unlock()
	}
}

func (p *party) offer(restart bool) (string, error) {
	p.forget()
	offer, err := p.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: restart})
	if err != nil {
		return "", err
	}
	return offer.SDP, p.describe(offer)
}

func (p *party) answer(offer string) (string, error) {
	p.forget()
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", err
	}
	answer, err := p.pc.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	return answer.SDP, p.describe(answer)
}

// forget drops the candidates of the description before. It comes first: with a restart pion gathers as soon as it has made
// the offer.
func (p *party) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.candidates, p.gathered = nil, false
}

// describe starts to gather candidates.
func (p *party) describe(d webrtc.SessionDescription) error {
	if err := p.pc.SetLocalDescription(d); err != nil {
		return fmt.Errorf("local description: %w", err)
	}
	return nil
}

func (p *party) accept(answer string) error {
	return p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer})
}

func (p *party) state() *State {
	s := &State{Connection: p.pc.ConnectionState().String()}
	for _, sender := range p.pc.GetSenders() {
		ice := sender.Transport().ICETransport()
		if credentials, err := ice.GetLocalParameters(); err == nil {
			s.Ufrag, s.Pwd = credentials.UsernameFragment, credentials.Password
		}
		if pair, err := ice.GetSelectedCandidatePair(); err == nil && pair != nil {
			s.Remote = fmt.Sprintf("%s:%d", pair.Remote.Address, pair.Remote.Port)
			s.RemoteType = pair.Remote.Typ.String()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Candidates, s.Gathered = append([]string{}, p.candidates...), p.gathered
	s.Packets, s.Heard = p.packets, append([]byte{}, p.heard...)
	return s
}
