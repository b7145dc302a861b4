package ngproto

import "strings"

// The options that come as lists, one table for each list. An item function reports whether it knows the word.

type setItem func(*Flags)

func fromTable(items map[string]setItem) func(*reader, string) bool {
	return func(r *reader, word string) bool {
		set, ok := items[word]
		if ok {
			set(&r.Flags)
		}
		return ok
	}
}

var replaceItem = fromTable(table([]row[setItem]{
	{"origin", func(f *Flags) { f.Replace.Origin = true }},
	{"origin-full", func(f *Flags) { f.Replace.OriginFull = true }},
	{"session-connection", func(*Flags) {}}, // always done
	{"SDP-version|sdp-version", func(f *Flags) { f.Replace.SDPVersion = true }},
	{"force-increment-sdp-ver|force-increment-SDP-ver", func(f *Flags) { f.Replace.ForceIncrementVersion = true }},
	{"username", func(f *Flags) { f.Replace.Username = true }},
	{"session-name", func(f *Flags) { f.Replace.SessionName = true }},
	{"zero-address", func(f *Flags) { f.Replace.ZeroAddress = true }},
}))

var muxItem = fromTable(table([]row[setItem]{
	{"offer", func(f *Flags) { f.RTCPMux.Offer = true }},
	{"require", func(f *Flags) { f.RTCPMux.Offer, f.RTCPMux.Require = true, true }},
	{"demux", func(f *Flags) { f.RTCPMux.Demux = true }},
	{"accept", func(f *Flags) { f.RTCPMux.Accept = true }},
	{"reject", func(f *Flags) { f.RTCPMux.Reject = true }},
}))

var bundleItem = fromTable(table([]row[setItem]{
	{"accept", func(f *Flags) { f.Bundle.Accept = true }},
	{"reject", func(f *Flags) { f.Bundle.Reject = true }},
	{"offer", func(f *Flags) { f.Bundle.Offer, f.GenerateMID = true, true }},
	{"require", func(f *Flags) { f.Bundle.Require, f.GenerateMID = true, true }},
	{"strict", func(f *Flags) { f.Bundle.Strict, f.GenerateMID = true, true }},
}))

var osrtpItem = fromTable(table([]row[setItem]{
	{"offer|offer-RFC|offer-rfc", func(f *Flags) { f.OSRTP.Offer = true }},
	{"offer-legacy", func(f *Flags) { f.OSRTP.OfferLegacy = true }},
	{"accept-RFC|accept-rfc", func(f *Flags) { f.OSRTP.AcceptRFC = true }},
	{"accept-legacy", func(f *Flags) { f.OSRTP.AcceptLegacy = true }},
	{"accept", func(f *Flags) { f.OSRTP.AcceptRFC, f.OSRTP.AcceptLegacy = true, true }},
}))

var iceItem = fromTable(table([]row[setItem]{
	{"remove", func(f *Flags) { f.ICE = ICERemove }},
	{"force", func(f *Flags) { f.ICE = ICEForce }},
	{"default", func(f *Flags) { f.ICE = ICEDefault }},
	{"optional", func(f *Flags) { f.ICE = ICEOptional }},
	{"force-relay", func(f *Flags) { f.ICE = ICEForceRelay }},
	{"lite|lite-fw|lite-fwd|lite-forward|lite-offer", func(f *Flags) { f.ICELite = ICELiteForward }},
	{"lite-backward|lite-backwards|lite-reverse|lite-answer|lite-back|lite-bkw|lite-bk",
		func(f *Flags) { f.ICELite = ICELiteBackward }},
	{"lite-both", func(f *Flags) { f.ICELite = ICELiteBoth }},
	{"lite-no|lite-off|lite-none|no-lite", func(f *Flags) { f.ICELite = ICELiteOff }},
	{"trickle", func(f *Flags) { f.TrickleICE = true }},
	{"ice2|ICE2", func(f *Flags) { f.ICE2 = true }},
}))

