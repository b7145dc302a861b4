package netrig

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Bridge joins devices of the host, so that those at their other ends are on one network.
func (h *Host) Bridge(name string, devices ...string) error {
	return h.Do(func() error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name, TxQLen: -1}}
		if err := netlink.LinkAdd(bridge); err != nil {
			return fmt.Errorf("bridge %s: %w", name, err)
		}
		for _, device := range devices {
			link, err := netlink.LinkByName(device)
			if err != nil {
				return fmt.Errorf("device %s: %w", device, err)
			}
			if err := netlink.LinkSetMaster(link, bridge); err != nil {
				return fmt.Errorf("device %s of bridge %s: %w", device, name, err)
			}
		}
		return netlink.LinkSetUp(bridge)
	})
}

// Own gives a device of the host one more IPv4 address.
func (h *Host) Own(device string, addr netip.Prefix) error {
	return h.onDevice(device, func(link netlink.Link) error { return netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet(addr)}) })
}

// Disown takes an address from it.
func (h *Host) Disown(device string, addr netip.Prefix) error {
	return h.onDevice(device, func(link netlink.Link) error { return netlink.AddrDel(link, &netlink.Addr{IPNet: ipNet(addr)}) })
}

// Forget has the host ask anew who has an address, as it does when it is told that the address has moved.
func (h *Host) Forget(device string, addr netip.Addr) error {
	return h.onDevice(device, func(link netlink.Link) error {
		return netlink.NeighDel(&netlink.Neigh{LinkIndex: link.Attrs().Index, IP: addr.AsSlice()})
	})
}

func (h *Host) onDevice(name string, do func(netlink.Link) error) error {
	return h.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("device %s: %w", name, err)
		}
		if err := do(link); err != nil {
			return fmt.Errorf("device %s: %w", name, err)
		}
		return nil
	})
}
