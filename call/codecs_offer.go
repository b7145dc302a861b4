package call

import (
	"maps"
	"slices"
	"strings"

	"github.com/weir-media/weir/codec"
	"github.com/weir-media/weir/sdp"
)

// codecOffer is the last offer of codecs to a media, with what its answer will be measured by. It never changes.
type codecOffer struct {
	told     []sdp.Codec // to the party
	theirs   []sdp.Codec // of the offerer that may be used towards it, in order of preference
	added    []uint8     // payload types of told that the offerer does not have: they need conversion
	masked   []uint8     // payload types of theirs that were not passed on, or not as they were
	insisted []uint8     // payload types of theirs that the offerer is told whatever the answer says
	forced   bool        // insisted has media: everything is converted to it
	asked    Codecs
}

// offerCodecs decides what the receiver of an offer is told. It returns false if that is nothing, and the section is to be refused.
func (d *draft) offerCodecs(fm, tm *Media, w *Codecs) bool {
	said := fm.Section.Codecs
	theirs := slices.DeleteFunc(slices.Clone(said), func(c sdp.Codec) bool { return listed(w.Ignore, &c) >= 0 })
	if w.Reuse {
		theirs = preferred(theirs, fm.Sends)
	}
	b := offerBuilder{asked: w, said: said, before: tm.Sends}
	if tm.Section != nil {
		b.known = tm.Section.Codecs
	}
	o := &codecOffer{theirs: theirs, asked: *w}
	o.told = b.build(fm.Type == "audio")
	o.added = b.added
	for i := range theirs {
		c := &theirs[i]
		if listed(w.Mask, c) >= 0 || listed(w.Consume, c) >= 0 {
			o.masked = append(o.masked, c.PayloadType)
		}
		if meant(w.Accept, c) || meant(w.Consume, c) {
			o.insisted = append(o.insisted, c.PayloadType)
			o.forced = o.forced || convertible(*c)
		}
	}
	fm.Sends, fm.Receives = theirs, theirs
	tm.Sends, tm.Receives, tm.offered = o.told, o.told, o
	fm.ptime = firstOf(fm.Section.PTime, fm.ptime)
	before := tm.ptime
	tm.ptime = fm.Section.PTime
	if fm.Type == "audio" {
		tm.ptime = firstOf(w.PTime, fm.Section.PTime, before)
		fm.made, tm.made = w.Force, w.Force
		tm.packets, fm.packets = w.PTime, w.PTimeReverse
		if w.PTime != 0 {
			fm.packets = firstOf(w.PTimeReverse, fm.ptime)
		}
		tm.tuning, fm.tuning = w.Transcode, w.Set
	}
	return len(o.told) > 0 || !w.AllowNone
}

func firstOf(values ...int) int {
	for _, v := range values {
		if v != 0 {
			return v
		}
	}
	return 0
}

// preferred puts the codecs that carry media and were agreed before in front of the others, in the order they had.
func preferred(list, before []sdp.Codec) []sdp.Codec {
	var front []sdp.Codec
	for _, c := range before {
		if i := slices.IndexFunc(list, func(l sdp.Codec) bool { return format(&l).Compare(format(&c)) == codec.Same }); i >= 0 && carriesMedia(c) {
			front = append(front, list[i])
			list = slices.Delete(slices.Clone(list), i, i+1)
		}
	}
	at := max(slices.IndexFunc(list, carriesMedia), 0)
	return slices.Insert(slices.Clone(list), at, front...)
}

// offerBuilder makes the list of codecs that an offer tells.
type offerBuilder struct {
	asked  *Codecs
	said   []sdp.Codec // by the offerer
	known  []sdp.Codec // as the receiver has said them
	before []sdp.Codec // agreed with the receiver

	list    []sdp.Codec
	removed []sdp.Codec     // may be brought back by naming them
	lost    map[uint32]bool // clock rates of codecs that were taken out
	fresh   map[uint32]bool // clock rates of codecs that were brought in
	added   []uint8         // payload types of list that the offerer does not have
}

