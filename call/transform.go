package call

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/weir-media/weir/sdp"
)

// TransformRequest asks for ports that send on, converted, what they receive: what another instance cannot convert itself.
type TransformRequest struct {
	CallID, Tag string // made up when empty
	Interface   string
	Media       []TransformMedia
}

// TransformMedia is one port.
type TransformMedia struct {
	Type        string
	Codecs      []CodecPair
	Destination netip.AddrPort // where it sends
}

// CodecPair is what comes in and what goes out for it.
type CodecPair struct{ From, To sdp.Codec }

// Transformed tells the ports, one for each media.
type Transformed struct {
	CallID, Tag string
	Ports       []netip.AddrPort
}

// Transform carries out a TransformRequest. It fails with ErrConversion when packets cannot simply be passed on, and as Offer
// does.
func (m *Manager) Transform(req *TransformRequest) (*Transformed, error) {
	names := Published{CallID: req.CallID, Tag: req.Tag}
	names.fill()
	made := &Transformed{CallID: names.CallID, Tag: names.Tag}
	err := m.ensure(made.CallID, func(d *draft) (err error) {
		made.Ports, err = d.transform(req, made.Tag)
		return err
	})
	return made, err
}

func (d *draft) transform(req *TransformRequest, tag string) ([]netip.AddrPort, error) {
	if len(req.Media) == 0 || len(req.Media) > MaxSections {
		return nil, fmt.Errorf("%w: %d media", ErrConversion, len(req.Media))
	}
	p := d.plan.byTag(tag)
	if p == nil {
		var err error
		p, err = d.addParty(&Party{Tag: tag, Role: RoleCreated, Interface: d.logical(req.Interface), Created: time.Now()})
		if err != nil {
			return nil, err
		}
	}
	p.Description = &sdp.Description{}
	p.Handling = Handling{Learning: d.call.manager.cfg.Learning, Asymmetric: true} // it sends from one place and receives at another
	var ports []netip.AddrPort
	for i := range req.Media {
		t := &req.Media[i]
		if !t.Destination.IsValid() || len(t.Codecs) == 0 || slices.ContainsFunc(t.Codecs, CodecPair.needed) {
			return nil, fmt.Errorf("%w: media %d", ErrConversion, i+1)
		}
		m := p.at(i)
		d.number(m)
		m.Type, m.Protocol = t.Type, sdp.ProtoAVP
		family := familyOf(t.Destination.Addr())
		if err := d.open(p, m, d.family(p.Interface, family, 0)); err != nil {
			return nil, err
		}
		m.RTP.signal(t.Destination)
		m.Hears = []Subscription{{Ref: Ref{p.ID, i}, Added: true}} // itself: what comes in goes out
		ports = append(ports, m.RTP.Leg.Advertised())
	}
	return ports, nil
}

// needed tells whether a conversion changes anything.
func (c CodecPair) needed() bool {
	return c.From.PayloadType != c.To.PayloadType || !strings.EqualFold(c.From.Name, c.To.Name) ||
		c.From.ClockRate != c.To.ClockRate || max(c.From.Channels, 1) != max(c.To.Channels, 1)
}
