package ngproto

import "net/netip"

// applyKey is what a dictionary key does with its value. The error is an *Error that ends the request.
type applyKey func(*reader, Value) error

// keyTable holds the dictionary keys, except those that expand to further keys. Each may be written with hyphens, blanks
// or underscores.
var keyTable = table([]row[applyKey]{
	{"command", func(*reader, Value) error { return nil }},
	{"flags", flagsKey},
	{"supports", itemsKey("supports", supportsItem)},

	// Call and parties.
	{"call-id|call-ID", textKey(func(r *Request) *string { return &r.CallID })},
	{"from-tag", fromTagKey},
	{"to-tag", toTagKey},
	{"sdp|SDP", func(r *reader, v Value) error {
		r.SDP, r.HasSDP = v.Text(), true
		return nil
	}},
	{"via-branch", textKey(func(r *Request) *string { return &r.ViaBranch })},
	{"from-tags", listKey(func(r *Request) *[]string { return &r.FromTags })},
	{"label|from-label", textKey(func(r *Request) *string { return &r.Label })},
	{"set-label", textKey(func(r *Request) *string { return &r.SetLabel })},
	{"to-label", textKey(func(r *Request) *string { return &r.ToLabel })},
	{"address", textKey(func(r *Request) *string { return &r.Address })},
	{"all", enumKey("all", allWords, func(r *Request) *AllMode { return &r.All })},
	{"alias-key", enumKey("alias-key", aliasWords, func(r *Request) *AliasKey { return &r.AliasKey })},
	{"source-tag", textKey(func(r *Request) *string { return &r.SourceTag })},
	{"source-call-id|source-call-ID", textKey(func(r *Request) *string { return &r.SourceCallID })},
	{"to-call-id|to-call-ID", textKey(func(r *Request) *string { return &r.ToCallID })},
	{"calls", listKey(func(r *Request) *[]string { return &r.Calls })},
	{"tags", meshTagsKey},

	// Addresses, interfaces, transport.
	{"direction", directionKey},
	{"from-interface", textKey(func(r *Request) *string { return &r.FromInterface })},
	{"to-interface", textKey(func(r *Request) *string { return &r.ToInterface })},
	{"interface", textKey(func(r *Request) *string { return &r.Interface })},
	{"inbound-peer", addressKey("inbound-peer", func(r *Request) *netip.Addr { return &r.InboundPeer })},
	{"outbound-peer", addressKey("outbound-peer", func(r *Request) *netip.Addr { return &r.OutboundPeer })},
	{"peer", addressKey("peer", func(r *Request) *netip.Addr { return &r.Peer })},
	{"address-family", enumKey("address-family", familyWords, func(r *Request) *Family { return &r.AddressFamily })},
	{"media-address", addressKey("media-address", func(r *Request) *netip.Addr { return &r.MediaAddress })},
	{"received-from", receivedFromKey},
	{"transport-protocol", transportKey},
	{"TOS|tos", numberKey("TOS", func(r *Request) *Number { return &r.TOS })},
	{"xmlrpc-callback|XMLRPC-callback",
		addressKey("xmlrpc-callback", func(r *Request) *netip.Addr { return &r.XMLRPCAddr })},
	{"endpoint-learning", itemsKey("endpoint-learning", learningItem)},
	{"drop-traffic", dropTrafficKey},
	{"media-echo", enumKey("media-echo", echoWords, func(r *Request) *MediaEcho { return &r.Flags.MediaEcho })},
	{"passthrough|passthru",
		enumKey("passthrough", switchWords, func(r *Request) *Switch { return &r.Flags.Passthrough })},

	// Description.
	{"replace", itemsKey("replace", replaceItem)},
	{"rtcp-mux|RTCP-mux", itemsKey("rtcp-mux", muxItem)},
	{"bundle|BUNDLE", itemsKey("bundle", bundleItem)},
	{"generate-RTCP|generate-rtcp",
		enumKey("generate RTCP", switchWords, func(r *Request) *Switch { return &r.Flags.GenerateRTCP })},
	{"ICE|ice", itemsKey("ICE", iceItem)},
	{"ICE-lite|ice-lite", enumKey("ICE-lite", iceLiteWords, func(r *Request) *ICELite { return &r.Flags.ICELite })},
	{"DTLS|dtls|DTLS-reverse|dtls-reverse", itemsKey("DTLS", dtlsItem)},
	{"DTLS-fingerprint|dtls-fingerprint", fingerprintKey},
	{"SDES|sdes", itemsKey("SDES", sdesItem)},
	{"OSRTP|osrtp", itemsKey("OSRTP", osrtpItem)},
	{"T.38|T38|t38|t.38", itemsKey("T.38", t38Item)},
	{"T.38-version|T38-version|t.38-version|t38-version",
		numberKey("T.38-version", func(r *Request) *Number { return &r.T38Version })},
	{"extmap", extMapKey},
	{"sdp-attr|SDP-attr", sdpAttrKey},
	{"sdp-media-remove|SDP-media-remove", sdpMediaRemoveKey},
	{"SIP-code|sip-code|SIP-response-code|sip-response-code", sipCodeKey},
	{"SIP-message-type|sip-message-type",
		enumKey("SIP message type", sipMessageWords, func(r *Request) *SIPMessage { return &r.SIPMessage })},

	// Codecs.
	{"codec|codecs", codecKey},
	{"ptime", offerOnly(numberKey("ptime", func(r *Request) *Number { return &r.Ptime }))},
	{"ptime-reverse|reverse-ptime",
		offerOnly(numberKey("ptime-reverse", func(r *Request) *Number { return &r.PtimeReverse }))},
	{"delay-buffer", numberKey("delay-buffer", func(r *Request) *Number { return &r.DelayBuffer })},

	// DTMF.
	{"DTMF-security|dtmf-security",
		enumKey("DTMF-security", blockWords, func(r *Request) *BlockMode { return &r.DTMFSecurity })},
	{"DTMF-security-trigger|dtmf-security-trigger",
		enumKey("DTMF-security-trigger", blockWords, func(r *Request) *BlockMode { return &r.DTMFSecurityTrigger })},
	{"DTMF-security-trigger-end|dtmf-security-trigger-end",
		enumKey("DTMF-security-trigger-end", blockWords, func(r *Request) *BlockMode { return &r.DTMFSecurityTriggerEnd })},
	{"trigger", textKey(func(r *Request) *string { return &r.Trigger })},
	{"trigger-end|end-trigger", textKey(func(r *Request) *string { return &r.TriggerEnd })},
	{"trigger-end-time|end-trigger-time",
		numberKey("trigger-end-time", func(r *Request) *Number { return &r.TriggerEndTime })},
	{"trigger-end-digits|end-trigger-digits",
		numberKey("trigger-end-digits", func(r *Request) *Number { return &r.TriggerEndDigits })},
	{"DTMF-delay|dtmf-delay", numberKey("DTMF-delay", func(r *Request) *Number { return &r.DTMFDelay })},
	{"DTMF-log-dest|dtmf-log-dest|DTMF-log-destination|dtmf-log-destination", dtmfLogKey},
	{"frequency|frequencies", frequencyKey},
	{"volume", numberKey("volume", func(r *Request) *Number { return &r.Volume })},
	{"code|digit", codeKey},
	{"duration", numberKey("duration", func(r *Request) *Number { return &r.Duration })},
	{"pause", pauseKey},
	{"vsc-start-rec|VSC-start-rec|vsc-start-recording|VSC-start-recording",
		textKey(func(r *Request) *string { return &r.VSC.StartRec })},
	{"vsc-stop-rec|VSC-stop-rec|vsc-stop-recording|VSC-stop-recording",
		textKey(func(r *Request) *string { return &r.VSC.StopRec })},
	{"vsc-start-stop-rec|VSC-start-stop-rec|vsc-start-stop-recording|VSC-start-stop-recording",
		textKey(func(r *Request) *string { return &r.VSC.StartStopRec })},
	{"vsc-pause-rec|VSC-pause-rec|vsc-pause-recording|VSC-pause-recording",
		textKey(func(r *Request) *string { return &r.VSC.PauseRec })},
	{"vsc-pause-resume-rec|VSC-pause-resume-rec|vsc-pause-resume-recording|VSC-pause-resume-recording",
		textKey(func(r *Request) *string { return &r.VSC.PauseResumeRec })},
	{"vsc-start-pause-resume-rec|VSC-start-pause-resume-rec|" +
		"vsc-start-pause-resume-recording|VSC-start-pause-resume-recording",
		textKey(func(r *Request) *string { return &r.VSC.StartPauseResumeRec })},

	// Playback and recording.
	{"file", textKey(func(r *Request) *string { return &r.Source.File })},
	{"blob", textKey(func(r *Request) *string { return &r.Source.Blob })},
	{"blob64", blob64Key},
	{"db-id", numberKey("db-id", func(r *Request) *Number { return &r.Source.DBID })},
	{"repeat-times", numberKey("repeat-times", func(r *Request) *Number { return &r.RepeatTimes })},
	{"repeat-duration", numberKey("repeat-duration", func(r *Request) *Number { return &r.RepeatDuration })},
	{"start-pos", numberKey("start-pos", func(r *Request) *Number { return &r.StartPos })},
	{"audio-player|player",
		enumKey("audio-player", playerWords, func(r *Request) *AudioPlayer { return &r.Flags.AudioPlayer })},
	{"moh|MoH|MOH", mohKey},
	{"metadata", textKey(func(r *Request) *string { return &r.Metadata })},
	{"record-call", enumKey("record call", recordWords, func(r *Request) *RecordCall { return &r.Flags.RecordCall })},
	{"output-destination|output-dest|output-file|recording-destination|recording-dest|recording-file",
		textKey(func(r *Request) *string { return &r.RecordingFile })},
	{"recording-dir|recording-path|recording-directory|recording-folder|" +
		"output-dir|output-path|output-directory|output-folder",
		textKey(func(r *Request) *string { return &r.RecordingDir })},
	{"recording-pattern|output-pattern", textKey(func(r *Request) *string { return &r.RecordingPat })},
	{"recording-media-slot-offer",
		numberKey("recording-media-slot-offer", func(r *Request) *Number { return &r.SlotOffer })},
	{"recording-media-slot-answer",
		numberKey("recording-media-slot-answer", func(r *Request) *Number { return &r.SlotAnswer })},
	{"recording-media-slots", numberKey("recording-media-slots", func(r *Request) *Number { return &r.Slots })},

	// Other commands.
	{"delete-delay", deleteDelayKey},
	{"limit", numberKey("limit", func(r *Request) *Number { return &r.Limit })},
	{"instance", textKey(func(r *Request) *string { return &r.Instance })},
	{"media|medias", mediasKey},
	{"body", textKey(func(r *Request) *string { return &r.Body })},
})

