package media

import (
	"errors"
	"fmt"
	"net/netip"
)

// OpenPairAt is OpenPair on one local address, whichever interface has it. It fails with ErrNoInterface when none has.
func (p *Plane) OpenPairAt(local netip.Addr, affinity string) (rtp, rtcp *Leg, err error) {
	err = fmt.Errorf("%w with the address %v", ErrNoInterface, local)
	for h := range p.hosts {
		if h.ip != local {
			continue
		}
		if rtp, rtcp, err = p.openOn(h, affinity); !errors.Is(err, ErrNoPorts) {
			break
		}
	}
	return rtp, rtcp, err
}

// Listens tells whether an interface has the local address.
func (p *Plane) Listens(local netip.Addr) bool {
	for h := range p.hosts {
		if h.ip == local {
			return true
		}
	}
	return false
}

// hosts visits the local addresses of all interfaces, in no order.
func (p *Plane) hosts(yield func(host) bool) {
	for _, f := range p.interfaces {
		for _, m := range f.members {
			for _, h := range m.hosts {
				if !yield(h) {
					return
				}
			}
		}
	}
}
