package fastpath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

const (
	// DefaultBPFFS is where the BPF file system usually is.
	DefaultBPFFS = "/sys/fs/bpf"
	// ownBPFFS is where we mount one when there is none. It is as lasting as the other: until the next boot.
	ownBPFFS = "/run/weir/bpf"

	schemaPrefix = "v"
)

// pins is the place in a BPF file system where the maps and links of one table outlive the process:
//
//	BPFFS/weir/TABLE/vSCHEMA/MAP
//	BPFFS/weir/TABLE/vSCHEMA/xdp-IFINDEX (xdp-generic-, tcx-)
//
// The directory of the table is locked as long as its owner lives. A nil *pins has no place; nothing is kept then.
type pins struct {
	table   string // its directory
	dir     string // that of our schema
	lock    *os.File
	adopted bool     // there was a directory of our schema, with the maps of a dead process
	others  []string // directories of other schemas
	mounted string   // the file system, if it is the one that we mount
}

// openPins takes possession of a table. Where there is no BPF file system one is mounted at another place. The error says why it cannot be had.
func openPins(bpffs, mount string, table int, schema string) (*pins, error) {
	if bpffs == "" {
		bpffs = DefaultBPFFS
	}
	p := &pins{}
	if !isBPFFS(bpffs) {
		if err := mountBPFFS(mount); err != nil {
			return nil, fmt.Errorf("%s is no BPF file system (mount -t bpf bpf %s makes it one), and none can be mounted: %w", bpffs, bpffs, err)
		}
		bpffs, p.mounted = mount, mount
	}
	p.table = filepath.Join(bpffs, "weir", strconv.Itoa(table))
	p.dir = filepath.Join(p.table, schemaPrefix+schema)
	if err := p.acquire(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(p.table)
	if err != nil {
		return nil, errors.Join(err, p.lock.Close())
	}
	for _, e := range entries {
		switch path := filepath.Join(p.table, e.Name()); {
		case path == p.dir:
			p.adopted = true
		default:
			p.others = append(p.others, path)
		}
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return nil, errors.Join(err, p.lock.Close())
	}
	return p, nil
}

// acquire locks the directory of the table. A directory that its owner removes at the same moment is made anew.
func (p *pins) acquire() error {
	for {
		if err := os.MkdirAll(p.table, 0o700); err != nil {
			return err
		}
		dir, err := os.Open(p.table)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			if errors.Is(err, unix.EWOULDBLOCK) {
				err = fmt.Errorf("table %s belongs to another instance: give this one another number with --table", filepath.Base(p.table))
			}
			return errors.Join(err, dir.Close())
		}
		have, err := dir.Stat()
		if err != nil {
			return errors.Join(err, dir.Close())
		}
		if now, err := os.Stat(p.table); err == nil && os.SameFile(have, now) {
			p.lock = dir
			return nil
		}
		dir.Close()
	}
}

func isBPFFS(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.BPF_FS_MAGIC
}

// mountBPFFS mounts a file system at a place of our own, where nobody else looks. In a mount namespace that ends with the process it
// would be worth nothing.
func mountBPFFS(at string) error {
	if isBPFFS(at) {
		return nil
	}
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return err
	}
	// The parent is who starts the next process.
	if parents, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", os.Getppid())); err != nil || parents != own {
		return errors.New("this process has a mount namespace of its own")
	}
	if err := os.MkdirAll(at, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("bpf", at, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount a BPF file system at %s: %w", at, err)
	}
	return nil
}

// options has the maps of a collection pinned, or those taken that are.
func (p *pins) options(spec *ebpf.CollectionSpec) *ebpf.CollectionOptions {
	if p == nil {
		return nil
	}
	for _, m := range spec.Maps {
		if !strings.HasPrefix(m.Name, ".") { // the data sections of a program are its own
			m.Pinning = ebpf.PinByName
		}
	}
	return &ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: p.dir}}
}

// mapAt opens a map of our schema that is pinned already; nil when there is none.
func (p *pins) mapAt(name string) *ebpf.Map {
	if p == nil || !p.adopted {
		return nil
	}
	m, err := ebpf.LoadPinnedMap(filepath.Join(p.dir, name), nil)
	if err != nil {
		return nil
	}
	return m
}

// check gives up what belongs to the devices of another network namespace: its calls are not ours.
func (p *pins) check(netns uint64, log *slog.Logger) error {
	var errs []error
	if p.adopted {
		if of, err := netnsOf(p.dir); err != nil || of != netns {
			log.Warn("flows of a dead process are given up: it was in another network namespace", "path", p.dir, "err", err)
			errs = append(errs, p.discard())
		}
	}
	p.others = slices.DeleteFunc(p.others, func(dir string) bool {
		of, err := netnsOf(dir)
		if err != nil || of != netns {
			errs = append(errs, removePins(dir))
			return true
		}
		return false
	})
	return errors.Join(errs...)
}

// discard removes what there is of our schema and begins anew.
func (p *pins) discard() error {
	p.adopted = false
	return errors.Join(removePins(p.dir), os.Mkdir(p.dir, 0o700))
}