func (b *offerBuilder) build(audio bool) []sdp.Codec {
	b.lost, b.fresh = make(map[uint32]bool), make(map[uint32]bool)
	b.filter()
	if audio {
		for i := range b.asked.Transcode {
			b.bringIn(&b.asked.Transcode[i])
		}
	}
	if !audible(b.list) && (audible(b.said) || len(b.list) == 0) {
		if b.asked.AllowNone {
			return nil
		}
		b.list, b.added = slices.Clone(b.said), nil
		b.lost = nil
	}
	if audio {
		b.events()
	}
	b.dropOrphans()
	b.reorder()
	for i, c := range b.list {
		b.list[i] = printed(c)
	}
	return b.list
}

// filter takes over what passes.
func (b *offerBuilder) filter() {
	base := b.said
	if b.asked.Static && len(b.known) > 0 && len(b.before) > 0 {
		base = b.before
		for _, c := range b.said {
			if byType(base, c.PayloadType) < 0 {
				b.removed = append(b.removed, c)
			}
		}
	}
	for _, c := range base {
		kept, restorable := b.asked.kept(&c)
		switch {
		case kept:
			b.list = append(b.list, c)
			continue
		case restorable:
			b.removed = append(b.removed, c)
		}
		if carriesMedia(c) {
			b.lost[c.ClockRate] = true
		}
	}
	b.list = b.asked.ordered(b.list)
}

// bringIn adds a codec that Transcode names, unless it is there.
func (b *offerBuilder) bringIn(n *CodecSpec) {
	if !n.Offerable() {
		return
	}
	spec := *n
	if spec.PayloadType >= 0 {
		c, _ := sdp.StaticCodec(uint8(spec.PayloadType))
		spec = CodecSpec{Name: c.Name, PayloadType: -1, ClockRate: int(c.ClockRate), Channels: int(c.Channels)}
	}
	e := codec.Find(spec.Name)
	if slices.ContainsFunc(b.list, func(c sdp.Codec) bool { return spec.means(&c, codec.Same) }) {
		return
	}
	c, ok := b.restore(func(c *sdp.Codec) bool { return spec.means(c, codec.Same) })
	if !ok {
		c, ok = b.remembered(func(c *sdp.Codec) bool { return spec.means(c, codec.Same) })
		if !ok {
			c = spec.codec(e)
			if c.PayloadType, ok = b.number(e, &c, b.said, b.known); !ok {
				return
			}
		}
		b.added = append(b.added, c.PayloadType)
	}
	if carriesMedia(c) {
		b.fresh[c.ClockRate] = true
	}
	b.list = slices.Insert(b.list, b.end(), c)
}

// codec returns what is offered for a spec, with everything it leaves out filled in.
func (n *CodecSpec) codec(e *codec.Encoding) sdp.Codec {
	f := e.Format()
	c := sdp.Codec{Name: n.Name, ClockRate: uint32(firstOf(n.ClockRate, f.ClockRate)), Channels: uint8(firstOf(n.Channels, f.Channels))}
	// Options stand behind the parameters: who gives them has left the parameters empty on purpose.
	if c.Params = n.Params; n.Params == "" && n.Options == "" {
		c.Params = f.Params
	}
	return c
}

// end returns where a codec that is brought in goes: behind those that carry media, before the supplemental ones after them.
func (b *offerBuilder) end() int {
	at := len(b.list)
	for at > 0 && !carriesMedia(b.list[at-1]) {
		at--
	}
	return at
}

// restore takes back a codec of the offerer that was taken out.
func (b *offerBuilder) restore(fits func(*sdp.Codec) bool) (sdp.Codec, bool) {
	for i := range b.removed {
		if c := b.removed[i]; fits(&c) && byType(b.list, c.PayloadType) < 0 {
			b.removed = slices.Delete(b.removed, i, i+1)
			return c, true
		}
	}
	return sdp.Codec{}, false
}

