package doctor

import (
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// State is how a finding is to be taken.
type State string

// The states.
const (
	Good State = "good"
	Warn State = "warn" // it works, and could work better
	Bad  State = "bad"  // it will not work
	Open State = "open" // it cannot be told here
)

// Finding is one thing that was looked at.
type Finding struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"` // empty when nothing is to be done
}

// Host is what is looked at. The zero value of a function stands for a host that does not tell.
type Host struct {
	Files   fs.FS // the root of the file system, of which proc and sys count
	Kernel  string
	CPUs    int
	Devices []string // of media, by name; empty: all that are up
	// PortMin and PortMax bound the media ports.
	PortMin, PortMax int
	// NoFiles returns the limits of open files.
	NoFiles func() (soft, hard uint64, err error)
	// Synchronised tells whether the clock follows a better one.
	Synchronised func() (bool, error)
	// Ethtool returns what the driver of a device tells.
	Ethtool func(device string) (Ethtool, error)
}

// Ethtool is what the driver of a device tells.
type Ethtool struct {
	Driver         string
	Ring, RingMost uint32 // descriptors for receiving; 0: it does not say
	LRO            bool   // datagrams may be merged by the device
	HashPorts      bool   // UDP over IPv4 is spread over the queues by ports, too
	HashKnown      bool
}

// Examine looks at everything.
func Examine(h *Host) []Finding {
	var all []Finding
	for _, check := range []func(*Host) []Finding{
		rights, kernel, descriptors, ports, buffers, clock, conntrack, devices,
	} {
		all = append(all, check(h)...)
	}
	return all
}

