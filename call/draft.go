package call

import (
	"fmt"
	"strings"

	"github.com/weir-media/weir/media"
)

// draft is the next plan of a call while a command works on it. It ends in commit or discard.
type draft struct {
	call   *Call
	plan   *Plan
	opened []*media.Leg
}

func (c *Call) draft() *draft {
	return &draft{call: c, plan: c.plan.clone()}
}

// addParty appends a party.
func (d *draft) addParty(p *Party) (*Party, error) {
	dialogue, limit := p.Role == RoleDialogue, MaxOthers
	if dialogue {
		limit = MaxParties
	}
	count := 0
	for _, q := range d.plan.Parties {
		if (q.Role == RoleDialogue) == dialogue {
			count++
		}
	}
	if count >= limit {
		return nil, fmt.Errorf("%w: the call has %d parties, the most it may have", ErrDialogue, limit)
	}
	// These outlive the request, whose memory they are part of.
	p.Tag, p.ViaBranch = strings.Clone(p.Tag), strings.Clone(p.ViaBranch)
	d.plan.lastID++
	p.ID, p.callID = d.plan.lastID, d.call.id
	p.Handling.Open = d.call.manager.cfg.RelayForeign
	d.plan.Parties = append(d.plan.Parties, p)
	return p, nil
}

// number gives a media its place among all medias of the call, once.
func (d *draft) number(m *Media) {
	if m.serial == 0 {
		d.plan.lastSerial++
		m.serial = d.plan.lastSerial
	}
}

// open gives the media a port pair of the address family on the party's interface, unless it has one.
func (d *draft) open(p *Party, m *Media, family int) error {
	if m.RTP.Leg != nil && familyOf(m.RTP.Leg.Local().Addr()) == family {
		return nil
	}
	m.former = former{} // of another family, or of a section that was refused
	return d.reopen(p, m, family)
}

// reopen gives the media another port pair.
func (d *draft) reopen(p *Party, m *Media, family int) error {
	plane := d.call.manager.cfg.Plane
	var rtp, rtcp *media.Leg
	var err error
	if m.local.IsValid() {
		rtp, rtcp, err = plane.OpenPairAt(m.local, d.call.id)
	} else {
		rtp, rtcp, err = plane.OpenPair(p.Interface, family, d.call.id)
	}
	if err != nil {
		return noPorts(err)
	}
	d.opened = append(d.opened, rtp, rtcp)
	if m.RTP.Leg != nil && m.Security.DTLS.Association != 0 {
		d.restart(&m.Security.DTLS) // on other ports it would be another one anyway (RFC 8842, section 3.2)
	}
	m.RTP.Leg, m.RTCP.Leg, m.RTP.Alternates, m.RTCP.Alternates = rtp, rtcp, nil, nil
	return nil
}

func noPorts(err error) error { return fmt.Errorf("%w: %w", ErrNoPorts, err) }

// discard gives back what the draft has opened; the call's plan stays as it was.
func (d *draft) discard() {
	for _, leg := range d.opened {
		leg.Close()
	}
	d.opened = nil
}

// commit makes the draft the call's plan: every leg gets its settings, and legs the plan no longer names are closed.
func (d *draft) commit() {
	old := d.call.plan
	d.call.plan = d.plan
	kept := make(map[*media.Leg]bool)
	d.plan.legs(func(leg *media.Leg) { kept[leg] = true })
	d.relink()
	d.apply()
	linked := make(map[*media.Link]bool)
	d.plan.links(func(m *Media) { linked[m.Link] = true })
	old.links(func(m *Media) {
		if !linked[m.Link] {
			m.Link.Close()
		}
	})
	old.legs(func(leg *media.Leg) {
		if !kept[leg] {
			leg.Close()
		}
	})
	old.closeTapsWithout(d.plan)
	d.call.settleCaptures(kept)
	for _, leg := range d.opened {
		if !kept[leg] {
			leg.Close()
		}
	}
	d.opened = nil
}
