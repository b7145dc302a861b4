package sdp

import (
	"strconv"
	"strings"
)

// Codec is one payload type of an RTP section with the attributes that belong to it.
type Codec struct {
	PayloadType  uint8    `json:",omitzero"` // 0..127
	Name         string   `json:",omitzero"` // encoding name, case as received; empty when nothing says what the payload type means
	ClockRate    uint32   `json:",omitzero"` // in Hz
	Channels     uint8    `json:",omitzero"` // 1 unless said otherwise, 0 together with an empty Name
	Params       string   `json:",omitzero"` // a=fmtp as received, without the payload type
	RTCPFeedback []string `json:",omitzero"` // a=rtcp-fb, without the payload type
}

// staticCodecs are the payload types that need no a=rtpmap (RFC 3551, section 6). Never written to.
var staticCodecs = [...]Codec{
	0:  {Name: "PCMU", ClockRate: 8000, Channels: 1},
	3:  {Name: "GSM", ClockRate: 8000, Channels: 1},
	4:  {Name: "G723", ClockRate: 8000, Channels: 1},
	5:  {Name: "DVI4", ClockRate: 8000, Channels: 1},
	6:  {Name: "DVI4", ClockRate: 16000, Channels: 1},
	7:  {Name: "LPC", ClockRate: 8000, Channels: 1},
	8:  {Name: "PCMA", ClockRate: 8000, Channels: 1},
	9:  {Name: "G722", ClockRate: 8000, Channels: 1},
	10: {Name: "L16", ClockRate: 44100, Channels: 2},
	11: {Name: "L16", ClockRate: 44100, Channels: 1},
	12: {Name: "QCELP", ClockRate: 8000, Channels: 1},
	13: {Name: "CN", ClockRate: 8000, Channels: 1},
	14: {Name: "MPA", ClockRate: 90000, Channels: 1},
	15: {Name: "G728", ClockRate: 8000, Channels: 1},
	16: {Name: "DVI4", ClockRate: 11025, Channels: 1},
	17: {Name: "DVI4", ClockRate: 22050, Channels: 1},
	18: {Name: "G729", ClockRate: 8000, Channels: 1},
	25: {Name: "CelB", ClockRate: 90000, Channels: 1},
	26: {Name: "JPEG", ClockRate: 90000, Channels: 1},
	28: {Name: "nv", ClockRate: 90000, Channels: 1},
	31: {Name: "H261", ClockRate: 90000, Channels: 1},
	32: {Name: "MPV", ClockRate: 90000, Channels: 1},
	33: {Name: "MP2T", ClockRate: 90000, Channels: 1},
	34: {Name: "H263", ClockRate: 90000, Channels: 1},
}

// StaticCodec returns what a payload type means without a=rtpmap, and whether it means anything. The codec has its
// payload type set either way.
func StaticCodec(payloadType uint8) (Codec, bool) {
	var c Codec
	if int(payloadType) < len(staticCodecs) {
		c = staticCodecs[payloadType]
	}
	c.PayloadType = payloadType
	return c, c.Name != ""
}

// Codec returns the codec of a payload type, nil when the section does not list it.
func (m *Media) Codec(payloadType uint8) *Codec {
	for i := range m.Codecs {
		if m.Codecs[i].PayloadType == payloadType {
			return &m.Codecs[i]
		}
	}
	return nil
}

func (m *Media) codecOf(format string) *Codec {
	n, ok := parseUint(format, 127)
	if !ok {
		return nil
	}
	return m.Codec(uint8(n))
}

// parseRTPMap reads "payload-type name/clock-rate[/channels]". What does not follow that form is kept as the name.
func (m *Media) parseRTPMap(value string) {
	format, encoding := field(value)
	encoding = trim(encoding)
	c := m.codecOf(format)
	if c == nil || encoding == "" {
		return
	}
	c.Name, c.ClockRate, c.Channels = encoding, 0, 1
	name, rate, _ := strings.Cut(encoding, "/")
	rate, channels, several := strings.Cut(rate, "/")
	clock, ok := parseUint(rate, 1<<32-1)
	count := uint64(1)
	if ok && several {
		count, ok = parseUint(channels, 255)
	}
	if ok && clock > 0 && count > 0 && name != "" {
		c.Name, c.ClockRate, c.Channels = name, uint32(clock), uint8(count)
	}
}

// appendEncoding appends the value of a=rtpmap, without the payload type.
func (c *Codec) appendEncoding(dst []byte) []byte {
	dst = append(dst, c.Name...)
	if c.ClockRate == 0 {
		return dst
	}
	dst = append(dst, '/')
	dst = strconv.AppendUint(dst, uint64(c.ClockRate), 10)
	if c.Channels > 1 {
		dst = append(dst, '/')
		dst = strconv.AppendUint(dst, uint64(c.Channels), 10)
	}
	return dst
}

// String returns "name/clock-rate[/channels]", as in a=rtpmap.
func (c *Codec) String() string { return string(c.appendEncoding(nil)) }
