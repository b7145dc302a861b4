package call

import (
	"cmp"
	"slices"
	"strings"

	"github.com/weir-media/weir/codec"
	"github.com/weir-media/weir/sdp"
)

// Codecs is what a message asks for in the codec lists of the description it leads to. Of an answer only Strip, Except, Offer,
// Ignore, Single and Asymmetric count.
type Codecs struct {
	Strip  []CodecSpec `json:",omitzero"` // not told to the receiver
	Except []CodecSpec `json:",omitzero"` // kept although Strip, Mask or Consume means them
	Offer  []CodecSpec `json:",omitzero"` // the same, and first in this order
	Ignore []CodecSpec `json:",omitzero"` // passed on, but never used towards the sender

	Transcode []CodecSpec `json:",omitzero"` // added to the offer, with conversion if they are accepted
	Mask      []CodecSpec `json:",omitzero"` // as Strip, and used towards the offerer when audio is converted anyway
	Consume   []CodecSpec `json:",omitzero"` // as Mask, and audio is converted in any case
	Accept    []CodecSpec `json:",omitzero"` // accepted towards the offerer whatever the other side says
	Set       []CodecSpec `json:",omitzero"` // how to encode to codecs that nobody asked for by name

	Single     bool `json:",omitzero"` // of an answer only the first codec is kept, with what goes along with it
	Asymmetric bool `json:",omitzero"` // an answer may have codecs of the offer under other payload types
	Static     bool `json:",omitzero"` // a re-offer shows the receiver the codecs agreed with it, not the sender's
	Reuse      bool `json:",omitzero"` // codecs that were preferred once stay in front
	AllowNone  bool `json:",omitzero"` // a section left without codecs is refused; otherwise its codecs come back
	Force      bool `json:",omitzero"` // convert even between equal codecs

	PTime, PTimeReverse int `json:",omitzero"` // ms, towards the receiver of an offer and towards its sender; 0: not asked for
}

// CodecSpec names codecs: by payload type, or by encoding name and as much of the rest as is given.
type CodecSpec struct {
	Name        string `json:",omitzero"` // as in SDP, or "all", "full" or "any" for every codec
	PayloadType int    `json:",omitzero"` // used instead of Name unless negative
	ClockRate   int    `json:",omitzero"` // Hz; 0 is any
	Channels    int    `json:",omitzero"` // 0 is any
	Bitrate     int    `json:",omitzero"` // bits/s to encode with; 0 is the usual
	PTime       int    `json:",omitzero"` // ms to encode with; 0 is the usual
	Params      string `json:",omitzero"` // a=fmtp
	Options     string `json:",omitzero"` // for the encoder, in words of its own
}

// Offerable tells whether the spec names a codec that can be added to an offer.
func (n *CodecSpec) Offerable() bool {
	name := n.Name
	if n.PayloadType >= 0 {
		c, _ := sdp.StaticCodec(uint8(n.PayloadType))
		name = c.Name
	}
	e := codec.Find(name)
	return e != nil && e.Decode && e.Encode
}

// wildcard tells whether the spec is a word for every codec.
func (n *CodecSpec) wildcard() bool {
	return n.PayloadType < 0 && (n.Name == "all" || n.Name == "full" || n.Name == "any")
}

// tuned tells whether the spec says more than what a=rtpmap does.
func (n *CodecSpec) tuned() bool {
	return n.Bitrate != 0 || n.PTime != 0 || n.Params != "" || n.Options != ""
}

// lists tells whether a codec is meant by the spec as a member of Strip, Except, Offer, Ignore, Mask or Consume: names count with
// their case, a clock rate without channels means one channel, and what says more than a=rtpmap means nothing.
func (n *CodecSpec) lists(c *sdp.Codec) bool {
	switch {
	case n.wildcard():
		return true
	case n.PayloadType >= 0:
		return n.PayloadType == int(c.PayloadType)
	case n.tuned():
		return false
	}
	return n.Name == c.Name && (n.ClockRate == 0 || n.ClockRate == int(c.ClockRate) && max(n.Channels, 1) == int(c.Channels))
}

