package fastpath

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	clsactPriority = 1
	clsactName     = "weir_relay"

	clsactHandle = 0x7765 << 16 // and the place of an instance in the lower half
	clsactLoose  = 1 << 15
)

// placeOnClsact is the handle of the filter of an instance. A filter on clsact outlives the process without a pin, so its place
// is the same for each process of a table: the next start replaces it. An instance without pins has a place apart, because the
// table may belong to another one.
func placeOnClsact(table int, pinned bool) uint32 {
	place := uint32(clsactHandle | table&(clsactLoose-1))
	if !pinned {
		place |= clsactLoose
	}
	return place
}

// attachClsact adds prog to the ingress hook of a device, for kernels without tcx.
func attachClsact(h *netlink.Handle, index int, place uint32, prog *ebpf.Program) (attachment, error) {
	qdisc := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
	err := h.QdiscAdd(qdisc)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return attachment{}, fmt.Errorf("add clsact: %w", err)
	}
	ours := err == nil || hasClsact(h, index, isOurs) // of another instance or a dead one, which may have added it
	filter := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: index, Parent: netlink.HANDLE_MIN_INGRESS, Handle: place, Priority: clsactPriority,
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
	holds := func() (bool, error) { return hasClsact(h, index, isAt(place)), nil }
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

// hasClsact tells whether a device carries a filter whose handle is one that is asked for.
func hasClsact(h *netlink.Handle, index int, asked func(handle uint32) bool) bool {
	filters, err := h.FilterList(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: index}}, netlink.HANDLE_MIN_INGRESS)
	return err == nil && slices.ContainsFunc(filters, func(f netlink.Filter) bool {
		b, ok := f.(*netlink.BpfFilter)
		return ok && asked(b.Attrs().Handle)
	})
}

func isAt(place uint32) func(uint32) bool { return func(handle uint32) bool { return handle == place } }

func isOurs(handle uint32) bool { return handle&(0xffff<<16) == clsactHandle }

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
