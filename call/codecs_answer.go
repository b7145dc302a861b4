package call

import (
	"slices"
	"strings"

	"github.com/weir-media/weir/codec"
	"github.com/weir-media/weir/sdp"
)

// CodecPreference ranks a pair of codecs where one must be converted to the other and there is a choice. The default rank is 0.
type CodecPreference struct {
	Source, Destination CodecSpec
	Rank                int
}

// preferences are the configured ranks.
type preferences []CodecPreference

// partner picks the codec to convert from the given one to: the one of highest rank, the first of them in the order of the
// list. It returns -1 when there is none.
func (p preferences) partner(of *sdp.Codec, list []sdp.Codec) int {
	best, rank := -1, 0
	for i := range list {
		if !convertible(list[i]) {
			continue
		}
		if r := p.rank(of, &list[i]); best < 0 || r > rank {
			best, rank = i, r
		}
	}
	return best
}

func (p preferences) rank(source, destination *sdp.Codec) int {
	for i := range p {
		if p[i].Source.means(source, codec.Within) && p[i].Destination.means(destination, codec.Within) {
			return p[i].Rank
		}
	}
	return 0
}

// answerCodecs decides what the offerer is told of an answer. It returns false if that is nothing, and the section is to be refused.
func (d *draft) answerCodecs(am, om *Media, w *Codecs) bool {
	o := am.offered
	if o == nil { // nothing was offered by this daemon's doing: there is nothing to measure by
		o = &codecOffer{told: am.Section.Codecs, theirs: am.Section.Codecs}
	}
	accepted := o.accept(am.Section.Codecs, w.Asymmetric)
	shown := w.shown(accepted)
	if len(shown) == 0 && len(accepted) > 0 {
		return false
	}
	told := o.reply(shown, d.plan.ranks)
	if len(told) == 0 {
		// Both sides mean something this proxy does not know.
		if told = accepted; len(told) == 0 {
			told, accepted = am.Section.Codecs, am.Section.Codecs
		}
	}
	if w.Single {
		told = single(told)
	}
	am.Sends, am.Receives = numbered(accepted, o.told), accepted
	om.Sends, om.Receives = told, numbered(told, o.theirs)
	om.ptime = o.packetTime(am.Section.PTime, om)
	if o.asked.PTime == 0 {
		am.ptime = firstOf(am.Section.PTime, am.ptime)
	}
	return true
}

// answered takes the codecs of an answer to an offer that was made here; nobody else is told.
func (m *Media) answered(said []sdp.Codec, w *Codecs) {
	m.Sends, m.Receives = said, said
	if m.offered == nil {
		return
	}
	if accepted := m.offered.accept(said, w.Asymmetric); len(accepted) > 0 {
		m.Sends, m.Receives = numbered(accepted, m.offered.told), accepted
	}
}

// packetTime returns what the offerer is told in a=ptime: as asked for, else what it has said itself if the packets are made anew
// for it, else what the answerer says.
func (o *codecOffer) packetTime(answered int, om *Media) int {
	said := om.ptime
	if om.Section != nil {
		said = firstOf(om.Section.PTime, om.ptime)
	}
	switch {
	case om.Type != "audio":
		return answered
	case o.asked.PTimeReverse != 0:
		return o.asked.PTimeReverse
	case o.asked.PTime != 0:
		return said
	}
	return firstOf(answered, said)
}

// accept returns the codecs of an answer that were offered, the way the answer has them (RFC 3264, section 6.1).
func (o *codecOffer) accept(said []sdp.Codec, asymmetric bool) []sdp.Codec {
	var accepted []sdp.Codec
	for _, c := range said {
		i := byType(o.told, c.PayloadType)
		fits := i >= 0 && answers(&o.told[i], &c)
		if !fits && asymmetric {
			fits = slices.ContainsFunc(o.told, func(t sdp.Codec) bool { return answers(&t, &c) })
		}
		if fits {
			accepted = append(accepted, printed(c))
		}
	}
	return accepted
}

// numbered returns the codecs of a list under the payload types that another list has for them.
func numbered(list, other []sdp.Codec) []sdp.Codec {
	list = slices.Clone(list)
	for i := range list {
		c := &list[i]
		if k := byType(other, c.PayloadType); k >= 0 && answers(&other[k], c) {
			continue
		}
		if k := slices.IndexFunc(other, func(o sdp.Codec) bool { return answers(&o, c) }); k >= 0 {
			c.PayloadType = other[k].PayloadType
		}
	}
	return list
}

