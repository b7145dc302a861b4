package ngproto

// setFlag is what a word of the flags list does.
type setFlag func(*reader)

func on(field func(*Flags) *bool) setFlag {
	return func(r *reader) { *field(&r.Flags) = true }
}

func nothing(*reader) {}

// flagTable holds the words of the flags list. Each may be written with hyphens, blanks or underscores; capitals count,
// so that the usual capitalisations are listed.
var flagTable = table([]row[setFlag]{
	{"all", func(r *reader) { r.All = AllAll }},

	// Codec handling.
	{"allow-asymmetric-codecs|allow-asymmetric-codec", on(func(f *Flags) *bool { return &f.AllowAsymmetricCodecs })},
	{"allow-no-codec-media|allow-no-codec-medias|allow-empty-codec-media|allow-empty-codec-medias",
		on(func(f *Flags) *bool { return &f.AllowNoCodecMedia })},
	{"allow-transcoding", on(func(f *Flags) *bool { return &f.AllowTranscoding })},
	{"force-transcoding", on(func(f *Flags) *bool { return &f.ForceTranscoding })},
	{"always-transcode", func(r *reader) { r.codec("accept", "all") }},
	{"asymmetric-codecs|symmetric-codecs|reorder-codecs", nothing}, // obsolete
	{"single-codec", on(func(f *Flags) *bool { return &f.SingleCodec })},
	{"static-codecs|static-codec", on(func(f *Flags) *bool { return &f.StaticCodecs })},
	{"no-codec-renegotiation|reuse-codecs", on(func(f *Flags) *bool { return &f.NoCodecRenegotiation })},
	{"no-jitter-buffer", on(func(f *Flags) *bool { return &f.NoJitterBuffer })},

	// Addresses and sources.
	{"asymmetric", on(func(f *Flags) *bool { return &f.Asymmetric })},
	{"symmetric", nothing}, // the default
	{"block-short|block-shorts|block-short-packets", on(func(f *Flags) *bool { return &f.BlockShort })},
	{"media-handover", on(func(f *Flags) *bool { return &f.MediaHandover })},
	{"NAT-wait|nat-wait", on(func(f *Flags) *bool { return &f.NATWait })},
	{"pierce-NAT|pierce-nat", on(func(f *Flags) *bool { return &f.PierceNAT })},
	{"SIP-source-address|sip-source-address", func(r *reader) {
		r.Flags.SIPSourceAddress, r.Flags.TrustAddress = true, false
	}},
	{"trust-address", func(r *reader) { r.Flags.SIPSourceAddress, r.Flags.TrustAddress = false, true }},
	{"strict-source", on(func(f *Flags) *bool { return &f.StrictSource })},
	{"no-port-latching", on(func(f *Flags) *bool { return &f.NoPortLatching })},
	{"port-latching", on(func(f *Flags) *bool { return &f.PortLatching })},
	{"unidirectional", on(func(f *Flags) *bool { return &f.Unidirectional })},

	// Session description.
	{"full-rtcp-attribute|full-RTCP-attribute", on(func(f *Flags) *bool { return &f.FullRTCPAttribute })},
	{"no-rtcp-attribute|no-RTCP-attribute", on(func(f *Flags) *bool { return &f.NoRTCPAttribute })},
	{"generate-mid", on(func(f *Flags) *bool { return &f.GenerateMID })},
	{"generate-RTCP|generate-rtcp", func(r *reader) { r.Flags.GenerateRTCP = On }},
	{"loop-protect", on(func(f *Flags) *bool { return &f.LoopProtect })},
	{"original-sendrecv", on(func(f *Flags) *bool { return &f.OriginalSendrecv })},
	{"fragment", on(func(f *Flags) *bool { return &f.Fragment })},
	{"strip-extmap", func(r *reader) { r.ExtMapStrip = append(r.ExtMapStrip, "all") }},

	// ICE, DTLS, SDES.
	{"reject-ICE|reject-ice|ICE-reject|ice-reject", on(func(f *Flags) *bool { return &f.RejectICE })},
	{"reset", on(func(f *Flags) *bool { return &f.Reset })},
	{"trickle-ICE|trickle-ice", on(func(f *Flags) *bool { return &f.TrickleICE })},
	{"no-tls-id", on(func(f *Flags) *bool { return &f.NoTLSID })},
	{"pad-crypto", on(func(f *Flags) *bool { return &f.SDES.Pad })},
	{"recrypt", on(func(f *Flags) *bool { return &f.Recrypt })},
	{"WebRTC|webrtc|webRTC|WebRtc", webRTC},

	// DTMF and playback.
	{"block-DTMF|block-dtmf", on(func(f *Flags) *bool { return &f.BlockDTMF })},
	{"detect-DTMF|detect-dtmf", on(func(f *Flags) *bool { return &f.DetectDTMF })},
	{"inject-DTMF|inject-dtmf", on(func(f *Flags) *bool { return &f.InjectDTMF })},
	{"block-egress", on(func(f *Flags) *bool { return &f.BlockEgress })},
	{"early-media", on(func(f *Flags) *bool { return &f.EarlyMedia })},
	{"audio-player|player", func(r *reader) { r.Flags.AudioPlayer = PlayerTranscoding }},
	{"no-player|no-audio-player", func(r *reader) { r.Flags.AudioPlayer = PlayerOff }},
	{"passthrough", func(r *reader) { r.Flags.Passthrough = On }},
	{"no-passthrough", func(r *reader) { r.Flags.Passthrough = Off }},

	// Recording.
	{"record-call", func(r *reader) { r.Flags.RecordCall = RecordOn }},
	{"discard-recording", on(func(f *Flags) *bool { return &f.DiscardRecording })},
	{"exclude-recording", on(func(f *Flags) *bool { return &f.ExcludeRecording })},
	{"recording-announcement", on(func(f *Flags) *bool { return &f.RecordingAnnouncement })},
	{"recording-VSC|recording-vsc", on(func(f *Flags) *bool { return &f.RecordingVSC })},
	{"skip-recording-db|skip-recording-database", on(func(f *Flags) *bool { return &f.SkipRecordingDB })},
	{"pause", on(func(f *Flags) *bool { return &f.Pause })},

	// Parties and subscriptions.
	{"bidirectional", on(func(f *Flags) *bool { return &f.Bidirectional })},
	{"directional", on(func(f *Flags) *bool { return &f.Directional })},
	{"egress", on(func(f *Flags) *bool { return &f.Egress })},
	{"inactive", on(func(f *Flags) *bool { return &f.Inactive })},
	{"mix|mixed", on(func(f *Flags) *bool { return &f.Mix })},
	{"new-branch", on(func(f *Flags) *bool { return &f.NewBranch })},
	{"provisional", on(func(f *Flags) *bool { return &f.Provisional })},
	{"RTCP-mirror|rtcp-mirror|mirror-RTCP|mirror-rtcp", on(func(f *Flags) *bool { return &f.RTCPMirror })},
	{"SIPREC|siprec", on(func(f *Flags) *bool { return &f.SIPREC })},
	{"unsubscribe", on(func(f *Flags) *bool { return &f.Unsubscribe })},
	{"to-tag", on(func(f *Flags) *bool { return &f.ToTag })},

	// Command handling.
	{"debug|debugging", on(func(f *Flags) *bool { return &f.Debug })},
	{"fatal", on(func(f *Flags) *bool { return &f.Fatal })},
	{"fast", on(func(f *Flags) *bool { return &f.Fast })},
	{"no-redis-update", on(func(f *Flags) *bool { return &f.NoRedisUpdate })},
})

