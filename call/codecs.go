package call

import (
	"cmp"
	"slices"
	"strings"

	"github.com/weir-media/weir/sdp"
)

// Codecs is what a message asks for in the codec lists of the description it leads to. Nothing here needs a codec to run.
type Codecs struct {
	Strip  []CodecName // taken out
	Except []CodecName // kept although Strip means them
	Offer  []CodecName // the same, and first in this order
	Single bool        // of an answer only the first is kept, with what goes along with it
}

// CodecName names codecs: by payload type, or by encoding name and as much of the rest as is given.
type CodecName struct {
	Name        string // as in SDP, or "all" or "full" for every codec
	PayloadType int    // used instead of Name unless negative
	ClockRate   int    // Hz; 0 is any
	Channels    int    // 0 is any
}

func (n *CodecName) matches(c *sdp.Codec) bool {
	switch {
	case n.PayloadType >= 0:
		return n.PayloadType == int(c.PayloadType)
	case n.Name == "all" || n.Name == "full":
		return true
	}
	return n.Name == c.Name && (n.ClockRate == 0 || n.ClockRate == int(c.ClockRate)) &&
		(n.Channels == 0 || n.Channels == int(c.Channels))
}

// find returns the index of the first name that means the codec, -1 when none does.
func find(names []CodecName, c *sdp.Codec) int {
	return slices.IndexFunc(names, func(n CodecName) bool { return n.matches(c) })
}

// apply returns the codecs to print. A list from which everything would go stays as it is: an empty one is no media.
func (w *Codecs) apply(list []sdp.Codec, offer bool) []sdp.Codec {
	var kept []sdp.Codec
	for i := range list {
		c := &list[i]
		if find(w.Strip, c) < 0 || find(w.Except, c) >= 0 || find(w.Offer, c) >= 0 {
			kept = append(kept, *c)
		}
	}
	if len(kept) == 0 {
		kept = slices.Clone(list)
	}
	if len(w.Offer) > 0 {
		place := func(c *sdp.Codec) int {
			if i := find(w.Offer, c); i >= 0 {
				return i
			}
			return len(w.Offer)
		}
		slices.SortStableFunc(kept, func(a, b sdp.Codec) int { return cmp.Compare(place(&a), place(&b)) })
	}
	if w.Single && !offer {
		kept = single(kept)
	}
	return kept
}

// single keeps the first codec that carries media, and what goes along with it at the same clock rate.
func single(list []sdp.Codec) []sdp.Codec {
	first := slices.IndexFunc(list, func(c sdp.Codec) bool { return !supplemental(&c) })
	if first < 0 {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(c sdp.Codec) bool {
		main := list[first]
		return c.PayloadType != main.PayloadType && (!supplemental(&c) || c.ClockRate != main.ClockRate)
	})
}

// supplemental tells whether a codec goes along with others instead of carrying media by itself.
func supplemental(c *sdp.Codec) bool {
	for _, name := range []string{"telephone-event", "CN", "red", "ulpfec", "flexfec", "rtx"} {
		if strings.EqualFold(c.Name, name) {
			return true
		}
	}
	return false
}

// codecs writes the formats of the m= line and the lines that go with them.
func (t *telling) codecs() {
	if !t.offer && t.tm.Section != nil {
		t.out.Codecs = offered(t.out.Codecs, t.tm.Section.Codecs)
		if t.out.PTime == 0 {
			t.out.PTime = t.tm.Section.PTime // who asked for a packet time is told one
		}
	}
	t.out.Codecs = t.req.Codecs.apply(t.out.Codecs, t.offer)
}

// offered drops the codecs of an answer that the offer did not have. If none would be left, both sides mean something this
// proxy does not know, and the answer passes as it is.
func offered(answer, offer []sdp.Codec) []sdp.Codec {
	var kept []sdp.Codec
	for _, a := range answer {
		for _, o := range offer {
			if a.PayloadType == o.PayloadType || a.Name != "" && a.Name == o.Name && a.ClockRate == o.ClockRate {
				kept = append(kept, a)
				break
			}
		}
	}
	if len(kept) == 0 {
		return answer
	}
	return kept
}
