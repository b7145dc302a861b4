package codec

import "strings"

// Encoding is what is known of one encoding. The numbers are those Weir uses when nothing else is said.
type Encoding struct {
	Name      string // as registered, the case it is offered in
	ClockRate int    // of RTP time stamps, in Hz
	Channels  int
	PTime     int    // of a packet, in ms; 0 where there is no such thing
	Bitrate   int    // bits/s; 0 where it follows from the rest
	Params    string // a=fmtp when Weir offers it

	Decode, Encode bool
	// Supplemental encodings go along with others of their clock rate instead of carrying media by themselves.
	Supplemental bool

	compare comparer
	static  []static
}

// static is a payload type that needs no a=rtpmap.
type static struct {
	payloadType         uint8
	clockRate, channels int
}

// encodings is never written to. L16 has its two numbers the way rtpengine has them, which is the opposite of RFC 3551, table 4:
// harmless, because the a=rtpmap is always there.
var encodings = []Encoding{
	{Name: "PCMU", ClockRate: 8000, PTime: 20, Bitrate: 64000, Decode: true, Encode: true, compare: ignoring, static: at(0, 8000)},
	{Name: "PCMA", ClockRate: 8000, PTime: 20, Bitrate: 64000, Decode: true, Encode: true, compare: ignoring, static: at(8, 8000)},
	{Name: "G722", ClockRate: 8000, PTime: 20, Bitrate: 64000, Decode: true, Encode: true, compare: ignoring, static: at(9, 8000)},
	{Name: "G723", ClockRate: 8000, PTime: 30, Bitrate: 6300, Decode: true, Encode: true, compare: literal, static: at(4, 8000)},
	{Name: "G726-16", ClockRate: 8000, PTime: 20, Bitrate: 16000, Decode: true, Encode: true, compare: literal},
	{Name: "G726-24", ClockRate: 8000, PTime: 20, Bitrate: 24000, Decode: true, Encode: true, compare: literal},
	{Name: "G726-32", ClockRate: 8000, PTime: 20, Bitrate: 32000, Decode: true, Encode: true, compare: literal},
	{Name: "G726-40", ClockRate: 8000, PTime: 20, Bitrate: 40000, Decode: true, Encode: true, compare: literal},
	{Name: "G729", ClockRate: 8000, PTime: 20, Bitrate: 8000, Params: "annexb=yes", Decode: true, Encode: true, compare: ignoring, static: at(18, 8000)},
	{Name: "G729a", ClockRate: 8000, PTime: 20, Bitrate: 8000, Params: "annexb=no", Decode: true, Encode: true, compare: ignoring, static: at(18, 8000)},
	{Name: "GSM", ClockRate: 8000, PTime: 20, Bitrate: 13000, Decode: true, Encode: true, compare: literal, static: at(3, 8000)},
	{Name: "iLBC", ClockRate: 8000, PTime: 30, Params: "mode=30", Decode: true, Encode: true, compare: compareILBC},
	{Name: "opus", ClockRate: 48000, Channels: 2, PTime: 20, Params: "useinbandfec=1", Decode: true, Encode: true, compare: ignoring},
	{Name: "speex", ClockRate: 16000, PTime: 20, Bitrate: 11000, Decode: true, Encode: true, compare: literal},
	{Name: "AMR", ClockRate: 8000, PTime: 20, Bitrate: 6700, Params: "octet-align=1;mode-change-capability=2", Decode: true, Encode: true, compare: compareAMR},
	{Name: "AMR-WB", ClockRate: 16000, PTime: 20, Bitrate: 14250, Params: "octet-align=1;mode-change-capability=2", Decode: true, Encode: true, compare: compareAMR},
	{Name: "L16", ClockRate: 44100, PTime: 20, Decode: true, Encode: true, compare: literal, static: []static{{10, 44100, 1}, {11, 44100, 2}}},
	{Name: "X-L16", ClockRate: 44100, PTime: 20, Decode: true, Encode: true, compare: literal},

	{Name: "telephone-event", ClockRate: 8000, Params: "0-15", Decode: true, Encode: true, Supplemental: true, compare: ignoring},
	{Name: "CN", ClockRate: 8000, PTime: 20, Decode: true, Encode: true, Supplemental: true, compare: ignoring, static: at(13, 8000)},
	{Name: "red", ClockRate: 8000, Supplemental: true, compare: ignoring},
	{Name: "ulpfec", ClockRate: 90000, Supplemental: true, compare: ignoring},
	{Name: "flexfec", ClockRate: 90000, Supplemental: true, compare: ignoring},
	{Name: "rtx", ClockRate: 90000, Supplemental: true, compare: ignoring},
}

func at(payloadType uint8, clockRate int) []static { return []static{{payloadType, clockRate, 1}} }

// Names returns the names of all encodings.
func Names() []string {
	names := make([]string, len(encodings))
	for i := range encodings {
		names[i] = encodings[i].Name
	}
	return names
}

// Find returns the encoding of that name, whatever its case, or nil. Nobody writes to what it returns.
func Find(name string) *Encoding {
	for i := range encodings {
		if strings.EqualFold(encodings[i].Name, name) {
			return &encodings[i]
		}
	}
	return nil
}

// Supplemental tells whether an encoding goes along with others instead of carrying media by itself.
func Supplemental(name string) bool {
	e := Find(name)
	return e != nil && e.Supplemental
}

// Convertible tells whether audio can be converted from and to an encoding.
func Convertible(name string) bool {
	e := Find(name)
	return e != nil && e.Decode && e.Encode && !e.Supplemental
}

// StaticType returns the payload type that means the encoding at a clock rate and number of channels without a=rtpmap.
func (e *Encoding) StaticType(clockRate, channels int) (uint8, bool) {
	for _, s := range e.static {
		if s.clockRate == clockRate && s.channels == channels {
			return s.payloadType, true
		}
	}
	return 0, false
}

// Format returns the encoding as Weir offers it by default.
func (e *Encoding) Format() Format {
	return Format{Name: e.Name, ClockRate: e.ClockRate, Channels: max(e.Channels, 1), Params: e.Params}
}