// read returns the text of a file without the end of the line; empty when it is not there.
func (h *Host) read(name string) string {
	text, err := fs.ReadFile(h.Files, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func (h *Host) number(name string) (int, bool) {
	n, err := strconv.Atoi(h.read(name))
	return n, err == nil
}

// Capabilities by their number (capabilities(7)).
const (
	capNetAdmin   = 12
	capNetRaw     = 13
	capSysAdmin   = 21
	capPerfmon    = 38
	capBPF        = 39
	unitFileHint  = "run as root, or give the unit AmbientCapabilities=CAP_BPF CAP_PERFMON CAP_NET_ADMIN CAP_NET_RAW"
	userspaceOnly = "; without them everything goes through userspace"
)

func rights(h *Host) []Finding {
	text := ""
	for line := range strings.Lines(h.read("proc/self/status")) {
		if value, ok := strings.CutPrefix(line, "CapEff:"); ok {
			text = strings.TrimSpace(value)
		}
	}
	set, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		return []Finding{{"rights", Open, "the capabilities of a process cannot be read", ""}}
	}
	var missing []string
	for _, c := range []struct {
		name string
		bit  int
	}{{"CAP_BPF", capBPF}, {"CAP_PERFMON", capPerfmon}, {"CAP_NET_ADMIN", capNetAdmin}, {"CAP_NET_RAW", capNetRaw}} {
		covered := set&(1<<capSysAdmin) != 0 && (c.bit == capBPF || c.bit == capPerfmon)
		if set&(1<<c.bit) == 0 && !covered {
			missing = append(missing, c.name)
		}
	}
	if len(missing) > 0 {
		return []Finding{{"rights", Warn, "this user lacks " + strings.Join(missing, ", ") + userspaceOnly, unitFileHint}}
	}
	return []Finding{{"rights", Good, "the rights for the kernel plane are there", ""}}
}

// version turns the release of a kernel into numbers.
func version(release string) (major, minor int, ok bool) {
	n, err := fmt.Sscanf(release, "%d.%d", &major, &minor)
	return major, minor, err == nil && n == 2
}

func kernel(h *Host) []Finding {
	var all []Finding
	major, minor, ok := version(h.Kernel)
	atLeast := func(a, b int) bool { return major > a || major == a && minor >= b }
	switch {
	case !ok:
		all = append(all, Finding{"kernel", Open, fmt.Sprintf("the release %q cannot be read", h.Kernel), ""})
	case !atLeast(6, 1):
		all = append(all, Finding{"kernel", Warn, "Linux " + h.Kernel + " is older than what Weir is tested with", "use 6.1 or later for the kernel plane"})
	case !atLeast(6, 6):
		all = append(all, Finding{"kernel", Good, "Linux " + h.Kernel + ": XDP, and tc by clsact; tcx comes with 6.6", ""})
	default:
		all = append(all, Finding{"kernel", Good, "Linux " + h.Kernel + ": XDP and tcx", ""})
	}
	if _, err := fs.Stat(h.Files, "sys/kernel/btf/vmlinux"); err != nil {
		all = append(all, Finding{"kernel types", Warn, "the kernel has no BTF, which programs for SRTP need", "use a kernel built with CONFIG_DEBUG_INFO_BTF"})
	}
	if _, err := fs.Stat(h.Files, "sys/fs/bpf"); err != nil {
		all = append(all, Finding{"BPF file system", Warn, "it is not there: calls do not outlive the daemon", "mount -t bpf bpf /sys/fs/bpf"})
	}
	if h.read("proc/sys/net/core/bpf_jit_enable") == "0" {
		all = append(all, Finding{"BPF compiler", Bad, "BPF programs are interpreted, many times slower", "sysctl -w net.core.bpf_jit_enable=1"})
	}
	return all
}

// reserved is how many descriptors are not for media.
const reserved = 256

func descriptors(h *Host) []Finding {
	if h.NoFiles == nil {
		return nil
	}
	soft, hard, err := h.NoFiles()
	if err != nil {
		return []Finding{{"open files", Open, err.Error(), ""}}
	}
	need := uint64(h.PortMax-h.PortMin+1) + reserved
	if hard < need {
		return []Finding{{"open files", Warn, fmt.Sprintf("the limit of %d leaves room for %d of %d media ports", hard, max(hard, reserved)-reserved, need-reserved),
			fmt.Sprintf("LimitNOFILE=%d in the unit, or ulimit -Hn %d", need, need)}}
	}
	return []Finding{{"open files", Good, fmt.Sprintf("the limit is %d, and can be raised to %d; all ports may take %d", soft, hard, need), ""}}
}

func ports(h *Host) []Finding {
	fields := strings.Fields(h.read("proc/sys/net/ipv4/ip_local_port_range"))
	if len(fields) != 2 {
		return []Finding{{"port range", Open, "the kernel's own port range cannot be read", ""}}
	}
	low, _ := strconv.Atoi(fields[0])
	high, _ := strconv.Atoi(fields[1])
	if h.PortMax < low || h.PortMin > high {
		return []Finding{{"port range", Good, fmt.Sprintf("%d to %d is apart from the kernel's own %d to %d", h.PortMin, h.PortMax, low, high), ""}}
	}
	if covers(h.read("proc/sys/net/ipv4/ip_local_reserved_ports"), max(low, h.PortMin), min(high, h.PortMax)) {
		return []Finding{{"port range", Good, fmt.Sprintf("%d to %d is reserved for Weir", h.PortMin, h.PortMax), ""}}
	}
	return []Finding{{"port range", Warn,
		fmt.Sprintf("%d to %d overlaps the ports %d to %d that the kernel gives to other programs: single ones will be in use", h.PortMin, h.PortMax, low, high),
		fmt.Sprintf("sysctl -w net.ipv4.ip_local_reserved_ports=%d-%d", h.PortMin, h.PortMax)}}
}

// covers tells whether a list of ranges has all ports from low to high.
func covers(list string, low, high int) bool {
	type span struct{ from, to int }
	var spans []span
	for item := range strings.SplitSeq(list, ",") {
		a, b, ranged := strings.Cut(item, "-")
		from, err := strconv.Atoi(a)
		if err != nil {
			continue
		}
		to := from
		if ranged {
			if to, err = strconv.Atoi(b); err != nil {
				continue
			}
		}
		spans = append(spans, span{from, to})
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	for _, s := range spans {
		if s.from <= low && s.to >= low {
			low = s.to + 1
		}
	}
	return low > high
}

// wantedBuffer is what the sockets for ng ask for.
const wantedBuffer = 4 << 20

func buffers(h *Host) []Finding {
	if n, ok := h.number("proc/sys/net/core/rmem_max"); ok && n < wantedBuffer {
		return []Finding{{"socket buffers", Warn, fmt.Sprintf("sockets get %d bytes to receive into: bursts of requests may be lost", n),
			fmt.Sprintf("sysctl -w net.core.rmem_max=%d", wantedBuffer)}}
	}
	return []Finding{{"socket buffers", Good, "bursts of requests find room", ""}}
}

func clock(h *Host) []Finding {
	var all []Finding
	switch source := h.read("sys/devices/system/clocksource/clocksource0/current_clocksource"); source {
	case "":
	case "hpet", "acpi_pm", "jiffies":
		all = append(all, Finding{"clock", Warn, "reading the clock (" + source + ") takes a trap, and every packet reads it",
			"see dmesg for why the kernel left tsc or the clock of the hypervisor"})
	default:
		all = append(all, Finding{"clock", Good, "the clock source is " + source, ""})
	}
	if h.Synchronised == nil {
		return all
	}
	switch ok, err := h.Synchronised(); {
	case err != nil:
		all = append(all, Finding{"time", Open, err.Error(), ""})
	case !ok:
		all = append(all, Finding{"time", Warn, "the clock follows no other: logs, RTCP and certificates have a time of their own", "install chrony or systemd-timesyncd"})
	default:
		all = append(all, Finding{"time", Good, "the clock is synchronised", ""})
	}
	return all
}

func conntrack(h *Host) []Finding {
	most, ok := h.number("proc/sys/net/netfilter/nf_conntrack_max")
	if !ok {
		return []Finding{{"conntrack", Good, "connections are not tracked", ""}}
	}
	used, _ := h.number("proc/sys/net/netfilter/nf_conntrack_count")
	fix := fmt.Sprintf("nft add table inet weir; nft 'add chain inet weir raw { type filter hook prerouting priority raw; }'; "+
		"nft add rule inet weir raw udp dport %d-%d notrack (and the same for output with sport)", h.PortMin, h.PortMax)
	if used > most/5*4 {
		return []Finding{{"conntrack", Bad, fmt.Sprintf("%d of %d tracked connections are in use: packets of further ones are dropped", used, most), fix}}
	}
	return []Finding{{"conntrack", Warn, fmt.Sprintf("connections are tracked, %d of %d; packets in userspace pay for it, and a full table drops them", used, most), fix}}
}

func devices(h *Host) []Finding {
	names := h.Devices
	if len(names) == 0 {
		entries, err := fs.ReadDir(h.Files, "sys/class/net")
		if err != nil {
			return []Finding{{"devices", Open, "network devices cannot be listed", ""}}
		}
		for _, e := range entries {
			if state := h.read(path.Join("sys/class/net", e.Name(), "operstate")); e.Name() != "lo" && (state == "up" || state == "unknown") {
				names = append(names, e.Name())
			}
		}
	}
	var all []Finding
	for _, name := range names {
		all = append(all, h.device(name)...)
	}
	return all
}

// device looks at one network device.
func (h *Host) device(name string) []Finding {
	queues := 0
	if entries, err := fs.ReadDir(h.Files, path.Join("sys/class/net", name, "queues")); err == nil {
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "rx-") {
				queues++
			}
		}
	}
	var all []Finding
	add := func(what string, s State, text, fix string) {
		all = append(all, Finding{name + " " + what, s, text, fix})
	}
	cpus := h.CPUs
	if cpus == 0 {
		cpus = runtime.NumCPU()
	}
	switch {
	case queues == 0:
		add("queues", Open, "the device does not tell its queues", "")
	case queues < cpus && queues == 1 && h.steered(name):
		add("queues", Good, "one queue, which is steered to several CPUs (RPS)", "")
	case queues < cpus:
		add("queues", Warn, fmt.Sprintf("receive queues: %d for %d CPUs; the others relay nothing in the kernel", queues, cpus),
			fmt.Sprintf("ethtool -L %s combined %d, if the device has them", name, cpus))
	default:
		add("queues", Good, fmt.Sprintf("%d receive queues for %d CPUs", queues, cpus), "")
	}
	if h.Ethtool == nil {
		return all
	}
	e, err := h.Ethtool(name)
	if err != nil {
		add("driver", Open, err.Error(), "")
		return all
	}
	add("driver", Good, "the driver is "+e.Driver, "")
	if e.RingMost > 0 && e.Ring < min(e.RingMost, 1024) {
		add("rings", Warn, fmt.Sprintf("%d descriptors to receive into, of %d possible: bursts are lost", e.Ring, e.RingMost),
			fmt.Sprintf("ethtool -G %s rx %d", name, min(e.RingMost, 4096)))
	}
	if e.LRO {
		add("offloads", Warn, "large receive offload merges packets, which keeps XDP out", fmt.Sprintf("ethtool -K %s lro off", name))
	}
	if queues > 1 && e.HashKnown && !e.HashPorts {
		add("RSS", Warn, "UDP is spread over the queues by addresses alone: all calls between two hosts share one CPU",
			fmt.Sprintf("ethtool -N %s rx-flow-hash udp4 sdfn", name))
	}
	return all
}

// steered tells whether the first queue of a device has CPUs set for it.
func (h *Host) steered(name string) bool {
	mask := h.read(path.Join("sys/class/net", name, "queues/rx-0/rps_cpus"))
	return strings.Trim(mask, "0,") != ""
}
