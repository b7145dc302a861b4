package netrig

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Host is one network namespace of a rig. Its methods may be called from several goroutines.
type Host struct {
	name string // of the namespace, as `ip netns` lists it
	ns   netns.NsHandle

	mu       sync.Mutex
	commands []*exec.Cmd
}

// Host adds a host with its loopback device up and forwarding off, so that a packet crosses it only when a program
// carries it.
func (r *Rig) Host(name string) (*Host, error) {
	h := &Host{name: r.prefix + name}
	err := onOwnThread(func() (err error) {
		h.ns, err = netns.NewNamed(h.name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	r.mu.Lock()
	r.hosts = append(r.hosts, h)
	r.mu.Unlock()

	if err := h.Do(prepareHost); err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	return h, nil
}

// Name is the name of the namespace, for `ip netns exec`.
func (h *Host) Name() string { return h.name }

// Do runs fn on an operating system thread inside the host. Sockets that fn opens and commands that it starts stay in
// the host; goroutines that it starts do not.
func (h *Host) Do(fn func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(h.ns); err != nil {
			return fmt.Errorf("enter %s: %w", h.name, err)
		}
		return fn()
	})
}

// Start starts cmd inside the host. The caller should Wait for it; Close of the rig kills it when it still runs.
// Unlike `ip netns exec` it leaves the mounts alone, so /sys/fs/bpf is the one of the machine.
func (h *Host) Start(cmd *exec.Cmd) error {
	if err := h.Do(cmd.Start); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.commands = append(h.commands, cmd)
	return nil
}

// Device finds a device of the host by its name.
func (h *Host) Device(name string) (dev *net.Interface, err error) {
	err = h.Do(func() error {
		dev, err = net.InterfaceByName(name)
		return err
	})
	return dev, err
}

func (h *Host) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, cmd := range h.commands {
		// A command that has been waited for gives os.ErrProcessDone, which is what is wanted.
		if err := cmd.Process.Kill(); err == nil {
			cmd.Process.Wait()
		}
	}
	return errors.Join(h.ns.Close(), unname(h.name))
}

// onOwnThread runs fn on a thread that ends afterwards, so that no other goroutine meets its namespace.
func onOwnThread(fn func() error) error {
	done := make(chan error)
	go func() {
		err := errors.New("the function inside the host did not return")
		defer func() { done <- err }()
		runtime.LockOSThread() // never unlocked: the runtime ends the thread with the goroutine
		err = fn()
	}()
	return <-done
}

// prepareHost runs inside a new host.
func prepareHost() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	for _, path := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"} {
		if err := setSysctl(path, "0"); err != nil {
			return err
		}
	}
	return nil
}

// setSysctl ignores settings the kernel does not have, as on a machine without IPv6.
func setSysctl(path, value string) error {
	err := os.WriteFile(path, []byte(value), 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// setGRO does what `ethtool -K name gro on` does.
func setGRO(name string, on bool) error {
	value := struct{ cmd, data uint32 }{cmd: unix.ETHTOOL_SGRO}
	if on {
		value.data = 1
	}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the rest of struct ifreq
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], name)

	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return fmt.Errorf("set generic receive offload: %w", errno)
	}
	return nil
}
