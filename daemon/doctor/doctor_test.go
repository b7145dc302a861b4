package doctor_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/weir-media/weir/daemon/doctor"
)

// files makes a file system of texts.
func files(texts map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range texts {
		m[name] = &fstest.MapFile{Data: []byte(text + "\n")}
	}
	return m
}

// fine is a host without a fault.
func fine() *doctor.Host {
	return &doctor.Host{
		Files: files(map[string]string{
			"proc/self/status":                      "Name:\tx\nCapEff:\t000001ffffffffff",
			"sys/kernel/btf/vmlinux":                "",
			"sys/fs/bpf/x":                          "",
			"proc/sys/net/core/bpf_jit_enable":      "1",
			"proc/sys/net/core/rmem_max":            "8388608",
			"proc/sys/net/ipv4/ip_local_port_range": "40000\t60999",
			"sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc",
			"sys/class/net/eth0/operstate":                                    "up",
			"sys/class/net/eth0/queues/rx-0/rps_cpus":                         "0",
			"sys/class/net/eth0/queues/rx-1/rps_cpus":                         "0",
			"sys/class/net/lo/operstate":                                      "unknown",
		}),
		Kernel: "6.12.4-amd64", CPUs: 2, PortMin: 30000, PortMax: 39999,
		NoFiles:      func() (uint64, uint64, error) { return 1024, 524288, nil },
		Synchronised: func() (bool, error) { return true, nil },
		Ethtool: func(string) (doctor.Ethtool, error) {
			return doctor.Ethtool{Driver: "mlx5_core", Ring: 4096, RingMost: 8192, HashKnown: true, HashPorts: true}, nil
		},
	}
}

func TestHostWithoutFault(t *testing.T) {
	findings := doctor.Examine(fine())
	for _, f := range findings {
		if f.State != doctor.Good || f.Fix != "" {
			t.Errorf("%+v", f)
		}
	}
	if len(findings) < 8 {
		t.Errorf("only %d things were looked at", len(findings))
	}
}

