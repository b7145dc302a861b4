package call

import (
	"slices"

	"github.com/weir-media/weir/ice"
	"github.com/weir-media/weir/sdp"
)

// pass settles whether two medias are passed through: what the parties say about addresses, keys and ICE is then between
// them, and our part is to be one more candidate and to pass on whatever datagrams come that way.
func (m *Media) pass(to *Media, offersICE bool, req *Request) {
	if req.Passthrough != nil {
		m.passes = *req.Passthrough
	}
	through := m.passes
	switch req.ICE.Mode {
	case ICEForceRelay:
		through = true
	case ICEOptional:
		through = through || offersICE
	}
	m.Through, to.Through, to.passes = through, through, m.passes
}

// through writes a section that is passed through: as it came, with our candidates after those that are there.
func (t *telling) through() *sdp.Media {
	out := t.said.AsReceived(t.fm.session)
	if out.Conn != nil && t.req.MediaAddress.IsValid() {
		out.Conn = &sdp.Connection{Addr: t.req.MediaAddress.Unmap()}
	}
	mode := t.req.ICE.Mode
	if !t.said.ICEOf(t.fm.session).Given() || mode != ICEOptional && mode != ICEForceRelay {
		return out
	}
	typ := ice.Host
	if mode == ICEForceRelay {
		typ = ice.Relayed
	}
	ours := t.draft.locals(t.tm, typ)
	if typ == ice.Host {
		demote(ours, t.said.Candidates)
	}
	const end = sdp.Attribute("end-of-candidates")
	ended := slices.Contains(out.Other, end)
	out.Other = slices.DeleteFunc(out.Other, func(a sdp.Attribute) bool {
		c, ok := sdp.ParseCandidate(a.Value())
		return a == end || a.Name() == "candidate" && ok && c.Type == "relay" && typ == ice.Relayed
	})
	for _, c := range ours {
		out.Other = append(out.Other, sdp.Attribute("candidate:"+t.candidate(c).String()))
	}
	if ended {
		out.Other = append(out.Other, end)
	}
	return out
}

// demote gives candidates of ours priorities below all of the party's: the type preference is one less than the least, and
// local preferences count down from 0.
func demote(ours []ice.Candidate, theirs []sdp.Candidate) {
	least := ice.Priority(ice.Host, ice.FirstLocalPreference, ice.RTCP)
	for _, c := range theirs {
		least = min(least, c.Priority)
	}
	first := uint32(0)
	if preference := least >> 24; preference > 0 {
		first = (preference - 1) << 24
	}
	for i := range ours {
		below := uint32(ice.FirstLocalPreference-ours[i].Priority>>8&0xffff) << 8
		ours[i].Priority = max(first, below) - below + uint32(256-ours[i].Component)
	}
}
