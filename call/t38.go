package call

import (
	"slices"
	"strconv"
	"strings"

	"github.com/weir-media/weir/sdp"
)

// T38 is what an offer asks for where fax over UDPTL (ITU-T T.38) meets audio. There is no gateway that converts the one to
// the other: descriptions are translated, and the packets of such a section go nowhere.
type T38 struct {
	Decode  bool // fax is offered as audio
	Force   bool // audio is offered as fax
	Stop    bool // neither any more
	FEC     bool // offer forward error correction instead of redundancy
	Version *int // of T.38, towards the side that has fax; nil: as it says itself, or 0
}

// fax is what a media of T.38 is told about it. The zero value is none.
type fax struct {
	gateway bool // the other side has audio
	version int
	fec     bool
}

// isFax tells whether a section is fax over UDPTL.
func isFax(s *sdp.Media) bool { return s.Type == "image" && s.Protocol.IsT38() }

// translates decides whether the two sides of an offer have fax and audio from now on. What was decided lasts while the
// sender stays with its kind.
func (d *draft) translates(fm, tm *Media, s section, req *Request) bool {
	w := &req.T38
	on := false
	switch {
	case w.Stop:
	case isFax(s.Media):
		on = w.Decode || fm.fax.gateway && tm.fax.gateway && tm.Protocol.IsRTP()
	case s.Type == "audio" && s.Protocol.IsRTP():
		on = w.Force || fm.fax.gateway && tm.fax.gateway && !tm.Protocol.IsRTP()
	}
	fm.fax, tm.fax = fax{gateway: on}, fax{gateway: on, fec: w.FEC}
	if !on {
		return false
	}
	if version, ok := s.Attribute("T38FaxVersion"); ok {
		fm.fax.version, _ = strconv.Atoi(version.Value())
	}
	ec, _ := s.Attribute("T38FaxUdpEC")
	fm.fax.fec = strings.EqualFold(ec.Value(), "t38UDPFEC")
	if w.Version != nil {
		fm.fax.version, tm.fax.version = *w.Version, *w.Version
	}
	if !d.call.faxed {
		d.call.faxed = true
		d.call.manager.cfg.Log.With("system", "codec").Warn("a T.38 gateway is asked for and there is none: media of the section goes nowhere", "call", d.call.id)
	}
	return true
}

// offerAudio offers audio in the place of fax: what was agreed before, or what the message asks for, or G.711.
func (d *draft) offerAudio(fm, tm *Media, req *Request) bool {
	tm.Type, tm.Opaque = "audio", false
	switch {
	case req.Protocol.IsRTP():
		tm.Protocol = req.Protocol
	case tm.Section != nil && tm.Section.Protocol.IsRTP():
		tm.Protocol = tm.Section.Protocol
	default:
		tm.Protocol = sdp.ProtoAVP
	}
	codecs := slices.DeleteFunc(slices.Clone(tm.Sends), func(c sdp.Codec) bool { return !carriesMedia(c) || !convertible(c) })
	if len(codecs) == 0 && len(req.Codecs.Transcode) == 0 {
		for _, pt := range []uint8{0, 8} {
			c, _ := sdp.StaticCodec(pt)
			codecs = append(codecs, c)
		}
	}
	audio := *fm
	audio.Type, audio.Section = "audio", &sdp.Media{Type: "audio", Protocol: tm.Protocol, Codecs: codecs}
	return d.offerCodecs(&audio, tm, &req.Codecs)
}

// answerFax tells a party with audio what there is when the other side has accepted fax: the first codec of its offer that
// could be converted.
func (m *Media) answerFax() {
	list := m.Section.Codecs
	first := max(slices.IndexFunc(list, func(c sdp.Codec) bool { return carriesMedia(c) && convertible(c) }), 0)
	if len(list) > 0 {
		m.Sends = []sdp.Codec{printed(list[first])}
		m.Receives = m.Sends
	}
}

// translated writes a section for the side that has fax where the other has audio, or the other way round.
func (t *telling) translated() *sdp.Media {
	t.out = &sdp.Media{Type: t.tm.Type}
	t.transport()
	t.mid()
	t.direction()
	if t.tm.Opaque {
		t.fax()
		return t.out
	}
	t.ice()
	t.keys()
	t.codecs()
	t.rtcp()
	return t.out
}

// fax writes the attributes of T.38 (ITU-T T.38, annex D).
func (t *telling) fax() {
	m := t.out
	m.Formats = []string{"t38"}
	if m.Mid != "" {
		m.Other = append(m.Other, sdp.Attribute("mid:"+m.Mid))
	}
	correction := "t38UDPRedundancy"
	if t.tm.fax.fec {
		correction = "t38UDPFEC"
	}
	for _, a := range []string{
		"T38FaxVersion:" + strconv.Itoa(t.tm.fax.version), "T38MaxBitRate:14400", "T38FaxRateManagement:transferredTCF",
		"T38FaxMaxBuffer:1800", "T38FaxMaxDatagram:512", "T38FaxUdpEC:" + correction, m.Direction.String(),
	} {
		m.Other = append(m.Other, sdp.Attribute(a))
	}
}
