package media

import (
	"encoding/binary"
	"errors"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller waits for sockets to become readable. Each socket is registered with a key, which the events carry. Only wake
// may be called from other goroutines than the one that waits.
type poller struct {
	epoll  int
	event  int // eventfd behind wake
	events [128]unix.EpollEvent
}

// Keys of what is no leg.
const (
	wakeKey   = -1
	sharedKey = -2 // of the first shared socket; the next ones are below
)

func newPoller() (*poller, error) {
	p := &poller{event: -1}
	var err error
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if p.event, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return nil, joinClose(os.NewSyscallError("eventfd", err), p)
	}
	if err = p.add(p.event, wakeKey); err != nil {
		return nil, joinClose(err, p)
	}
	return p, nil
}

func (p *poller) add(fd int, key int32) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: key}
	return os.NewSyscallError("epoll_ctl add", unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &ev))
}

func (p *poller) remove(fd int) error {
	return os.NewSyscallError("epoll_ctl del", unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, fd, nil))
}

// wait returns the sockets that are readable now, or waits for one that long; forever if that is negative.
func (p *poller) wait(patience time.Duration) []unix.EpollEvent {
	var n uintptr
	var errno unix.Errno
	if patience != 0 {
		ms := -1
		if patience > 0 {
			ms = int((patience + time.Millisecond - 1) / time.Millisecond)
		}
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])),
			uintptr(len(p.events)), uintptr(ms), 0, 0)
	} else {
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])),
			uintptr(len(p.events)), 0, 0, 0)
	}
	if errno != 0 {
		return nil // EINTR; anything else would be a fault of this file
	}
	return p.events[:n]
}

// wake makes a wait under way, or else the next one, return. The event stays until drain.
func (p *poller) wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(p.event, one[:]) // EAGAIN: it is awake already
}

func (p *poller) drain() {
	var n [8]byte
	_, _ = unix.Read(p.event, n[:])
}

func (p *poller) close() error {
	var errs []error
	for _, fd := range []int{p.event, p.epoll} {
		if fd >= 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	return errors.Join(errs...)
}

// joinClose closes c after err and returns what went wrong.
func joinClose(err error, c interface{ close() error }) error {
	return errors.Join(err, c.close())
}
