package call

import (
	"slices"

	"github.com/weir-media/weir/rtp"
	"github.com/weir-media/weir/sdp"
)

// midURI names the header extension in which a party says what media a packet is of (RFC 9143, section 15.2).
const midURI = "urn:ietf:params:rtp-hdrext:sdes:mid"

// ExtMaps is what a message asks for in the header extensions of the description it leads to. URIs are as in SDP, or "all".
type ExtMaps struct {
	Strip []string // taken out
	Mask  []string // of an offer: not shown to the receiver, accepted from the sender, and taken out of packets
}

// means tells whether a list of URIs has one in it.
func means(list []string, uri string) bool {
	return slices.Contains(list, uri) || slices.Contains(list, "all")
}

// extensions are the header extensions (RFC 8285) of a media of a party.
type extensions struct {
	offered []sdp.ExtMap // by whoever offered last, in the ids of this party
	agreed  []sdp.ExtMap // in use; as long as an answer is missing, what was offered
	// private are between this party and us: masked ones, and the one for mid if we brought it in.
	private []sdp.ExtMap
	oneByte bool // the party does not allow two-byte headers beside one-byte ones
}

func (e *extensions) id(uri string) uint8 {
	if i := byURI(e.agreed, uri); i >= 0 {
		return e.agreed[i].ID
	}
	return 0
}

func byURI(list []sdp.ExtMap, uri string) int {
	return slices.IndexFunc(list, func(e sdp.ExtMap) bool { return e.URI == uri })
}

func without(list []sdp.ExtMap, drop func(sdp.ExtMap) bool) []sdp.ExtMap {
	return slices.DeleteFunc(slices.Clone(list), drop)
}

// sharing returns a copy of the media to offer to others, with the extensions that are in use and not private to its party.
// What becomes of the offer does not concern the party.
func (m *Media) sharing() *Media {
	c := *m
	c.Section = m.Section.Clone()
	c.Section.ExtMaps = without(m.ext.agreed, func(e sdp.ExtMap) bool { return byURI(m.ext.private, e.URI) >= 0 })
	c.ext = extensions{}
	return &c
}

// extMaps writes the header extensions.
func (t *telling) extMaps() {
	said, mixed := t.said.ExtMapsOf(t.fm.session)
	t.fm.ext.oneByte = len(said) > 0 && !mixed
	if t.offer {
		t.offerExtMaps(said)
	} else {
		t.answerExtMaps(said)
	}
	t.out.ExtMaps = t.tm.ext.agreed
	t.out.ExtMapAllowMixed = len(t.out.ExtMaps) > 0 && !t.tm.ext.oneByte
}

// offerExtMaps passes on what one party offers, but for what is kept from the other, whose private ones come last.
func (t *telling) offerExtMaps(said []sdp.ExtMap) {
	from, to := &t.fm.ext, &t.tm.ext
	brought := func(e sdp.ExtMap) bool { return e.URI == midURI && byURI(from.private, midURI) >= 0 }
	offered := without(said, func(e sdp.ExtMap) bool { return means(t.req.ExtMaps.Strip, e.URI) })
	from.private = without(offered, func(e sdp.ExtMap) bool { return !brought(e) && !means(t.req.ExtMaps.Mask, e.URI) })
	from.offered, from.agreed = offered, offered

	pass := without(offered, func(e sdp.ExtMap) bool { return byURI(from.private, e.URI) >= 0 })
	to.private = without(to.private, func(e sdp.ExtMap) bool { return byURI(pass, e.URI) >= 0 })
	if (t.to.bundling.ours() || t.req.Bundle.Strict) && t.to.inBundle(t.index) && byURI(pass, midURI) < 0 && byURI(to.private, midURI) < 0 {
		to.private = slices.Concat(to.private, []sdp.ExtMap{{ID: t.midID(slices.Clone(to.offered)), URI: midURI}})
	}
	// Who offers does not know the ids of what is private to the other side, and gives way.
	for i := range pass {
		if slices.ContainsFunc(to.private, func(e sdp.ExtMap) bool { return e.ID == pass[i].ID }) {
			pass[i].ID = freeID(slices.Concat(pass, to.private))
		}
	}
	to.agreed = append(pass, to.private...)
	to.offered = to.agreed
}

// answerExtMaps tells the offerer what the answerer accepts of its extensions, after its private ones.
func (t *telling) answerExtMaps(said []sdp.ExtMap) {
	from, to := &t.fm.ext, &t.tm.ext
	from.agreed = without(said, func(e sdp.ExtMap) bool { return byURI(from.offered, e.URI) < 0 })
	from.private = without(from.private, func(e sdp.ExtMap) bool { return byURI(from.agreed, e.URI) < 0 })

	list := slices.Clone(to.private)
	add := func(e sdp.ExtMap) {
		i := byURI(to.offered, e.URI)
		if i >= 0 && byURI(list, e.URI) < 0 && !means(t.req.ExtMaps.Strip, e.URI) {
			e.ID = to.offered[i].ID
			list = append(list, e)
		}
	}
	for _, e := range from.agreed {
		if byURI(from.private, e.URI) < 0 {
			add(e)
		}
	}
	to.oneByte = to.oneByte || from.oneByte // or there would be headers to convert
	to.agreed = list
	if t.tm.Bundled {
		add(sdp.ExtMap{URI: midURI}) // which we write and read, whatever the other side does
		to.private = slices.Concat(to.private, list[len(to.agreed):])
		to.agreed = list
	}
}

// midID returns an id for the mid extension towards the receiver: in a bundle it is the same everywhere (RFC 9143, section
// 15.1), and in no media stands for something else.
func (t *telling) midID(list []sdp.ExtMap) uint8 {
	for _, m := range t.to.Media {
		if i := byURI(m.ext.private, midURI); i >= 0 {
			return m.ext.private[i].ID
		}
	}
	for _, m := range t.from.Media {
		if m.Section != nil {
			all, _ := m.Section.ExtMapsOf(m.session)
			list = append(list, all...)
		}
	}
	return freeID(list)
}

// freeID returns the lowest id (RFC 8285, section 5) that is not in the list; 0 when there is none.
func freeID(list []sdp.ExtMap) uint8 {
	for id := 1; id <= 255; id++ {
		if id != 15 && !slices.ContainsFunc(list, func(e sdp.ExtMap) bool { return int(e.ID) == id }) {
			return uint8(id)
		}
	}
	return 0
}

// extensionMap returns what must become of the header extensions of packets from one party to another, nil when they may
// pass as they come: what nobody has agreed on is not ours to take out.
func extensionMap(from, to *Media) *rtp.ExtensionMap {
	if !from.Bundled && !to.Bundled && from.Mid == to.Mid && len(from.ext.agreed)+len(to.ext.agreed) == 0 {
		return nil
	}
	m := &rtp.ExtensionMap{TwoByte: !to.ext.oneByte}
	if from.Bundled || to.Bundled || from.Mid != to.Mid {
		m.ID, m.Value = to.ext.id(midURI), to.Mid
	}
	if m.Value == "" {
		m.ID = 0
	}
	needed := m.ID != 0 || len(from.ext.agreed) != len(to.ext.agreed) ||
		len(from.ext.agreed) > 0 && to.ext.oneByte && !from.ext.oneByte
	for _, e := range from.ext.agreed {
		id := to.ext.id(e.URI)
		needed = needed || id != e.ID
		if id != m.ID {
			m.IDs[e.ID] = id
		}
	}
	if !needed {
		return nil
	}
	return m
}
