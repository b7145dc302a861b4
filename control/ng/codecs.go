package ng

import (
	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/ngproto"
)

// codecs says what a request wants of codec lists in the terms of the call model.
func codecs(req *ngproto.Request) call.Codecs {
	f, c := &req.Flags, &req.Codec
	return call.Codecs{
		Strip: codecSpecs(c.Strip), Except: codecSpecs(c.Except), Offer: codecSpecs(c.Offer), Ignore: codecSpecs(c.Ignore),
		Transcode: codecSpecs(c.Transcode), Mask: codecSpecs(c.Mask), Consume: codecSpecs(c.Consume),
		Accept: codecSpecs(c.Accept), Set: codecSpecs(c.Set),
		Single: f.SingleCodec, Asymmetric: f.AllowAsymmetricCodecs, Static: f.StaticCodecs, Reuse: f.NoCodecRenegotiation,
		AllowNone: f.AllowNoCodecMedia, Force: f.ForceTranscoding,
		PTime: packetTime(req.Ptime), PTimeReverse: packetTime(req.PtimeReverse),
	}
}

func codecSpecs(list []ngproto.Codec) []call.CodecSpec {
	var specs []call.CodecSpec
	for _, c := range list {
		specs = append(specs, CodecSpec(c))
	}
	return specs
}

// CodecSpec says a codec specification of the protocol in the terms of the call model.
func CodecSpec(c ngproto.Codec) call.CodecSpec {
	return call.CodecSpec{
		Name: c.Name, PayloadType: c.PayloadType, ClockRate: c.ClockRate, Channels: c.Channels, Bitrate: c.Bitrate, PTime: c.Ptime,
		Params: c.Format, Options: c.Options,
	}
}

// longestPacket is the longest packet time that is believed, in ms.
const longestPacket = 1000

// packetTime returns a packet time in ms, 0 when none or nonsense was asked for.
func packetTime(n ngproto.Number) int {
	if !n.Set || n.N <= 0 || n.N > longestPacket {
		return 0
	}
	return int(n.N)
}
