package sdp

import "strings"

// Protocol is the transport of an m= line. The text is kept as received; the methods ignore case.
type Protocol string

// Protocols a media proxy converts between (RFC 3551, RFC 4585, RFC 3711, RFC 5124, RFC 5764, RFC 7345).
const (
	ProtoAVP      Protocol = "RTP/AVP"
	ProtoAVPF     Protocol = "RTP/AVPF"
	ProtoSAVP     Protocol = "RTP/SAVP"
	ProtoSAVPF    Protocol = "RTP/SAVPF"
	ProtoTLSSAVP  Protocol = "UDP/TLS/RTP/SAVP"
	ProtoTLSSAVPF Protocol = "UDP/TLS/RTP/SAVPF"
	ProtoUDPTL    Protocol = "udptl"
	ProtoTLSUDPTL Protocol = "UDP/TLS/UDPTL"
	ProtoDTLSSCTP Protocol = "UDP/DTLS/SCTP"
	ProtoMSRP     Protocol = "TCP/MSRP"
	ProtoPlainUDP Protocol = "UDP"
)

// profile returns the RTP profile at the end of the protocol, in the form of profileNames, or "" for other protocols.
func (p Protocol) profile() string {
	i := strings.LastIndexByte(string(p), '/')
	if i < 3 || !strings.EqualFold(string(p[i-3:i]), "RTP") || (i > 3 && p[i-4] != '/') {
		return ""
	}
	for _, name := range [...]string{"AVP", "AVPF", "SAVP", "SAVPF"} {
		if strings.EqualFold(string(p[i+1:]), name) {
			return name
		}
	}
	return ""
}

// IsRTP reports whether the formats are RTP payload types.
func (p Protocol) IsRTP() bool { return p.profile() != "" }

// IsSecure reports whether the media is SRTP (RFC 3711), however keyed.
func (p Protocol) IsSecure() bool { return strings.HasPrefix(p.profile(), "S") }

// Feedback reports whether the profile allows early RTCP feedback (RFC 4585).
func (p Protocol) Feedback() bool { return strings.HasSuffix(p.profile(), "F") }

// IsDTLS reports whether the protocol is keyed by DTLS.
func (p Protocol) IsDTLS() bool {
	s := strings.ToUpper(string(p))
	return strings.HasPrefix(s, "UDP/TLS/") || strings.HasPrefix(s, "UDP/DTLS/") || strings.HasPrefix(s, "TCP/DTLS/") ||
		strings.HasPrefix(s, "TCP/TLS/RTP/")
}

// IsT38 reports whether the media is fax over UDPTL (ITU-T T.38).
func (p Protocol) IsT38() bool {
	return strings.EqualFold(string(p), string(ProtoUDPTL)) || strings.EqualFold(string(p), string(ProtoTLSUDPTL))
}
