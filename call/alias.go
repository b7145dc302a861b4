package call

import (
	"net/netip"
	"slices"
	"strings"
)

// AliasKey says by what an offer with an unknown tag is recognised as one of a party that is known by another.
type AliasKey uint8

// The alias keys.
const (
	AliasNone    AliasKey = iota
	AliasSDP              // the whole description
	AliasAddress          // the address and port of the first media
)

// likenesses returns by what the offer can be recognised, nil if that was not asked for.
func likenesses(req *Request) map[AliasKey]string {
	if req.answer || req.AliasKey == AliasNone {
		return nil
	}
	l := map[AliasKey]string{AliasSDP: strings.Clone(req.SDPText)}
	if all := sections(req.SDP); len(all) > 0 {
		if conn := all[0].ConnOf(all[0].session); conn != nil {
			l[AliasAddress] = netip.AddrPortFrom(conn.Addr, all[0].Port).String()
		}
	}
	return l
}

// byLikeness finds the party that has made the same offer before, and gives it the offer's tag.
func (p *Plan) byLikeness(req *Request) *Party {
	key := likenesses(req)[req.AliasKey]
	if key == "" {
		return nil
	}
	for _, party := range p.Parties {
		if party.likeness[req.AliasKey] == key {
			party.rename(req.FromTag, true)
			return party
		}
	}
	return nil
}

// rename gives the party another tag. The one before stays an alias, if it is to be kept and there is room.
func (p *Party) rename(tag string, keep bool) {
	if keep && len(p.Aliases) < MaxParties {
		p.Aliases = append(slices.Clip(p.Aliases), p.Tag)
	}
	p.Tag = strings.Clone(tag)
}