// remembered finds a codec the way the receiver has it.
func (b *offerBuilder) remembered(fits func(*sdp.Codec) bool) (sdp.Codec, bool) {
	for _, list := range [][]sdp.Codec{b.known, b.before} {
		for _, c := range list {
			if fits(&c) && byType(b.list, c.PayloadType) < 0 {
				return c, true
			}
		}
	}
	return sdp.Codec{}, false
}

// number picks a payload type that the list does not have, nor others do for something else; false when all are taken.
func (b *offerBuilder) number(e *codec.Encoding, c *sdp.Codec, others ...[]sdp.Codec) (uint8, bool) {
	free := func(pt uint8) bool {
		return byType(b.list, pt) < 0 && !slices.ContainsFunc(others, func(list []sdp.Codec) bool {
			i := byType(list, pt)
			return i >= 0 && format(&list[i]).Compare(format(c)) < codec.Compatible
		})
	}
	if pt, ok := e.StaticType(int(c.ClockRate), int(c.Channels)); ok && free(pt) {
		return pt, true
	}
	for _, dynamic := range [][2]uint8{{96, 127}, {35, 63}} { // the second is unassigned, and free of RTCP packet types when multiplexed
		for pt := dynamic[0]; pt <= dynamic[1]; pt++ {
			if free(pt) {
				return pt, true
			}
		}
	}
	return 0, false
}

// events adds telephone-event at the clock rates of codecs that were brought in, or of all if it was asked for itself. It goes
// along with codecs of its own clock rate (RFC 4733, section 2.1).
func (b *offerBuilder) events() {
	isEvent := func(c sdp.Codec) bool { return strings.EqualFold(c.Name, "telephone-event") }
	if !slices.ContainsFunc(b.list, isEvent) {
		return
	}
	rates := b.fresh
	if slices.ContainsFunc(b.asked.Transcode, func(n CodecSpec) bool { return strings.EqualFold(n.Name, "telephone-event") }) {
		rates = ratesOf(b.list)
	}
	e := codec.Find("telephone-event")
	at := b.end()
	for _, rate := range slices.Sorted(maps.Keys(rates)) {
		fits := func(c *sdp.Codec) bool { return isEvent(*c) && c.ClockRate == rate }
		if slices.ContainsFunc(b.list, func(c sdp.Codec) bool { return fits(&c) }) {
			continue
		}
		c, ok := b.restore(fits)
		if !ok {
			if c, ok = b.remembered(fits); !ok {
				c = sdp.Codec{Name: e.Name, ClockRate: rate, Channels: 1, Params: e.Params}
				if c.PayloadType, ok = b.number(e, &c); !ok {
					return
				}
			}
			b.added = append(b.added, c.PayloadType)
		}
		b.list = slices.Insert(b.list, at, c)
		at++
	}
}

// dropOrphans takes out supplemental codecs that have lost what they went along with. Those that never had anything stay: what
// they are good for is up to the parties.
func (b *offerBuilder) dropOrphans() {
	rates := ratesOf(b.list)
	b.list = slices.DeleteFunc(b.list, func(c sdp.Codec) bool {
		return !carriesMedia(c) && !rates[c.ClockRate] && (b.lost[c.ClockRate] || slices.Contains(b.added, c.PayloadType))
	})
}

// reorder puts codecs in front that were preferred: by Reuse those agreed before, and by Offer those the receiver has used itself.
func (b *offerBuilder) reorder() {
	if b.asked.Reuse {
		b.list = preferred(b.list, b.before)
	}
	everything := func(n CodecSpec) bool { return n.wildcard() }
	if slices.ContainsFunc(b.asked.Strip, everything) || slices.ContainsFunc(b.asked.Mask, everything) {
		return // the order is that of Transcode then
	}
	var front, rest []sdp.Codec
	for _, c := range b.list {
		if i := byType(b.known, c.PayloadType); i >= 0 && slices.Contains(b.added, c.PayloadType) && listed(b.asked.Offer, &c) >= 0 {
			front = append(front, c)
		} else {
			rest = append(rest, c)
		}
	}
	b.list = append(front, rest...)
}