// linkAt opens the link to a device that a dead process has left; nil when there is none that still holds the hook. Current
// tells whether its program knows our maps.
func (p *pins) linkAt(kind string, index int) (l link.Link, current bool) {
	if p == nil {
		return nil, false
	}
	for i, dir := range append([]string{p.dir}, p.others...) {
		l, err := link.LoadPinnedLink(filepath.Join(dir, pinName(kind, index)), nil)
		if err != nil {
			continue
		}
		if there, err := holds(l, index); there && err == nil {
			return l, i == 0
		}
		_, _ = l.Unpin(), l.Close() // the device has gone, or somebody has detached it
	}
	return nil, false
}

func pinName(kind string, index int) string { return kind + "-" + strconv.Itoa(index) }

// holds tells whether a link is attached to a device.
func holds(l link.Link, index int) (bool, error) {
	info, err := l.Info()
	if err != nil {
		return false, err
	}
	if x := info.XDP(); x != nil {
		return int(x.Ifindex) == index, nil
	}
	if t := info.TCX(); t != nil {
		return int(t.Ifindex) == index, nil
	}
	return false, nil
}

// pin keeps a link. Without a place it does nothing.
func (p *pins) pin(l link.Link, kind string, index int) error {
	if p == nil {
		return nil
	}
	path := filepath.Join(p.dir, pinName(kind, index))
	err := l.Pin(path)
	if errors.Is(err, unix.EEXIST) { // of a device that has gone
		err = errors.Join(os.Remove(path), l.Pin(path))
	}
	return err
}

// clean removes what other schemas have left.
func (p *pins) clean() error {
	if p == nil {
		return nil
	}
	var errs []error
	for _, dir := range p.others {
		errs = append(errs, removePins(dir))
	}
	p.others = nil
	return errors.Join(errs...)
}

// prune takes off the programs of a dead process that are not of use any more: of a device that has gone, or another engine.
func (p *pins) prune(held map[string]bool) error {
	if p == nil {
		return nil
	}
	entries, err := os.ReadDir(p.dir)
	errs := []error{err}
	for _, e := range entries {
		if isLink(e.Name()) && !held[e.Name()] {
			errs = append(errs, removePin(filepath.Join(p.dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// isLink tells the name of a link from that of a map, which is one of C.
func isLink(name string) bool { return strings.Contains(name, "-") }

// removePin removes a pin, and takes a program off.
func removePin(path string) error {
	if l, err := link.LoadPinnedLink(path, nil); err == nil {
		_ = l.Detach() // now, not when the last reference goes
		l.Close()
	}
	return os.Remove(path)
}

// remove gives everything up, and the table to the next one.
func (p *pins) remove() error {
	if p == nil {
		return nil
	}
	errs := []error{p.clean(), removePins(p.dir), os.Remove(p.table), p.lock.Close()}
	parent := filepath.Dir(p.table)
	if os.Remove(parent) == nil && p.mounted != "" { // else there are other instances
		errs = append(errs, unix.Unmount(p.mounted, 0), os.Remove(p.mounted))
	}
	return errors.Join(errs...)
}

// leave keeps everything for the next process.
func (p *pins) leave() error {
	if p == nil {
		return nil
	}
	return p.lock.Close()
}

// removePins removes a directory with what is pinned in it, and ends its flows: a filter on clsact has no pin, and may be out of
// reach in another network namespace. Links go first, so that no program outlasts its maps.
func removePins(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	errs := []error{endFlows(dir)}
	for _, links := range []bool{true, false} {
		for _, e := range entries {
			if isLink(e.Name()) == links {
				errs = append(errs, removePin(filepath.Join(dir, e.Name())))
			}
		}
	}
	return errors.Join(append(errs, os.Remove(dir))...)
}

// netnsCookie names the network namespace of the calling thread. Unlike the number of its file,
// which old kernels have to do with, it is not given again.
func netnsCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil { // before kernel 5.14
		var st unix.Stat_t
		if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
			return 0, fmt.Errorf("name the network namespace: %w", err)
		}
		return st.Ino, nil
	}
	return cookie, nil
}

// netnsOf reads whose devices a dead process served.
func netnsOf(dir string) (netns uint64, err error) {
	err = atLife(dir, func(_ *ebpf.Map, value []byte) error {
		netns = binary.NativeEndian.Uint64(value[8:])
		return nil
	})
	return netns, err
}

// endFlows has a deadline passed. Where there is no sign of life there are no flows.
func endFlows(dir string) error {
	err := atLife(dir, func(m *ebpf.Map, value []byte) error {
		binary.NativeEndian.PutUint64(value, 1)
		return m.Put(uint32(0), value)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// atLife opens a sign of life: when the flows end, and the network namespace. Their places are the same in all schemas.
func atLife(dir string, do func(m *ebpf.Map, value []byte) error) error {
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, relayMapLife), nil)
	if err != nil {
		return err
	}
	defer m.Close()
	value, err := m.LookupBytes(uint32(0))
	if err != nil || len(value) < 16 {
		return errors.Join(err, fmt.Errorf("%s is no sign of life", dir))
	}
	return do(m, value)
}
