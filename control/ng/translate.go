package ng

import (
	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/ngproto"
	"github.com/weir-media/weir/sdp"
)

// translate says a request in the terms of the call model.
func translate(req *ngproto.Request, desc *sdp.Description) *call.Request {
	f := &req.Flags
	return &call.Request{
		CallID: req.CallID, FromTag: req.FromTag, ToTag: req.ToTag, ViaBranch: req.ViaBranch, SDP: desc, SDPText: req.SDP,
		Options: call.Options{
			AliasKey:       aliasKey(req.AliasKey),
			NewBranch:      f.NewBranch,
			FromInterface:  req.FromInterface,
			ToInterface:    req.ToInterface,
			Family:         family(req.AddressFamily),
			MediaAddress:   req.MediaAddress,
			ReceivedFrom:   req.ReceivedFrom,
			Source:         source(f),
			Learning:       learning(f.EndpointLearning),
			Asymmetric:     f.Asymmetric,
			Strict:         f.StrictSource,
			Handover:       f.MediaHandover,
			Unidirectional: f.Unidirectional,
			Protocol:       sdp.Protocol(req.Transport),
			AcceptProtocol: req.AcceptProto,
			ICE:            iceControl(f),
			Passthrough:    onOff(f.Passthrough),
			NoPortLatching: f.NoPortLatching,
			PortLatching:   f.PortLatching,
			SDES:           sdes(&f.SDES),
			DTLS:           dtlsControl(req),
			OSRTP:          osrtp(&f.OSRTP),
			Recrypt:        f.Recrypt,
			Reset:          f.Reset,
			RTCPMux: call.RTCPMux{
				Offer: f.RTCPMux.Offer, Require: f.RTCPMux.Require, Demux: f.RTCPMux.Demux, Accept: f.RTCPMux.Accept,
				Reject: f.RTCPMux.Reject,
			},
			Codecs:  codecs(req),
			ExtMaps: call.ExtMaps{Strip: req.ExtMapStrip, Mask: req.ExtMapMask},
			Bundle: call.Bundle{
				Accept: f.Bundle.Accept, Offer: f.Bundle.Offer, Require: f.Bundle.Require, Strict: f.Bundle.Strict,
				Reject: f.Bundle.Reject,
			},
			T38: call.T38{
				Decode: f.T38.Decode, Force: f.T38.Force, Stop: f.T38.Stop, FEC: f.T38.FEC, Version: version(req.T38Version),
			},
			Attributes:        attributes(req.SDPAttr),
			RemoveMedia:       req.SDPMediaRemove,
			FullRTCP:          f.FullRTCPAttribute,
			NoRTCP:            f.NoRTCPAttribute,
			OriginalDirection: f.OriginalSendrecv,
			GenerateMID:       f.GenerateMID,
			Replace: call.Replace{
				Origin: f.Replace.Origin, OriginFull: f.Replace.OriginFull, Username: f.Replace.Username,
				SessionName: f.Replace.SessionName, Version: f.Replace.SDPVersion,
				ForceVersion: f.Replace.ForceIncrementVersion, ZeroAddress: f.Replace.ZeroAddress,
			},
			LoopProtect:  f.LoopProtect,
			DTMF:         offerDTMF(req),
			BlockShort:   f.BlockShort,
			MediaEcho:    mediaEcho(f.MediaEcho),
			DropTraffic:  dropTraffic(f.DropTraffic),
			EventLog:     req.DTMFLogDest,
			GenerateRTCP: onOff(f.GenerateRTCP),
			TOS:          tos(req.TOS),
			KeepTOS:      req.TOS.Set && req.TOS.N < 0,
			Label:        req.Label,
			Client:       req.Client,
			Callback:     req.XMLRPCAddr,
		},
	}
}

func aliasKey(k ngproto.AliasKey) call.AliasKey {
	switch k {
	case ngproto.AliasSDP:
		return call.AliasSDP
	case ngproto.AliasAddress:
		return call.AliasAddress
	}
	return call.AliasNone
}

func family(f ngproto.Family) int {
	switch f {
	case ngproto.IP4:
		return 4
	case ngproto.IP6:
		return 6
	}
	return 0
}

func source(f *ngproto.Flags) call.AddressSource {
	switch {
	case f.SIPSourceAddress:
		return call.AddressFromMessage
	case f.TrustAddress:
		return call.AddressFromSDP
	}
	return call.AddressDefault
}

func learning(l ngproto.Learning) *media.Learning {
	mode := media.LearnHeuristic
	switch l {
	case ngproto.LearnDefault:
		return nil
	case ngproto.LearnOff:
		mode = media.LearnOff
	case ngproto.LearnImmediate:
		mode = media.LearnImmediate
	case ngproto.LearnDelayed:
		mode = media.LearnDelayed
	}
	return &mode
}

func attributes(changes []ngproto.AttrChanges) []call.AttributeChange {
	var all []call.AttributeChange
	for _, c := range changes {
		a := call.AttributeChange{Scope: c.Scope, Add: c.Add, Remove: c.Remove}
		for _, s := range c.Substitute {
			a.Substitute = append(a.Substitute, [2]string{s.From, s.To})
		}
		all = append(all, a)
	}
	return all
}

// version returns the version asked for; nil when none is.
func version(n ngproto.Number) *int {
	if !n.Set || n.N < 0 {
		return nil
	}
	v := int(n.N)
	return &v
}

// tos returns the value to set; nil is the configured one.
func tos(n ngproto.Number) *uint8 {
	if !n.Set || n.N < 0 || n.N > 255 {
		return nil
	}
	v := uint8(n.N)
	return &v
}
