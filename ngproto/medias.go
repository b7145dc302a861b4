package ngproto

import "net/netip"

// mediasKey reads the media sections of create and transform.
func mediasKey(r *reader, v Value) error {
	if v.Kind() != KindList {
		r.bad("media", v)
	}
	for _, item := range v.List() {
		if item.Kind() != KindDict {
			r.bad("media", item)
			continue
		}
		m, err := r.media(item.Dict())
		if err != nil {
			return err
		}
		r.Medias = append(r.Medias, m)
	}
	return nil
}

func (r *reader) media(d Dict) (m MediaSpec, err error) {
	for _, e := range d {
		switch e.Key {
		case "id":
			m.ID = e.Value.Text()
		case "type":
			m.Type = e.Value.Text()
		case "codec", "codecs":
			r.mediaCodecs(&m, e.Value)
		case "destination":
			if m.Destination, err = destination(e.Value.Dict()); err != nil {
				return m, err
			}
		default:
			r.unknown("media/" + e.Key)
		}
	}
	return m, nil
}

// mediaCodecs reads strings as codecs and dictionaries as conversions.
func (r *reader) mediaCodecs(m *MediaSpec, v Value) {
	if v.scalar() {
		v = Strings(v.Strings()...)
	}
	for _, item := range v.List() {
		switch {
		case item.Kind() == KindDict:
			m.Transforms = append(m.Transforms, TransformCodec{
				Input:  transformFormat(item.Dict().Dict("input")),
				Output: transformFormat(item.Dict().Dict("output")),
			})
		case item.scalar():
			m.Codecs = append(m.Codecs, ParseCodec(item.Text()))
		default:
			r.bad("media/codec", item)
		}
	}
}

func transformFormat(d Dict) TransformFormat {
	f := TransformFormat{PayloadType: -1}
	for _, e := range d {
		n, isNumber := e.Value.Int()
		isNumber = isNumber && n >= 0 && n <= 1<<24
		switch {
		case e.Key == "codec":
			f.Codec = e.Value.Text()
		case e.Key == "format":
			f.Format = e.Value.Text()
		case e.Key == "options":
			f.Options = e.Value.Text()
		case isNumber && n < 128 && (e.Key == "payload type" || e.Key == "payload-type"):
			f.PayloadType = int(n)
		case isNumber && (e.Key == "clock rate" || e.Key == "clock-rate"):
			f.ClockRate = int(n)
		case isNumber && e.Key == "channels":
			f.Channels = int(n)
		}
	}
	return f
}

// destination reads where a transform sends its output. The error is an *Error.
func destination(d Dict) (netip.AddrPort, error) {
	text, ok := d.Get("address")
	if !ok {
		return netip.AddrPort{}, nil
	}
	family := ""
	for _, key := range spellings("address-family") {
		family += d.Text(key)
	}
	family += d.Text("family")
	if family == "" {
		return netip.AddrPort{}, &Error{ReasonDestNoFamily}
	}
	addr, err := netip.ParseAddr(text.Text())
	fits := family == "IP4" && addr.Is4() || family == "IP6" && addr.Is6()
	port, ok := d.Int("port")
	if err != nil || !fits || ok && (port < 0 || port > 65535) {
		return netip.AddrPort{}, &Error{ReasonDestAddress}
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}
