package call

import (
	"slices"
	"strings"

	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// Echo is what a party hears instead of its peers.
type Echo uint8

// The kinds of echo.
const (
	EchoOff       Echo = iota
	EchoSelf           // itself
	EchoBlackhole      // nobody, and nobody hears it
)

// MediaEcho is the wish of an offer or answer for echoes.
type MediaEcho uint8

// The wishes. The zero value leaves everything as it is.
const (
	MediaEchoKeep      MediaEcho = iota
	MediaEchoBlackhole           // what either side sends is dropped
	MediaEchoForward             // the receiver of the message hears itself, its sender nothing
	MediaEchoBackward            // the sender of the message hears itself, its receiver nothing
	MediaEchoBoth                // both hear themselves
)

// echo sets what the two sides of a message hear.
func (w MediaEcho) echo(sender, receiver *Party) {
	switch w {
	case MediaEchoBlackhole:
		sender.Echo, receiver.Echo = EchoBlackhole, EchoBlackhole
	case MediaEchoForward:
		sender.Echo, receiver.Echo = EchoBlackhole, EchoSelf
	case MediaEchoBackward:
		sender.Echo, receiver.Echo = EchoSelf, EchoBlackhole
	case MediaEchoBoth:
		sender.Echo, receiver.Echo = EchoSelf, EchoSelf
	}
}

// ask takes over what a message asks for beside its description. Sender and receiver are of the message.
func (d *draft) ask(sender, receiver *Party, req *Request) {
	req.MediaEcho.echo(sender, receiver)
	if req.DTMF != nil {
		sender.Manipulation.DTMF = *req.DTMF
	}
	sender.BlockShort = req.BlockShort
	if req.DropTraffic != nil {
		d.plan.DropTraffic = *req.DropTraffic
	}
	if req.EventLog.IsValid() {
		d.plan.EventLog = req.EventLog
	}
	if req.GenerateRTCP != nil {
		d.plan.GenerateRTCP = *req.GenerateRTCP
	}
}

func (m *Manipulation) effect() media.Effect { return effect(m.Block, m.Silence) }

func (s *Subscription) effect() media.Effect { return effect(s.Block, s.Silence) }

func effect(block, silence bool) media.Effect {
	switch {
	case block:
		return media.Block
	case silence:
		return media.Silence
	}
	return media.Pass
}

// treatment returns what is done to packets of a party's media.
func (p *Plan) treatment(party *Party, m *Media, sinks []media.Sink) media.Treatment {
	security := party.Manipulation.DTMF
	if security.Mode == DTMFPass {
		security = p.Manipulation.DTMF
	}
	t := media.Treatment{
		Drop:      p.DropTraffic,
		Media:     max(p.Manipulation.effect(), party.Manipulation.effect()),
		EventCode: security.Digit,
	}
	switch security.Mode {
	case DTMFPass:
	case DTMFRandom:
		t.OnEvents = media.EventRandom
	case DTMFReplace:
		t.OnEvents = media.EventReplace
	case DTMFZero:
		t.OnEvents, t.EventCode = media.EventReplace, 0
	default:
		t.OnEvents = media.EventBlock
	}
	silence, block := t.Media == media.Silence, t.Media == media.Block
	for _, s := range sinks {
		silence, block = silence || s.Media == media.Silence, block || s.Media == media.Block
	}
	if !silence && !block && t.OnEvents == media.EventPass && !party.BlockShort {
		return t // what follows is of interest only to one of these
	}
	if silence {
		t.Silences = new([128]byte)
	}
	for c := range p.spoken(party, m) {
		octet := silenceOf(c)
		switch {
		case isEvent(c):
			t.Events.Add(c.PayloadType)
		case octet != 0:
			if t.Silences != nil {
				t.Silences[c.PayloadType&0x7f] = octet
			}
			if party.BlockShort {
				t.Uniform.Add(c.PayloadType)
			}
		}
	}
	return t
}

// spoken visits the codecs the party may send with: those it named and those its hearers did.
func (p *Plan) spoken(party *Party, m *Media) func(yield func(*sdp.Codec) bool) {
	return func(yield func(*sdp.Codec) bool) {
		index := slices.Index(party.Media, m)
		if !m.named(yield) {
			return
		}
		for _, h := range p.hearers(Ref{party.ID, index}) {
			if !h.media.named(yield) {
				return
			}
		}
	}
}

// named yields the codecs of the section that the party sent last, until yield wants no more.
func (m *Media) named(yield func(*sdp.Codec) bool) bool {
	if m.Section == nil {
		return true
	}
	for i := range m.Section.Codecs {
		if !yield(&m.Section.Codecs[i]) {
			return false
		}
	}
	return true
}

// silenceOf returns the octet that silence is made of; 0 for codecs whose packets are not a sample after the other.
func silenceOf(c *sdp.Codec) byte {
	switch strings.ToUpper(c.Name) {
	case "PCMU":
		return 0xff
	case "PCMA":
		return 0xd5
	case "G722":
		return 0xfa
	}
	return 0
}