var allWords = map[string]AllMode{
	"none": AllNone, "all": AllAll, "flows": AllFlows, "offer-answer": AllOfferAnswer,
	"except-offer-answer": AllExceptOfferAnswer, "not-offer-answer": AllExceptOfferAnswer,
	"non-offer-answer": AllExceptOfferAnswer,
}

var aliasWords = map[string]AliasKey{
	"none": AliasNone, "off": AliasNone, "no": AliasNone,
	"sdp": AliasSDP, "SDP": AliasSDP, "address": AliasAddress, "endpoint": AliasAddress,
}

var familyWords = map[string]Family{"IP4": IP4, "IP6": IP6}

var switchWords = map[string]Switch{
	"on": On, "yes": On, "enable": On, "enabled": On,
	"off": Off, "no": Off, "disable": Off, "disabled": Off,
}

var iceLiteWords = map[string]ICELite{
	"off": ICELiteOff, "none": ICELiteOff, "no": ICELiteOff,
	"forward": ICELiteForward, "offer": ICELiteForward, "fwd": ICELiteForward, "fw": ICELiteForward,
	"backward": ICELiteBackward, "backwards": ICELiteBackward, "reverse": ICELiteBackward, "answer": ICELiteBackward,
	"back": ICELiteBackward, "bkw": ICELiteBackward, "bk": ICELiteBackward,
	"both": ICELiteBoth,
}

