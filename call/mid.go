package call

import (
	"slices"
	"strconv"

	"github.com/weir-media/weir/sdp"
)

// mid writes what the section is called (RFC 5888). Each party keeps its own names, whatever the other side calls its
// sections, and however it changes that.
func (t *telling) mid() { t.out.Mid = t.name() }

// refusedName is name for a section nobody uses, which gets none of ours.
func (t *telling) refusedName() string {
	if t.offer && t.said.Mid == "" && t.tm.Mid == "" {
		return ""
	}
	return t.name()
}

func (t *telling) name() string {
	if !t.offer {
		if t.tm.Section != nil {
			return t.tm.Section.Mid
		}
		return t.said.Mid
	}
	if t.tm.Mid == "" {
		t.tm.Mid = t.passName()
	}
	return t.tm.Mid
}

// passName returns a name for a section that the receiver has none for: the sender's, unless the receiver uses it for
// another section, or one of ours if there must be one.
func (t *telling) passName() string {
	taken := func(mid string) bool {
		return slices.ContainsFunc(t.to.Media, func(m *Media) bool { return m != t.tm && m.Mid == mid })
	}
	if mid := t.said.Mid; mid != "" {
		twice := 0 // a sender that says the same twice is passed on with that
		for _, m := range t.from.Media {
			if m.Section != nil && m.Section.Mid == mid {
				twice++
			}
		}
		if twice > 1 || !taken(mid) {
			return mid
		}
	} else if !t.req.GenerateMID && !t.to.inBundle(t.index) {
		return ""
	}
	for n := t.index + 1; ; n++ {
		if mid := strconv.Itoa(n); !taken(mid) && !said(t.from.Description, mid) {
			return mid
		}
	}
}

// said tells whether a description, nil where we offer by ourselves, has a section of that name.
func said(desc *sdp.Description, mid string) bool {
	return desc != nil && slices.ContainsFunc(desc.Media(), func(m *sdp.Media) bool { return m.Mid == mid })
}