// means tells whether a codec is meant by the spec as a member of Transcode, Accept or Set: it matches as well as asked for in
// everything that is given.
func (n *CodecSpec) means(c *sdp.Codec, least codec.Match) bool {
	switch {
	case n.wildcard():
		return true
	case n.PayloadType >= 0:
		return n.PayloadType == int(c.PayloadType)
	case !strings.EqualFold(n.Name, c.Name) || n.ClockRate != 0 && n.ClockRate != int(c.ClockRate) ||
		n.Channels != 0 && n.Channels != int(c.Channels):
		return false
	}
	wanted := format(c)
	wanted.Params = n.Params
	return n.Params == "" || wanted.Compare(format(c)) >= least
}

// listed returns the index of the first spec that lists the codec, -1 when none does.
func listed(specs []CodecSpec, c *sdp.Codec) int {
	return slices.IndexFunc(specs, func(n CodecSpec) bool { return n.lists(c) })
}

// meant tells whether one of the specs means the codec.
func meant(specs []CodecSpec, c *sdp.Codec) bool {
	return slices.ContainsFunc(specs, func(n CodecSpec) bool { return n.means(c, codec.Within) })
}

// kept tells whether a codec is told to the receiver, and if not, whether only a word for all codecs took it out, so that naming it
// in Transcode brings it back.
func (w *Codecs) kept(c *sdp.Codec) (kept, restorable bool) {
	if listed(w.Except, c) >= 0 || listed(w.Offer, c) >= 0 {
		return true, false
	}
	kept, restorable = true, true
	for _, specs := range [][]CodecSpec{w.Strip, w.Mask, w.Consume} {
		for _, n := range specs {
			if n.lists(c) {
				kept = false
				restorable = restorable && n.wildcard() && n.Name != "full"
			}
		}
	}
	return kept, restorable && !kept
}

// ordered puts the codecs of Offer in front, in the order of Offer.
func (w *Codecs) ordered(list []sdp.Codec) []sdp.Codec {
	place := func(c *sdp.Codec) int {
		if i := listed(w.Offer, c); i >= 0 {
			return i
		}
		return len(w.Offer)
	}
	slices.SortStableFunc(list, func(a, b sdp.Codec) int { return cmp.Compare(place(&a), place(&b)) })
	return list
}

// shown returns what is left of an answer's codecs. An answer without media is none: then everything stays, or nothing if it may.
func (w *Codecs) shown(list []sdp.Codec) []sdp.Codec {
	left := slices.DeleteFunc(slices.Clone(list), func(c sdp.Codec) bool {
		kept, _ := w.kept(&c)
		return !kept
	})
	if !audible(left) && (audible(list) || len(left) == 0) {
		if w.AllowNone {
			return nil
		}
		left = slices.Clone(list)
	}
	return w.ordered(left)
}

// single keeps the first codec that carries media, and what goes along with it at the same clock rate.
func single(list []sdp.Codec) []sdp.Codec {
	first := slices.IndexFunc(list, carriesMedia)
	if first < 0 {
		return list
	}
	main := list[first]
	return slices.DeleteFunc(slices.Clone(list), func(c sdp.Codec) bool {
		return c.PayloadType != main.PayloadType && (carriesMedia(c) || c.ClockRate != main.ClockRate)
	})
}

func carriesMedia(c sdp.Codec) bool { return !codec.Supplemental(c.Name) }

// audible tells whether a list has a codec that carries media.
func audible(list []sdp.Codec) bool { return slices.ContainsFunc(list, carriesMedia) }

// convertible tells whether media can be converted from and to a codec.
func convertible(c sdp.Codec) bool { return codec.Convertible(c.Name) }

// format returns what the payload type means.
func format(c *sdp.Codec) codec.Format {
	return codec.Format{Name: c.Name, ClockRate: int(c.ClockRate), Channels: int(c.Channels), Params: c.Params}
}

// printed returns the codec with its parameters as we write them.
func printed(c sdp.Codec) sdp.Codec {
	f := format(&c)
	c.Params = f.Printed()
	return c
}

// byType returns the index of the codec with that payload type, -1 when there is none.
func byType(list []sdp.Codec, payloadType uint8) int {
	return slices.IndexFunc(list, func(c sdp.Codec) bool { return c.PayloadType == payloadType })
}

// ratesOf returns the clock rates of the codecs in a list that carry media.
func ratesOf(list []sdp.Codec) map[uint32]bool {
	rates := make(map[uint32]bool)
	for _, c := range list {
		if carriesMedia(c) {
			rates[c.ClockRate] = true
		}
	}
	return rates
}