var echoWords = map[string]MediaEcho{
	"blackhole": EchoBlackhole, "sinkhole": EchoBlackhole,
	"forward": EchoForward, "fwd": EchoForward, "fw": EchoForward,
	"backward": EchoBackward, "backwards": EchoBackward, "reverse": EchoBackward, "back": EchoBackward,
	"bkw": EchoBackward, "bk": EchoBackward,
	"both": EchoBoth,
}

var playerWords = map[string]AudioPlayer{
	"default":     PlayerDefault,
	"transcoding": PlayerTranscoding, "transcode": PlayerTranscoding, "on": PlayerTranscoding, "yes": PlayerTranscoding,
	"enable": PlayerTranscoding, "enabled": PlayerTranscoding,
	"off": PlayerOff, "no": PlayerOff, "disable": PlayerOff, "disabled": PlayerOff,
	"always": PlayerAlways, "force": PlayerAlways, "forced": PlayerAlways, "everything": PlayerAlways,
}

var recordWords = map[string]RecordCall{
	"yes": RecordOn, "on": RecordOn, "no": RecordOff, "off": RecordOff, "discard": RecordDiscard,
}

var blockWords = map[string]BlockMode{
	"drop": BlockDrop, "off": BlockOff, "silence": BlockSilence, "tone": BlockTone, "random": BlockRandom,
	"zero": BlockZero, "DTMF": BlockReplace, "dtmf": BlockReplace,
}

var sipMessageWords = table([]row[SIPMessage]{
	{"request|SIP-request|sip-request", SIPRequest},
	{"reply|response|SIP-reply|sip-reply|SIP-response|sip-response", SIPReply},
})
