package netrig

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// pair links hosts left and right by devices of the same names.
func pair(t *testing.T) (left, right *Host) {
	t.Helper()
	r := Start(t)
	hosts := map[string]*Host{}
	for _, name := range []string{"left", "right"} {
		h, err := r.Host(name)
		if err != nil {
			t.Fatal(err)
		}
		hosts[name] = h
	}
	end := func(name, v4, v6 string) End {
		return End{
			Host: hosts[name], Device: name, GRO: true, Neighbours: true,
			Addrs: []netip.Prefix{netip.MustParsePrefix(v4), netip.MustParsePrefix(v6)},
		}
	}
	if err := r.Link(end("left", "10.0.0.1/24", "fd00::1/64"), end("right", "10.0.0.2/24", "fd00::2/64")); err != nil {
		t.Fatal(err)
	}
	return hosts["left"], hosts["right"]
}

func TestLinkedHostsExchangeDatagrams(t *testing.T) {
	left, right := pair(t)
	for _, test := range []struct{ name, from, to string }{
		{"over IPv4", "10.0.0.1:0", "10.0.0.2:4000"},
		{"over IPv6 without waiting for duplicate address detection", "[fd00::1]:0", "[fd00::2]:4000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			receiver := listen(t, right, test.to)
			sender := listen(t, left, test.from)
			if _, err := sender.WriteToUDPAddrPort([]byte("hello"), netip.MustParseAddrPort(test.to)); err != nil {
				t.Fatal(err)
			}
			receiver.SetReadDeadline(time.Now().Add(10 * time.Second))
			buf := make([]byte, 16)
			n, _, err := receiver.ReadFromUDPAddrPort(buf)
			if err != nil || string(buf[:n]) != "hello" {
				t.Fatalf("received %q, %v", buf[:n], err)
			}
		})
	}
}

func listen(t *testing.T, h *Host, addr string) (conn *net.UDPConn) {
	t.Helper()
	err := h.Do(func() (err error) {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestDoReturnsTheErrorOfItsFunctionAndLeavesOtherThreadsAlone(t *testing.T) {
	left, _ := pair(t)
	if err := left.Do(func() error { return os.ErrPermission }); err != os.ErrPermission {
		t.Errorf("Do returned %v", err)
	}
	if _, err := net.InterfaceByName("left"); err == nil {
		t.Error("the calling goroutine sees the device of the host")
	}
}

func TestStaticNeighboursAreThereBeforeTheFirstPacket(t *testing.T) {
	left, right := pair(t)
	dev, err := right.Device("right")
	if err != nil {
		t.Fatal(err)
	}
	table := output(t, left, "ip", "neigh", "show", "nud", "permanent")
	for _, addr := range []string{"10.0.0.2", "fd00::2"} {
		if !strings.Contains(table, addr+" dev left lladdr "+dev.HardwareAddr.String()) {
			t.Errorf("no entry for %s in:\n%s", addr, table)
		}
	}
}

func TestGenericReceiveOffloadFollowsTheOption(t *testing.T) {
	if _, err := exec.LookPath("ethtool"); err != nil {
		t.Skip("ethtool is not installed")
	}
	left, _ := pair(t)
	if features := output(t, left, "ethtool", "-k", "left"); !strings.Contains(features, "generic-receive-offload: on") {
		t.Errorf("offload is off:\n%s", features)
	}
	if err := left.Do(func() error { return setGRO("left", false) }); err != nil {
		t.Fatal(err)
	}
	if features := output(t, left, "ethtool", "-k", "left"); !strings.Contains(features, "generic-receive-offload: off") {
		t.Errorf("offload is on:\n%s", features)
	}
}

func TestForwardingIsOff(t *testing.T) {
	left, _ := pair(t)
	got := output(t, left, "cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding")
	if got != "0\n0\n" {
		t.Errorf("forwarding settings are %q", got)
	}
}

// output starts a command in the host and gives what it printed.
func output(t *testing.T, h *Host, name string, args ...string) string {
	t.Helper()
	var out strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := h.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out.String())
	}
	return out.String()
}

func TestCloseKillsCommandsAndRemovesNames(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	h, err := r.Host("only")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1000")
	if err := h.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if alive(cmd.Process.Pid) {
		t.Error("the command still runs")
	}
	if _, err := os.Stat(filepath.Join(namesDir, h.Name())); !os.IsNotExist(err) {
		t.Errorf("the name is still there: %v", err)
	}
}

func TestSweepRemovesWhatADeadOwnerLeft(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	owner := exec.Command("true")
	if err := owner.Run(); err != nil {
		t.Fatal(err)
	}
	stale := &Rig{prefix: strings.Replace(ownPrefix(t), pidOf(os.Getpid()), pidOf(owner.Process.Pid), 1)}
	h, err := stale.Host("left-behind")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1000")
	if err := h.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("the process in the stale host ended with %v", err)
	}
	if _, err := netns.GetFromName(h.Name()); !os.IsNotExist(err) {
		t.Errorf("the stale name is still there: %v", err)
	}
	h.ns.Close()
}

func ownPrefix(t *testing.T) string {
	t.Helper()
	return Start(t).prefix
}

func pidOf(pid int) string { return "-" + strconv.Itoa(pid) + "-" }

func TestOwnerIsReadFromTheNameOfTheNamespace(t *testing.T) {
	for _, test := range []struct {
		name string
		pid  int
		ok   bool
	}{
		{"weir-rig-123-a1b2c3-proxy", 123, true},
		{"weir-rig-x-a1b2c3-proxy", 0, false},
		{"weir-rig--1-proxy", 0, false},
		{"someone-elses", 0, false},
	} {
		if pid, ok := ownerOf(test.name); ok != test.ok || ok && pid != test.pid {
			t.Errorf("%s: got %d, %v", test.name, pid, ok)
		}
	}
}

func TestABPFFileSystemGoesWithItsRig(t *testing.T) {
	r := Start(t)
	dir, err := r.BPFFS()
	if err != nil {
		t.Fatal(err)
	}
	other, err := r.BPFFS()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, other} {
		var st unix.Statfs_t
		if err := unix.Statfs(d, &st); err != nil || st.Type != unix.BPF_FS_MAGIC {
			t.Errorf("%s is no BPF file system: %v", d, err)
		}
	}
	if err := Sweep(); err != nil { // it has an owner
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, other} {
		if _, err := os.Stat(d); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", d, err)
		}
	}
}
