package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Here returns this host, for the given media ports and devices.
func Here(portMin, portMax int, devices []string) (*Host, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil, fmt.Errorf("ask for the release of the kernel: %w", err)
	}
	return &Host{
		Files: os.DirFS("/"), Kernel: text(name.Release[:]), CPUs: runtime.NumCPU(), Devices: devices, PortMin: portMin, PortMax: portMax,
		NoFiles: openFiles, Synchronised: synchronised, Ethtool: ethtool,
	}, nil
}

func text(b []byte) string {
	before, _, _ := bytes.Cut(b, []byte{0})
	return string(before)
}

func openFiles() (soft, hard uint64, err error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	return limit.Cur, limit.Max, nil
}

// synchronised asks the kernel's clock discipline (adjtimex(2)).
func synchronised() (bool, error) {
	state, err := unix.Adjtimex(new(unix.Timex))
	if err != nil {
		return false, fmt.Errorf("ask for the state of the clock: %w", err)
	}
	return state != unix.TIME_ERROR, nil
}

// ifreq is what SIOCETHTOOL takes (netdevice(7)).
type ifreq struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

// Structures of linux/ethtool.h.
type (
	ringParam struct {
		cmd                                     uint32
		rxMost, rxMiniMost, rxJumboMost, txMost uint32
		rx, rxMini, rxJumbo, tx                 uint32
	}
	flagsValue struct{ cmd, data uint32 }
	flowHash   struct {
		cmd, flowType uint32
		data          uint64
		_             [512]byte // room for the rest of ethtool_rxnfc
	}
)

const (
	getFlags = 0x25
	flagLRO  = 1 << 15
	getHash  = 0x29
	udp4     = 2
	hashL4   = 1<<6 | 1<<7 // both halves: the two ports
)

// ethtool asks the driver of a device. What it does not answer stays empty.
func ethtool(device string) (e Ethtool, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return e, fmt.Errorf("open a socket for ethtool: %w", err)
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolDrvinfo(fd, device)
	if err != nil {
		return e, fmt.Errorf("the device does not tell its driver: %w", err)
	}
	e.Driver = text(info.Driver[:])
	ring := ringParam{cmd: unix.ETHTOOL_GRINGPARAM}
	if ask(fd, device, unsafe.Pointer(&ring)) == nil {
		e.Ring, e.RingMost = ring.rx, ring.rxMost
	}
	flags := flagsValue{cmd: getFlags}
	if ask(fd, device, unsafe.Pointer(&flags)) == nil {
		e.LRO = flags.data&flagLRO != 0
	}
	hash := flowHash{cmd: getHash, flowType: udp4}
	if ask(fd, device, unsafe.Pointer(&hash)) == nil {
		e.HashKnown, e.HashPorts = true, hash.data&hashL4 == hashL4
	}
	return e, nil
}

func ask(fd int, device string, data unsafe.Pointer) error {
	if len(device) >= unix.IFNAMSIZ {
		return errors.New("the name of the device is too long")
	}
	req := ifreq{data: data}
	copy(req.name[:], device)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	runtime.KeepAlive(&req)
	if errno != 0 {
		return errno
	}
	return nil
}