// answers tells whether a codec can be the answer to another one. Parameters of video and of unknown codecs are not judged.
func answers(offered, said *sdp.Codec) bool {
	return offered.Name == "" && said.Name == "" || format(offered).AnsweredBy(format(said))
}

// reply returns the codecs the offerer is told for the accepted ones.
func (o *codecOffer) reply(accepted []sdp.Codec, ranks preferences) []sdp.Codec {
	r := replyBuilder{codecOffer: o, accepted: accepted}
	for i := range accepted {
		if c := &accepted[i]; carriesMedia(*c) {
			r.media(c, ranks)
		}
	}
	r.supplement()
	return r.list
}

// replyBuilder makes the list of codecs that an answer tells.
type replyBuilder struct {
	*codecOffer
	accepted  []sdp.Codec
	list      []sdp.Codec
	converted bool // not everything passes as it is
}

// media adds the codec of the offerer that stands for one the other side has accepted: the same, or the one to convert to.
func (r *replyBuilder) media(c *sdp.Codec, ranks preferences) {
	candidates := r.theirs
	if r.forced {
		candidates = slices.DeleteFunc(slices.Clone(candidates), func(t sdp.Codec) bool { return !slices.Contains(r.insisted, t.PayloadType) })
		ranks = nil
	} else if own := r.own(c); own != nil {
		r.add(*own)
		return
	}
	if i := ranks.partner(c, candidates); i >= 0 && convertible(*c) {
		t := candidates[i]
		t.Params = format(&t).Reply(int(c.Channels))
		r.add(t)
		r.converted = true
	}
}

// own returns the codec as the offerer is told it when nothing is converted; nil when the offerer does not have it. The answer's
// parameters and feedback pass on.
func (r *replyBuilder) own(c *sdp.Codec) *sdp.Codec {
	if slices.Contains(r.added, c.PayloadType) {
		return nil
	}
	if i := byType(r.theirs, c.PayloadType); i >= 0 && answers(&r.theirs[i], c) {
		return c
	}
	for i := range r.theirs {
		if t := &r.theirs[i]; answers(t, c) {
			own := *c
			if byType(r.told, c.PayloadType) >= 0 {
				own.PayloadType = t.PayloadType // it was told under another number than it was said
			}
			return &own
		}
	}
	return nil
}

func (r *replyBuilder) add(c sdp.Codec) {
	if byType(r.list, c.PayloadType) < 0 {
		r.list = append(r.list, c)
	}
}

// supplement adds what goes along with the codecs of the list. If nothing is converted it passes as it was accepted; otherwise the
// offerer gets what it has itself at the clock rates it will use.
func (r *replyBuilder) supplement() {
	rates := ratesOf(r.list)
	at := len(r.list)
	if !r.converted {
		r.pass()
	} else {
		for _, t := range r.theirs {
			also := slices.ContainsFunc(r.accepted, func(c sdp.Codec) bool { return strings.EqualFold(c.Name, t.Name) })
			if !carriesMedia(t) && also && rates[t.ClockRate] {
				r.add(t)
			}
		}
	}
	for _, t := range r.theirs {
		if !carriesMedia(t) && rates[t.ClockRate] && slices.Contains(r.insisted, t.PayloadType) && !slices.ContainsFunc(r.list, func(c sdp.Codec) bool { return answers(&t, &c) }) {
			r.list = slices.Insert(r.list, at, t)
			at++
		}
	}
}

// pass puts the supplemental codecs of the answer in the places they have there.
func (r *replyBuilder) pass() {
	media := r.list
	r.list = nil
	for i := range r.accepted {
		c := &r.accepted[i]
		if carriesMedia(*c) {
			if len(media) > 0 {
				r.add(media[0])
				media = media[1:]
			}
			continue
		}
		own := r.own(c)
		if own == nil {
			continue
		}
		if k := byType(r.theirs, own.PayloadType); k >= 0 && slices.Contains(r.masked, own.PayloadType) {
			own = &r.theirs[k]
		}
		r.add(*own)
	}
}