// TestFaults breaks one thing at a time.
func TestFaults(t *testing.T) {
	set := func(name, text string) func(*doctor.Host) {
		return func(h *doctor.Host) { h.Files.(fstest.MapFS)[name] = &fstest.MapFile{Data: []byte(text + "\n")} }
	}
	remove := func(name string) func(*doctor.Host) {
		return func(h *doctor.Host) { delete(h.Files.(fstest.MapFS), name) }
	}
	driver := func(e doctor.Ethtool) func(*doctor.Host) {
		return func(h *doctor.Host) { h.Ethtool = func(string) (doctor.Ethtool, error) { return e, nil } }
	}
	for _, c := range []struct {
		name  string
		spoil func(*doctor.Host)
		check string
		state doctor.State
		fix   string
	}{
		{"no rights", set("proc/self/status", "CapEff:\t0000000000000000"), "rights", doctor.Warn, "CAP_BPF"},
		{"rights unknown", remove("proc/self/status"), "rights", doctor.Open, ""},
		{"an old kernel", func(h *doctor.Host) { h.Kernel = "5.10.0-8" }, "kernel", doctor.Warn, "6.1"},
		{"no BTF", remove("sys/kernel/btf/vmlinux"), "kernel types", doctor.Warn, "BTF"},
		{"no BPF file system", remove("sys/fs/bpf/x"), "BPF file system", doctor.Warn, "mount"},
		{"interpreted programs", set("proc/sys/net/core/bpf_jit_enable", "0"), "BPF compiler", doctor.Bad, "sysctl"},
		{"few open files", func(h *doctor.Host) { h.NoFiles = func() (uint64, uint64, error) { return 1024, 4096, nil } }, "open files", doctor.Warn, "LimitNOFILE=10256"},
		{"open files unknown", func(h *doctor.Host) { h.NoFiles = func() (uint64, uint64, error) { return 0, 0, errors.New("no") } }, "open files", doctor.Open, ""},
		{"ports of others", set("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999"), "port range", doctor.Warn, "ip_local_reserved_ports=30000-39999"},
		{"small buffers", set("proc/sys/net/core/rmem_max", "212992"), "socket buffers", doctor.Warn, "rmem_max"},
		{"a slow clock", set("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet"), "clock", doctor.Warn, "dmesg"},
		{"no time", func(h *doctor.Host) { h.Synchronised = func() (bool, error) { return false, nil } }, "time", doctor.Warn, "chrony"},
		{"tracked connections", set("proc/sys/net/netfilter/nf_conntrack_max", "1000"), "conntrack", doctor.Warn, "notrack"},
		{"few queues", remove("sys/class/net/eth0/queues/rx-1/rps_cpus"), "eth0 queues", doctor.Warn, "ethtool -L eth0 combined 2"},
		{"small rings", driver(doctor.Ethtool{Driver: "x", Ring: 256, RingMost: 4096}), "eth0 rings", doctor.Warn, "ethtool -G eth0 rx 4096"},
		{"merged packets", driver(doctor.Ethtool{Driver: "x", LRO: true}), "eth0 offloads", doctor.Warn, "lro off"},
		{"one queue for all calls", driver(doctor.Ethtool{Driver: "x", HashKnown: true}), "eth0 RSS", doctor.Warn, "sdfn"},
		{"a driver that tells nothing", func(h *doctor.Host) {
			h.Ethtool = func(string) (doctor.Ethtool, error) { return doctor.Ethtool{}, errors.New("not supported") }
		}, "eth0 driver", doctor.Open, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := fine()
			c.spoil(h)
			for _, f := range doctor.Examine(h) {
				switch {
				case f.Check == c.check && f.State == c.state:
					if !strings.Contains(f.Fix, c.fix) {
						t.Errorf("the fix is %q, want %q in it", f.Fix, c.fix)
					}
					return
				case f.State == doctor.Bad || f.State == doctor.Warn:
					t.Errorf("something else is found: %+v", f)
				}
			}
			t.Errorf("%s is not found to be %s", c.check, c.state)
		})
	}
}

func TestFullTableOfConnections(t *testing.T) {
	h := fine()
	m := h.Files.(fstest.MapFS)
	m["proc/sys/net/netfilter/nf_conntrack_max"] = &fstest.MapFile{Data: []byte("1000")}
	m["proc/sys/net/netfilter/nf_conntrack_count"] = &fstest.MapFile{Data: []byte("900")}
	for _, f := range doctor.Examine(h) {
		if f.Check == "conntrack" && f.State != doctor.Bad {
			t.Errorf("%+v", f)
		}
	}
}

func TestReservedPorts(t *testing.T) {
	for list, want := range map[string]doctor.State{
		"30000-39999": doctor.Good, "30000-34999,35000-39999": doctor.Good, "5060,20000-50000": doctor.Good, "30000-39998": doctor.Warn, "x,32768-y": doctor.Warn,
	} {
		h := fine()
		m := h.Files.(fstest.MapFS)
		m["proc/sys/net/ipv4/ip_local_port_range"] = &fstest.MapFile{Data: []byte("32768 60999")}
		m["proc/sys/net/ipv4/ip_local_reserved_ports"] = &fstest.MapFile{Data: []byte(list)}
		for _, f := range doctor.Examine(h) {
			if f.Check == "port range" && f.State != want {
				t.Errorf("%s: %+v, want %s", list, f, want)
			}
		}
	}
}

// TestThisHost only has to come to an end with findings of every kind.
func TestThisHost(t *testing.T) {
	h, err := doctor.Here(30000, 39999, []string{"lo"})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, f := range doctor.Examine(h) {
		seen[f.Check] = true
		if f.Text == "" {
			t.Errorf("%+v says nothing", f)
		}
	}
	for _, check := range []string{"rights", "kernel", "open files", "port range", "time", "conntrack", "lo queues"} {
		if !seen[check] {
			t.Errorf("%s was not looked at", check)
		}
	}
}
