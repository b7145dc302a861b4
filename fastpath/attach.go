package fastpath

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// attach gives devices without programs the best engine that mode and machine allow.
func (p *Plane) attach(mode Mode, devices []*device) {
	why := make(map[*device][]string)
	var fit []*device
	for _, d := range devices {
		d.Engine, d.Reason, d.blocked = None, "", false
		if reason := d.unfit(); reason != "" {
			d.because(reason)
			continue
		}
		fit = append(fit, d)
	}
	if mode == Auto || mode == XDP {
		p.attachNative(mode, fit, why)
	}
	for _, d := range fit {
		if d.carrier() {
			d.Reason = strings.Join(why[d], "; ")
			continue // tc is on the VLAN devices themselves
		}
		if d.Engine == XDP {
			if err := p.attachTC(d); err != nil {
				why[d] = append(why[d], "no tc behind xdp: "+explain(err))
			}
		} else if mode == Auto || mode == TC {
			if err := p.attachTC(d); err != nil {
				why[d] = append(why[d], "tc: "+explain(err))
			} else {
				d.Engine = TC
			}
		}
		if d.Engine == None && (mode == Auto || mode == XDPGeneric) {
			if err := p.attachXDP(d, XDPGeneric); err != nil {
				why[d] = append(why[d], "xdp-generic: "+explain(err))
			} else {
				d.Engine = XDPGeneric
			}
		}
		if d.Engine == mode {
			why[d] = append(why[d], "demanded by configuration")
		}
		d.Reason = strings.Join(why[d], "; ")
	}
}

// attachNative tries XDP on all devices. XDP pays only if the frames can leave by XDP: when no device takes them, all of
// them are left to tc, unless the operator wants XDP.
func (p *Plane) attachNative(mode Mode, devices []*device, why map[*device][]string) {
	for _, d := range devices {
		if err := p.attachXDP(d, XDP); err != nil {
			why[d] = append(why[d], "xdp: "+explain(err))
			continue
		}
		d.Engine = XDP
		p.prepareFan(d)
		p.ports.attached(d.Index)
	}
	hint := p.takeHint
	if err := p.ports.refresh(); err != nil {
		hint = func(*device) string { return err.Error() }
	}
	takers := 0
	for _, d := range p.devices {
		if p.ports.takes(d.Index) {
			takers++
		}
	}
	for _, d := range devices {
		switch {
		case d.Engine != XDP || p.ports.takes(d.Index):
		case takers > 0 || mode == XDP:
			why[d] = append(why[d], "frames cannot leave by it through XDP, tc sends them: "+hint(d))
		default:
			if err := d.detach(); err != nil {
				p.log.Warn("XDP could not be taken off again", "err", err)
			}
			p.ports.detached(d.Index)
			d.Engine = None
			why[d] = append(why[d], "xdp: no media device takes redirected frames: "+hint(d))
		}
	}
}

// takeHint says how to make the device take frames from XDP.
func (p *Plane) takeHint(d *device) string {
	switch {
	case d.link.Type() != "veth":
		return "its driver does not offer it"
	case p.ports.family == 0:
		return "kernels before 6.3 do not tell whether a veth does"
	}
	return fmt.Sprintf("turn GRO on at the other end of %s (ethtool -K PEER gro on)", d.Name)
}

func (p *Plane) attachXDP(d *device, mode Mode) error {
	if p.xdpErr != nil {
		return p.xdpErr
	}
	prog, flags := p.xdp.RelayXdp, link.XDPDriverMode
	if mode == XDPGeneric {
		prog, flags = p.xdp.RelayXdpGeneric, link.XDPGenericMode
	}
	if err := p.probe(d, mode, prog); err != nil {
		return err
	}
	for _, other := range []Mode{XDP, XDPGeneric} {
		if other != mode {
			p.release(string(other), d) // a device takes only one of the two
		}
	}
	if done, err := p.adopt(string(mode), d, prog); done || err != nil {
		return err
	}
	if d.blocked = foreign(d.link); d.blocked {
		return fmt.Errorf("another XDP program (id %d) is attached: take it off with `ip link set dev %s xdp off`",
			d.link.Attrs().Xdp.ProgId, d.Name)
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: d.Index, Flags: flags})
	if err != nil {
		return err
	}
	return p.keep(string(mode), d, l)
}

// foreign tells whether a device that we hold nothing of has an XDP program.
func foreign(dev netlink.Link) bool {
	x := dev.Attrs().Xdp
	return x != nil && x.Attached
}

// attachTC takes tcx (kernel 6.6), else a filter on clsact.
func (p *Plane) attachTC(d *device) error {
	if p.tcErr != nil {
		return p.tcErr
	}
	if err := p.probe(d, TC, p.tc.RelayTc); err != nil {
		return err
	}
	if !p.tweaks.noTCX {
		if done, err := p.adopt(kindTCX, d, p.tc.RelayTc); done || err != nil {
			return err
		}
		l, err := link.AttachTCX(link.TCXOptions{
			Interface: d.Index, Program: p.tc.RelayTc, Attach: ebpf.AttachTCXIngress, Anchor: link.Head(),
		})
		if err == nil {
			return p.keep(kindTCX, d, l)
		}
		if !errors.Is(err, ebpf.ErrNotSupported) {
			return err
		}
	}
	return p.attachClsact(d)
}

// attachClsact replaces the filter of a dead process, at once unless its flows are in maps of another schema.
func (p *Plane) attachClsact(d *device) error {
	place := placeOnClsact(p.table, p.pins != nil)
	attach := func() error {
		a, err := attachClsact(p.netlink, d.Index, place, p.tc.RelayTc)
		if err == nil {
			d.held = append(d.held, a)
		}
		return err
	}
	if p.pins != nil && len(p.pins.others) > 0 && hasClsact(p.netlink, d.Index, isAt(place)) {
		p.pending = append(p.pending, attach)
		return nil
	}
	return attach()
}

// The kinds of links as their pins name them; those of XDP are named like the modes.
const kindTCX = "tcx"

// adopt takes over the link that a dead process has left on a hook. Its program gives way to prog without a gap, at once
// if it works with the same maps, else in TakeOver.
func (p *Plane) adopt(kind string, d *device, prog *ebpf.Program) (done bool, err error) {
	l, current := p.pins.linkAt(kind, d.Index)
	if l == nil {
		return false, nil
	}
	d.held = append(d.held, attached(l, kind, d.Index))
	if current {
		return true, l.Update(prog)
	}
	p.pending = append(p.pending, func() error {
		if err := l.Update(prog); err != nil {
			return fmt.Errorf("replace the %s program of %s: %w", kind, d.Name, err)
		}
		return errors.Join(l.Unpin(), p.pins.pin(l, kind, d.Index))
	})
	return true, nil
}

// keep takes possession of a link, and pins it if it is to outlive the process.
func (p *Plane) keep(kind string, d *device, l link.Link) error {
	d.held = append(d.held, attached(l, kind, d.Index))
	if err := p.pins.pin(l, kind, d.Index); err != nil {
		p.log.Warn("a program will not outlive this process", "device", d.Name, "program", kind, "err", err)
	}
	return nil
}

// release ends what a dead process has left on a hook that is not to be used any more.
func (p *Plane) release(kind string, d *device) {
	if l, _ := p.pins.linkAt(kind, d.Index); l != nil {
		if err := attached(l, kind, d.Index).detach(); err != nil {
			p.log.Warn("a program of a dead process cannot be taken off", "device", d.Name, "program", kind, "err", err)
		}
		if now, err := p.netlink.LinkByIndex(d.Index); err == nil {
			d.link = now
		}
	}
}
