package netrig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	namePrefix = "weir-rig-" // then the owner's process number, a random part and the name of the host
	namesDir   = "/run/netns"
	mountsDir  = "/run"
)

// Sweep removes the hosts and mounts of rigs whose owner is dead, and kills the processes that run inside them.
func Sweep() error {
	paths, err := filepath.Glob(filepath.Join(namesDir, namePrefix+"*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		name := filepath.Base(path)
		if pid, ok := ownerOf(name); ok && !alive(pid) {
			errs = append(errs, remove(name))
		}
	}
	dirs, err := filepath.Glob(filepath.Join(mountsDir, namePrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if pid, ok := ownerOf(filepath.Base(dir)); ok && !alive(pid) {
			errs = append(errs, unmount(dir))
		}
	}
	return errors.Join(errs...)
}

// unmount takes a file system away, with what is pinned in it.
func unmount(dir string) error {
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) { // EINVAL: it was never mounted
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// ownerOf reads the process number from a namespace's name.
func ownerOf(name string) (pid int, ok bool) {
	rest, ok := strings.CutPrefix(name, namePrefix)
	if !ok {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(digits)
	return pid, err == nil && pid > 0
}

func alive(pid int) bool {
	return !errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}

func remove(name string) error {
	for _, pid := range inside(filepath.Join(namesDir, name)) {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end process %d of %s: %w", pid, name, err)
		}
	}
	return unname(name)
}

// unname gives the name of a namespace back.
func unname(name string) error {
	err := netns.DeleteNamed(name)
	if errors.Is(err, unix.EINVAL) { // a name that was never mounted
		err = os.Remove(filepath.Join(namesDir, name))
	}
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EBUSY) {
		// Another process sweeps as well; or `ip netns add` has mounted the directory over itself since then, and the name
		// is still in use below, where nobody can see it.
		return nil
	}
	return err
}

// inside lists the processes whose network namespace is the one at path.
func inside(path string) []int {
	var ns unix.Stat_t
	if unix.Stat(path, &ns) != nil {
		return nil
	}
	links, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	var pids []int
	for _, link := range links {
		var st unix.Stat_t
		if unix.Stat(link, &st) != nil || st.Ino != ns.Ino || st.Dev != ns.Dev {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
