package fastpath

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// device is an Interface with what is attached to it.
type device struct {
	Interface
	link    netlink.Link
	held    []attachment // in order of attachment
	blocked bool         // by somebody else's XDP program
}

// attachment is a program on a hook of a device.
type attachment struct {
	detach func() error
	leave  func() error // gives back what the process has of it
	kind   string
	holds  func() (bool, error) // it is still there
}

// attached is that by a link.
func attached(l link.Link, kind string, index int) attachment {
	return attachment{leave: l.Close, kind: kind, holds: func() (bool, error) { return holds(l, index) }, detach: func() error {
		_ = l.Unpin() // if it is pinned
		// Closing a link that was pinned may come before its last reference goes.
		if err := l.Detach(); err != nil && !errors.Is(err, link.ErrNotSupported) {
			return errors.Join(err, l.Close())
		}
		return l.Close()
	}}
}

// because sets why the device has no engine.
func (d *device) because(reason string) {
	d.Engine, d.Reason = None, reason
}

func (d *device) detach() error {
	var errs []error
	for _, a := range slices.Backward(d.held) {
		if err := a.detach(); err != nil {
			errs = append(errs, fmt.Errorf("detach from %s: %w", d.Name, err))
		}
	}
	d.held = nil
	return errors.Join(errs...)
}

// lost names a program that somebody has taken off, or "". With an error, the kernel does not tell whether it is there.
func (d *device) lost() (kind string, err error) {
	for _, a := range d.held {
		if there, err := a.holds(); !there {
			return a.kind, err
		}
	}
	return "", nil
}

// leave forgets the attachments without ending them.
func (d *device) leave() error {
	var errs []error
	for _, a := range d.held {
		errs = append(errs, a.leave())
	}
	d.held = nil
	return errors.Join(errs...)
}

// dump repeats a netlink listing that something changed under, which the kernel reports instead of hiding.
func dump[T any](list func() ([]T, error)) (all []T, err error) {
	for range 10 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

// findDevices finds the owners of addrs. Addresses that nobody owns are left out.
func findDevices(h *netlink.Handle, addrs []netip.Addr) ([]*device, error) {
	owned, err := dump(func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list the addresses of this host: %w", err)
	}
	owner := map[netip.Addr]int{}
	for _, a := range owned {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			owner[ip.Unmap()] = a.LinkIndex
		}
	}
	var devices []*device
	for _, ip := range addrs {
		ip = ip.Unmap().WithZone("")
		index, ok := owner[ip]
		if !ok {
			continue
		}
		i := slices.IndexFunc(devices, func(d *device) bool { return d.Index == index })
		if i < 0 {
			dev, err := h.LinkByIndex(index)
			if err != nil {
				return nil, fmt.Errorf("network device of %v: %w", ip, err)
			}
			i = len(devices)
			devices = append(devices, newDevice(dev))
		}
		if !slices.Contains(devices[i].Addrs, ip) {
			devices[i].Addrs = append(devices[i].Addrs, ip)
		}
	}
	return withCarriers(h, devices)
}

func newDevice(dev netlink.Link) *device {
	return &device{Interface: Interface{Name: dev.Attrs().Name, Index: dev.Attrs().Index, Engine: None}, link: dev}
}

// withCarriers adds the devices below VLAN devices: only there XDP sees their frames, with their tags.
func withCarriers(h *netlink.Handle, devices []*device) ([]*device, error) {
	for _, d := range slices.Clone(devices) {
		vlan, ok := d.link.(*netlink.Vlan)
		if !ok || slices.ContainsFunc(devices, func(o *device) bool { return o.Index == vlan.ParentIndex }) {
			continue
		}
		below, err := h.LinkByIndex(vlan.ParentIndex)
		if err != nil {
			return nil, fmt.Errorf("network device below %s: %w", d.Name, err)
		}
		devices = append(devices, newDevice(below))
	}
	return devices, nil
}

// below returns the device that carries a VLAN device, nil for others.
func (d *device) below(all []*device) *device {
	vlan, ok := d.link.(*netlink.Vlan)
	if !ok {
		return nil
	}
	if i := slices.IndexFunc(all, func(o *device) bool { return o.Index == vlan.ParentIndex }); i >= 0 {
		return all[i]
	}
	return nil
}

// carrier tells whether a device is there for the VLAN devices on it alone.
func (d *device) carrier() bool { return len(d.Addrs) == 0 }

// unfit says why no program of ours makes sense on d, or "".
func (d *device) unfit() string {
	attrs := d.link.Attrs()
	switch {
	case attrs.Flags&net.FlagLoopback != 0:
		return "loopback: its packets never leave this host; use the address of a network device"
	case attrs.EncapType != "ether":
		return fmt.Sprintf("frames of type %s: only Ethernet is relayed in the kernel", attrs.EncapType)
	}
	return ""
}
