package ngproto

import (
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
)

// offerOnly makes a key silently without effect outside an offer.
func offerOnly(apply applyKey) applyKey {
	return func(r *reader, v Value) error {
		if !r.is(Offer) {
			return nil
		}
		return apply(r, v)
	}
}

// fromTagKey and toTagKey: a tag within a flag string is there to be used, so it brings the flag that makes commands
// look at it.
func fromTagKey(r *reader, v Value) error {
	r.FromTag, r.HasFromTag = scalar(v).Text(), true
	r.Flags.Directional = r.Flags.Directional || r.inString
	return nil
}

func toTagKey(r *reader, v Value) error {
	r.ToTag, r.HasToTag = scalar(v).Text(), true
	r.Flags.ToTag = r.Flags.ToTag || r.inString
	return nil
}

func flagsKey(r *reader, v Value) error {
	if v.Kind() == KindDict {
		r.bad("flags", v)
	}
	for _, word := range v.Strings() {
		r.flag(word)
	}
	return nil
}

// directionKey reads [from, to], or one interface at a time.
func directionKey(r *reader, v Value) error {
	names := v.Strings()
	if len(names) == 2 {
		r.FromInterface, r.ToInterface = names[0], names[1]
		return nil
	}
	for _, name := range names {
		r.direction(name)
	}
	return nil
}

// direction takes the first interface named as that of the sender and the second as that of the receiver.
func (r *reader) direction(name string) {
	switch {
	case r.FromInterface == "":
		r.FromInterface = name
	case r.ToInterface == "":
		r.ToInterface = name
	default:
		r.warn("direction: more than two interfaces, %q is left out", clip(name))
	}
}

// receivedFromKey reads [family, address] or an address.
func receivedFromKey(r *reader, v Value) error {
	words := v.Strings()
	if len(words) == 0 || len(words) > 2 {
		r.bad("received-from", v)
		return nil
	}
	addr, err := netip.ParseAddr(words[len(words)-1])
	if err != nil {
		r.warn("received-from: %q is not an address", clip(words[len(words)-1]))
		return nil
	}
	r.ReceivedFrom = addr
	return nil
}

// transports are the protocols that can be asked for, as they stand in m= lines.
var transports = map[string]string{
	"RTP/AVP": "RTP/AVP", "RTP/AVPF": "RTP/AVPF", "RTP/SAVP": "RTP/SAVP", "RTP/SAVPF": "RTP/SAVPF",
	"UDP/TLS/RTP/SAVP": "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF": "UDP/TLS/RTP/SAVPF", "UDPTL": "udptl",
}

func transportKey(r *reader, v Value) error {
	word := scalar(v).Text()
	if word == "accept" {
		r.AcceptProto = r.is(Answer)
		return nil
	}
	protocol, ok := transports[strings.ToUpper(word)]
	if !ok {
		r.bad("transport-protocol", v)
		return nil
	}
	r.Transport = protocol
	return nil
}

// dropTrafficKey lets stop win over start, wherever each of them stands.
func dropTrafficKey(r *reader, v Value) error {
	for _, word := range v.Strings() {
		switch {
		case word == "stop":
			r.Flags.DropTraffic = DropStop
		case word != "start":
			r.bad("drop-traffic", String(word))
		case r.Flags.DropTraffic == DropUnset:
			r.Flags.DropTraffic = DropStart
		}
	}
	return nil
}

func fingerprintKey(r *reader, v Value) error {
	switch hash := strings.ToUpper(scalar(v).Text()); hash {
	case "SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512":
		r.DTLSFingerprint = hash
	default:
		r.bad("DTLS-fingerprint", v)
	}
	return nil
}

func extMapKey(r *reader, v Value) error {
	if v.Kind() != KindDict {
		r.bad("extmap", v)
	}
	for _, e := range v.Dict() {
		switch e.Key {
		case "strip":
			r.ExtMapStrip = append(r.ExtMapStrip, e.Value.Strings()...)
		case "mask":
			r.ExtMapMask = append(r.ExtMapMask, e.Value.Strings()...)
		default:
			r.unknown("extmap/" + e.Key)
		}
	}
	return nil
}