var t38Known = fromTable(table([]row[setItem]{
	{"decode", func(f *Flags) { f.T38.Decode = true }},
	{"force", func(f *Flags) { f.T38.Force = true }},
	{"stop", func(f *Flags) { f.T38.Stop = true }},
	{"no-ECM|no-ecm", func(f *Flags) { f.T38.NoECM = true }},
	{"no-V.17|no-V17|no-v17|no-v.17", func(f *Flags) { f.T38.NoV17 = true }},
	{"no-V.27ter|no-V27ter|no-v27ter|no-v.27ter", func(f *Flags) { f.T38.NoV27ter = true }},
	{"no-V.29|no-V29|no-v29|no-v.29", func(f *Flags) { f.T38.NoV29 = true }},
	{"no-V.34|no-V34|no-v34|no-v.34", func(f *Flags) { f.T38.NoV34 = true }},
	{"no-IAF|no-iaf", func(f *Flags) { f.T38.NoIAF = true }},
	{"FEC|fec", func(f *Flags) { f.T38.FEC = true }},
}))

// t38Item is silently without effect in commands that make no offer.
func t38Item(r *reader, word string) bool {
	if !r.is(Offer, SubscribeRequest, Publish) {
		return true
	}
	return t38Known(r, word)
}

var dtlsKnown = fromTable(table([]row[setItem]{
	{"off|no|disable|disabled", func(f *Flags) { f.DTLS.Off = true }},
	{"passive", func(f *Flags) { f.DTLS.Passive, f.DTLS.Active = true, false }},
	{"active", func(f *Flags) { f.DTLS.Passive, f.DTLS.Active = false, true }},
}))

// dtlsItem is silently without effect on the role in an answer.
func dtlsItem(r *reader, word string) bool {
	if r.is(Answer) && (word == "passive" || word == "active") {
		return true
	}
	return dtlsKnown(r, word)
}

var sdesKnown = fromTable(table([]row[setItem]{
	{"off|no|disable|disabled", func(f *Flags) { f.SDES.Off = true }},
	{"unencrypted_srtp|UNENCRYPTED_SRTP", func(f *Flags) { f.SDES.UnencryptedSRTP = true }},
	{"unencrypted_srtcp|UNENCRYPTED_SRTCP", func(f *Flags) { f.SDES.UnencryptedSRTCP = true }},
	{"unauthenticated_srtp|UNAUTHENTICATED_SRTP", func(f *Flags) { f.SDES.UnauthenticatedSRTP = true }},
	{"encrypted_srtp|ENCRYPTED_SRTP", func(f *Flags) { f.SDES.EncryptedSRTP = true }},
	{"encrypted_srtcp|ENCRYPTED_SRTCP", func(f *Flags) { f.SDES.EncryptedSRTCP = true }},
	{"authenticated_srtp|AUTHENTICATED_SRTP", func(f *Flags) { f.SDES.AuthenticatedSRTP = true }},
	{"nonew", func(f *Flags) { f.SDES.NoNew = true }},
	{"pad", func(f *Flags) { f.SDES.Pad = true }},
	{"lifetime", func(f *Flags) { f.SDES.Lifetime = true }},
	{"static", func(f *Flags) { f.SDES.Static = true }},
	{"prefer|priority", func(f *Flags) { f.SDES.Prefer = true }},
}))

func sdesItem(r *reader, word string) bool {
	s := &r.Flags.SDES
	if sdesKnown(r, word) {
		return true
	}
	if suite, ok := strings.CutPrefix(word, "no-"); ok {
		s.No = append(s.No, suite)
	} else if suite, ok := strings.CutPrefix(word, "only-"); ok {
		s.Only = append(s.Only, suite)
	} else if list, ok := strings.CutPrefix(word, "order:"); ok {
		s.Order = append(s.Order, suites(list)...)
	} else if list, ok := strings.CutPrefix(word, "offerer_pref:"); ok {
		s.Offerer = append(s.Offerer, suites(list)...)
	} else {
		return false
	}
	return true
}

// suites splits "A;B;".
func suites(list string) []string {
	return strings.FieldsFunc(list, func(c rune) bool { return c == ';' })
}

var learningWords = map[string]Learning{
	"off": LearnOff, "immediate": LearnImmediate, "delayed": LearnDelayed, "heuristic": LearnHeuristic,
}

func learningItem(r *reader, word string) bool {
	mode, ok := learningWords[word]
	if ok {
		r.Flags.EndpointLearning = mode
	}
	return ok
}

var supportsItem = fromTable(table([]row[setItem]{
	{"load-limit", func(f *Flags) { f.LoadLimit = true }},
}))