// webRTC sets what a browser needs. Settings that come later may undo parts of it.
func webRTC(r *reader) {
	f := &r.Flags
	f.WebRTC = true
	r.Transport = "UDP/TLS/RTP/SAVPF"
	f.ICE = ICEForce
	f.TrickleICE = true
	f.RTCPMux.Offer, f.RTCPMux.Require = true, true
	f.NoRTCPAttribute = true
	f.SDES.Off = true
	f.GenerateMID = true
	f.Bundle.Offer, f.Bundle.Require = true, true
}

// prefixTable holds the flags that end in a value: "<prefix><value>". Order matters only where one prefix begins
// another.
var prefixTable = []struct {
	prefix string
	apply  func(*reader, string)
}{
	{"codec-strip-", codecFlag("strip")},
	{"codec-ignore-", codecFlag("ignore")},
	{"codec-except-", codecFlag("except")},
	{"codec-offer-", codecFlag("offer")},
	{"codec-transcode-", codecFlag("transcode")},
	{"transcode-", codecFlag("transcode")},
	{"codec-mask-", codecFlag("mask")},
	{"codec-consume-", codecFlag("consume")},
	{"codec-accept-", codecFlag("accept")},
	{"codec-set-", codecFlag("set")},
	{"replace-", itemFlag("replace", replaceItem)},
	{"rtcp-mux-", itemFlag("rtcp-mux", muxItem)},
	{"RTCP-mux-", itemFlag("rtcp-mux", muxItem)},
	{"SDES-", itemFlag("SDES", sdesItem)},
	{"sdes-", itemFlag("SDES", sdesItem)},
	{"OSRTP-", itemFlag("OSRTP", osrtpItem)},
	{"osrtp-", itemFlag("OSRTP", osrtpItem)},
	{"T.38-", itemFlag("T.38", t38Item)},
	{"T38-", itemFlag("T.38", t38Item)},
	{"t.38-", itemFlag("T.38", t38Item)},
	{"t38-", itemFlag("T.38", t38Item)},
	{"BUNDLE-", itemFlag("BUNDLE", bundleItem)},
	{"bundle-", itemFlag("BUNDLE", bundleItem)},
	{"endpoint-learning-", itemFlag("endpoint-learning", learningItem)},
	{"from-tags-", func(r *reader, tag string) { r.FromTags = append(r.FromTags, tag) }},
	{"sdp-attr-add-", attrFlag("add")},
	{"sdp-attr-remove-", attrFlag("remove")},
	{"sdp-attr-substitute-", attrFlag("substitute")},
}

func codecFlag(list string) func(*reader, string) {
	return func(r *reader, spec string) { r.codec(list, spec) }
}

func itemFlag(key string, item func(*reader, string) bool) func(*reader, string) {
	return func(r *reader, word string) {
		if !item(r, word) {
			r.unknown(key + "-" + word)
		}
	}
}
