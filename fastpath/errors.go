package fastpath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// What callers may want to tell apart.
var (
	ErrNoFlow  = errors.New("no such flow")
	ErrNoPlane = errors.New("no kernel plane")
	ErrFamily  = errors.New("address families differ")
	ErrFull    = errors.New("the flow map is full")
	// ErrReceivers: the flow has more receivers, or does more for several of them, than the programs can.
	ErrReceivers = errors.New("not for several receivers")
	// ErrStage: this kernel or engine lacks the program that the flow needs.
	ErrStage  = errors.New("no program for what the flow needs")
	ErrClosed = errors.New("the kernel plane is closed")
)

// explain turns what the kernel says into what can be done about it.
func explain(err error) string {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "no CAP_BPF or CAP_NET_ADMIN: run as root or add the capabilities"
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Sprintf("the kernel or the driver cannot do it (%v)", err)
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return "another program holds the hook: take it off with `ip link set dev DEVICE xdp off`"
	}
	return err.Error()
}
