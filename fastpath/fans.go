package fastpath

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
)

// devmapValue is struct bpf_devmap_val of Linux: a device, and the program that frames for it pass.
type devmapValue struct{ Index, Program uint32 }

// prepareFan makes the lists of receivers that XDP copies packets into, for one device and every number of them. The calling
// thread must be in the network namespace of the device; the kernel empties the lists when the device goes.
func (p *Plane) prepareFan(d *device) {
	if p.missing[stageOf{XDP, relayStageSTAGE_FAN}] != nil {
		return
	}
	if err := p.listReceivers(uint32(d.Index)); err != nil {
		p.log.Info("tc copies what XDP could", "device", d.Name, "why", explain(err))
		return
	}
	p.ports.prepared(d.Index)
}

func (p *Plane) listReceivers(index uint32) error {
	value := devmapValue{index, uint32(p.xdp.FanXdpCopy.FD())}
	if err := p.maps.Egress.Update(&index, &value, ebpf.UpdateAny); err != nil {
		return fmt.Errorf("program for frames that leave: %w", err)
	}
	var keys []relayFanKey
	var lists []uint32
	for n := uint32(2); n <= MaxReceivers; n++ {
		list, err := ebpf.NewMap(&ebpf.MapSpec{
			Type: ebpf.DevMap, KeySize: 4, ValueSize: 8, MaxEntries: n,
		})
		if err != nil {
			return fmt.Errorf("list of %d receivers: %w", n, err)
		}
		defer list.Close() // the map of lists has it
		for i := range n {
			if err := list.Update(&i, &value, ebpf.UpdateAny); err != nil {
				return fmt.Errorf("list of %d receivers: %w", n, err)
			}
		}
		keys = append(keys, relayFanKey{Ifindex: index, Receivers: n})
		lists = append(lists, uint32(list.FD()))
	}
	// One by one, the kernel waits after each until no program sees the one before.
	_, err := p.maps.Fans.BatchUpdate(keys, lists, nil)
	if errors.Is(err, ebpf.ErrNotSupported) {
		err = nil
		for i := range keys {
			err = errors.Join(err, p.maps.Fans.Update(&keys[i], &lists[i], ebpf.UpdateAny))
		}
	}
	if err != nil {
		return fmt.Errorf("lists of receivers: %w", err)
	}
	return nil
}

// slotsOfCPU is FAN_SLOTS in bpf/ctx_fan_xdp.h.
const slotsOfCPU = 64

// fanSlots is how many packets may be on their way to several receivers: as many as in the map of a process before, or for all
// CPUs that are online now.
func fanSlots(have *ebpf.Map) uint32 {
	if have != nil {
		defer have.Close()
		return have.MaxEntries() // it cannot be changed
	}
	cpus, err := onlineCPUs()
	if err != nil {
		cpus = ebpf.MustPossibleCPU()
	}
	return uint32(cpus) * slotsOfCPU
}

// onlineCPUs is one more than the highest number of a CPU.
func onlineCPUs() (int, error) {
	list, err := os.ReadFile("/sys/devices/system/cpu/online") // as in 0-3,6
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(list))
	last, err := strconv.Atoi(text[strings.LastIndexAny(text, ",-")+1:])
	return last + 1, err
}