func sipCodeKey(r *reader, v Value) error {
	if n, ok := scalar(v).Int(); ok && n >= 100 && n < 700 {
		r.SIPCode = int(n)
	} else {
		r.bad("SIP code", v)
	}
	return nil
}

func deleteDelayKey(r *reader, v Value) error {
	if n, ok := scalar(v).Int(); ok && n >= -1 && int64(int32(n)) == n {
		r.DeleteDelay = int(n)
	} else {
		r.bad("delete delay", v)
	}
	return nil
}

func dtmfLogKey(r *reader, v Value) error {
	if dest, err := netip.ParseAddrPort(scalar(v).Text()); err == nil {
		r.DTMFLogDest = dest
	} else {
		r.bad("DTMF-log-dest", v)
	}
	return nil
}

func frequencyKey(r *reader, v Value) error {
	var list []int
	for _, word := range v.Strings() {
		n, err := strconv.ParseUint(strings.TrimSpace(word), 10, 16)
		if err != nil || n == 0 {
			r.bad("frequency", String(word))
			continue
		}
		list = append(list, int(n))
	}
	if list != nil {
		r.Frequencies = list
	}
	return nil
}

// codeKey reads an event number 0 to 15 or one of the characters 0-9 * # A-D (RFC 4733 section 3.2). A single character
// is always taken as such.
func codeKey(r *reader, v Value) error {
	v = scalar(v)
	n, ok := v.Int()
	if text := v.Text(); v.Kind() == KindString && len(text) == 1 {
		n = int64(strings.IndexByte("0123456789*#ABCD", strings.ToUpper(text)[0]))
		ok = true
	}
	if !ok || n < 0 || n > 15 {
		r.Code = Number{}
		r.bad("code", v)
		return nil
	}
	r.Code = Number{N: int(n), Set: true}
	return nil
}

// pauseKey is the gap between events for play DTMF, and a truth value for stop recording.
func pauseKey(r *reader, v Value) error {
	v = scalar(v)
	if n, ok := v.Int(); ok && int64(int32(n)) == n {
		r.PauseTime = Number{N: int(n), Set: true}
		return nil
	}
	switch v.Text() {
	case "yes", "on", "true":
		r.Flags.Pause = true
	case "no", "off", "false":
		r.Flags.Pause = false
	default:
		r.bad("pause", v)
	}
	return nil
}

func blob64Key(r *reader, v Value) error {
	if r.Source.Blob != "" {
		return nil
	}
	blob, err := base64.StdEncoding.DecodeString(v.Text())
	if err != nil {
		r.warn("blob64: %v", err)
		return nil
	}
	r.Source.Blob = string(blob)
	return nil
}

func mohKey(r *reader, v Value) error {
	if v.Kind() != KindDict {
		r.bad("moh", v)
		return nil
	}
	moh := new(MOH)
	for _, e := range v.Dict() {
		switch text := e.Value.Text(); e.Key {
		case "file":
			moh.Source.File = text
		case "blob":
			moh.Source.Blob = text
		case "db-id":
			if n, ok := e.Value.Int(); ok {
				moh.Source.DBID = Number{N: int(n), Set: true}
			} else {
				r.bad("moh/db-id", e.Value)
			}
		case "mode":
			mode, ok := mohWords[text]
			if !ok {
				r.bad("moh/mode", e.Value)
			}
			moh.Mode = mode
		case "connection":
			if text != "zero" {
				r.bad("moh/connection", e.Value)
			}
			moh.ZeroConnection = text == "zero"
		default:
			r.unknown("moh/" + e.Key)
		}
	}
	r.MOH = moh
	return nil
}

var mohWords = map[string]MOHMode{"sendonly": MOHSendonly, "sendrecv": MOHSendrecv, "reflect": MOHReflect}

func meshTagsKey(r *reader, v Value) error {
	for _, item := range v.List() {
		tag := MeshTag{From: item.Dict().Text("from")}
		if to, ok := item.Dict().Get("to"); ok {
			tag.To = to.Strings()
		}
		r.Tags = append(r.Tags, tag)
	}
	return nil
}
