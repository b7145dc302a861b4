package fastpath

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A filter on clsact outlives the process without a pin. Its place is always the same: the next start replaces it.
const (
	clsactPriority = 1
	clsactHandle   = 0x77656972
	clsactName     = "weir_relay"
)

// attachClsact adds prog to the ingress hook of a device, for kernels without tcx.
func attachClsact(h *netlink.Handle, index int, prog *ebpf.Program) (attachment, error) {
	qdisc := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
	err := h.QdiscAdd(qdisc)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return attachment{}, fmt.Errorf("add clsact: %w", err)
	}
	ours := err == nil || hasClsact(h, index) // of a dead process, which may have added it
	filter := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: index, Parent: netlink.HANDLE_MIN_INGRESS, Handle: clsactHandle, Priority: clsactPriority,
			Protocol: unix.ETH_P_ALL,
		},
		Fd: prog.FD(), Name: clsactName, DirectAction: true,
	}
	if err := h.FilterReplace(filter); err != nil {
		err = fmt.Errorf("add the filter: %w", err)
		if ours {
			err = errors.Join(err, h.QdiscDel(qdisc))
		}
		return attachment{}, err
	}
	holds := func() bool { return hasClsact(h, index) }
	return attachment{leave: func() error { return nil }, kind: "clsact", holds: holds, detach: func() error {
		err := h.FilterDel(filter)
		if ours && clsactEmpty(h, index) {
			err = errors.Join(err, h.QdiscDel(qdisc))
		}
		if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return nil // the device or the filter has gone before us
		}
		return err
	}}, nil
}

// hasClsact tells whether a device carries our filter.
func hasClsact(h *netlink.Handle, index int) bool {
	filters, err := h.FilterList(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: index}}, netlink.HANDLE_MIN_INGRESS)
	return err == nil && slices.ContainsFunc(filters, func(f netlink.Filter) bool {
		b, ok := f.(*netlink.BpfFilter)
		return ok && b.Attrs().Handle == clsactHandle
	})
}

// clsactEmpty tells whether nobody else uses the clsact of a device by now.
func clsactEmpty(h *netlink.Handle, index int) bool {
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		filters, err := h.FilterList(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: index}}, parent)
		if err != nil || len(filters) > 0 {
			return false
		}
	}
	return true
}
