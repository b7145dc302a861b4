package fastpath

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-media/weir/internal/testpkt"
)

// stream sends packets of a flow until it is stopped, and then tells how many have not arrived.
func (p path) stream(t testing.TB, f Flow) (stop func() (sent, lost int)) {
	t.Helper()
	var in, out *net.UDPConn
	inside(t, p.b, func() { in = must(net.ListenUDP("udp", net.UDPAddrFromAddrPort(f.To)))(t) })
	inside(t, p.a, func() {
		out = must(net.DialUDP("udp", net.UDPAddrFromAddrPort(f.Source), net.UDPAddrFromAddrPort(f.Local)))(t)
	})
	var got atomic.Int64
	go func() { // at once: the buffer of a socket holds few packets
		buf := make([]byte, 2048)
		for {
			if _, err := in.Read(buf); err != nil {
				return
			}
			got.Add(1)
		}
	}()
	done, ended := make(chan struct{}), make(chan int)
	go func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-done:
				ended <- n
				return
			case <-tick.C:
			}
			if _, err := out.Write(testpkt.RTP(0, uint16(n), uint32(160*n), 1, 160)); err != nil {
				t.Errorf("packet %d: %v", n, err)
			}
		}
	}()
	return func() (sent, lost int) {
		close(done)
		sent = <-ended
		defer in.Close()
		defer out.Close()
		for deadline := time.Now().Add(2 * time.Second); got.Load() < int64(sent) && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond) // under way
		}
		return sent, sent - int(got.Load())
	}
}

func TestFlowsOutliveTheirProcessAndTheNextOneAdoptsThem(t *testing.T) {
	const packets = 10
	cases := []struct {
		name string
		victim
	}{
		{"XDP", victim{Mode: Auto}},
		{"tc", victim{Mode: TC}},
		{"clsact, as before kernel 6.6", victim{Mode: TC, NoTCX: true}},
		{"XDP generic", victim{Mode: XDPGeneric}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := newPath(t, true)
			v := c.victim
			v.BPFFS, v.Table, v.Outlive = must(p.rig.BPFFS())(t), 7, time.Hour
			v.Flows = []Flow{across4, across6}
			p.kill(t, v)
			p.send(t, across6, packets) // nobody is there

			stop := p.stream(t, across4)
			time.Sleep(50 * time.Millisecond)
			plane := p.openBy(t, v.config(), v.tweaks())
			got, adopted, err := plane.Adopt(across6)
			if check(t, err); !adopted || got.Packets != packets || got.SSRC != 1 || got.Seq != packets-1 {
				t.Errorf("adopted %v with %+v", adopted, got)
			}
			other := across4
			other.TOS = 8
			if got, adopted, err := plane.Adopt(other); adopted || err != nil || got != (Counters{}) {
				t.Errorf("a flow with another TOS: adopted %v with %+v, %v", adopted, got, err)
			}
			check(t, plane.TakeOver())
			time.Sleep(50 * time.Millisecond)
			if sent, lost := stop(); lost != 0 {
				t.Errorf("%d of %d packets are lost", lost, sent)
			}
			p.send(t, across6, packets)
			if got := must(plane.Remove(across6.Local))(t); got.Packets != 2*packets {
				t.Errorf("after adoption: %+v", got)
			}
			check(t, plane.Close())
			p.expectUnpinned(t, v.BPFFS)
			if !v.NoTCX { // the clsact that the dead process made stays
				p.expectBare(t)
			}
		})
	}
}

// expectUnpinned fails when something is left in a BPF file system.
func (p path) expectUnpinned(t testing.TB, bpffs string) {
	t.Helper()
	for _, e := range must(os.ReadDir(bpffs))(t) {
		if !strings.HasSuffix(e.Name(), ".debug") { // the kernel's own
			t.Errorf("%s is left", filepath.Join(bpffs, e.Name()))
		}
	}
}

func TestAnotherEngineLeavesNoProgramOfTheOneBefore(t *testing.T) {
	p := newPath(t, true)
	v := victim{Mode: TC, BPFFS: must(p.rig.BPFFS())(t), Outlive: time.Hour, Flows: []Flow{across4}}
	p.kill(t, v)
	v.Mode = XDPGeneric
	plane := p.openBy(t, v.config(), tweaks{})
	if _, adopted, err := plane.Adopt(across4); !adopted || err != nil {
		t.Errorf("adopted %v, %v", adopted, err)
	}
	check(t, plane.TakeOver())
	if kernelOf(t).tcx {
		p.eventually(t, "left", []string{"xdp"})
	}
	p.send(t, across4, 5)
	check(t, plane.Close())
	p.expectUnpinned(t, v.BPFFS)
}

func TestLeaveKeepsEverythingAndAFailedStartTakesNothingAway(t *testing.T) {
	p := newPath(t, true)
	cfg := Config{Mode: Auto, Addrs: pathAddrs, Outlive: time.Hour, BPFFS: must(p.rig.BPFFS())(t)}
	plane := p.openBy(t, cfg, tweaks{})
	check(t, plane.Install(across4))
	stop := p.stream(t, across4)
	check(t, plane.Leave())
	plane = p.openBy(t, cfg, tweaks{})
	check(t, plane.Close()) // before it has taken over
	plane = p.openBy(t, cfg, tweaks{})
	check(t, plane.TakeOver())
	if sent, lost := stop(); lost != 0 {
		t.Errorf("%d of %d packets are lost", lost, sent)
	}
	check(t, plane.Close())
	p.expectUnpinned(t, cfg.BPFFS)
	if kernelOf(t).tcx { // else the first process made a clsact, which stays
		p.expectBare(t)
	}
}

func TestProgramsOfAnotherSchemaWorkUntilTheyAreTakenOver(t *testing.T) {
	for _, c := range []struct {
		name  string
		mode  Mode
		noTCX bool
	}{{"XDP", Auto, false}, {"tc", TC, false}, {"clsact", TC, true}} {
		t.Run(c.name, func(t *testing.T) {
			p := newPath(t, true)
			v := victim{
				Mode: c.mode, NoTCX: c.noTCX, Schema: "0-previous", BPFFS: must(p.rig.BPFFS())(t), Outlive: time.Hour, Flows: []Flow{across4},
			}
			p.kill(t, v)
			stop := p.stream(t, across4)
			plane := p.openBy(t, v.config(), tweaks{noTCX: c.noTCX})
			time.Sleep(50 * time.Millisecond)
			if _, adopted, err := plane.Adopt(across4); adopted || err != nil {
				t.Errorf("adopted %v, %v: the flow is in another map", adopted, err)
			}
			if got := must(plane.Counters(across4.Local))(t); got.Packets != 0 {
				t.Errorf("before it takes over: %+v", got)
			}
			check(t, plane.TakeOver())
			time.Sleep(50 * time.Millisecond)
			if sent, lost := stop(); lost != 0 {
				t.Errorf("%d of %d packets are lost", lost, sent)
			}
			if got := must(plane.Counters(across4.Local))(t); got.Packets == 0 {
				t.Errorf("after it has taken over: %+v", got)
			}
			dirs := must(filepath.Glob(filepath.Join(v.BPFFS, "weir", "0", "*")))(t)
			if path, _ := plane.Persistence(); len(dirs) != 1 || dirs[0] != path {
				t.Errorf("pins are in %v, want %s", dirs, path)
			}
			check(t, plane.Close())
			p.expectUnpinned(t, v.BPFFS)
		})
	}
}

func TestFlowsThatNobodyKeepsAliveEndByThemselves(t *testing.T) {
	for _, mode := range []Mode{Auto, TC} {
		t.Run(string(mode), func(t *testing.T) {
			p := newPath(t, true)
			v := victim{Mode: mode, BPFFS: must(p.rig.BPFFS())(t), Outlive: 2 * time.Second, Flows: []Flow{across4}}
			kill := p.born(t, v)
			time.Sleep(v.Outlive + time.Second)
			p.send(t, across4, 5) // it lives longer than that
			kill()

			p.expectSilence(t, across4)
			plane := p.openBy(t, v.config(), v.tweaks())
			defer plane.Close()
			abandoned := uint64(0)
			for _, r := range plane.Reasons() {
				if r.Name == "abandoned" {
					abandoned += r.Packets
				}
			}
			if abandoned == 0 {
				t.Error("no packet has left by that exit")
			}
			check(t, plane.TakeOver())
			p.send(t, across4, 5) // and lives again
		})
	}
}

func TestTablesKeepInstancesApart(t *testing.T) {
	for _, noTCX := range []bool{false, true} {
		t.Run(fmt.Sprintf("without tcx: %v", noTCX), func(t *testing.T) { tablesKeepInstancesApart(t, tweaks{noTCX: noTCX}) })
	}
}

func tablesKeepInstancesApart(t *testing.T, tw tweaks) {
	p := newPath(t, true)
	bpffs := must(p.rig.BPFFS())(t)
	of := func(table int) Config {
		return Config{Mode: TC, Addrs: pathAddrs, Outlive: time.Hour, BPFFS: bpffs, Table: table}
	}
	one, two, again := p.openBy(t, of(1), tw), p.openBy(t, of(2), tw), p.openBy(t, of(1), tw)
	if path, why := again.Persistence(); path != "" || !strings.Contains(why, "--table") {
		t.Errorf("another instance of the table: %q, %q", path, why)
	}
	check(t, again.Close())
	check(t, one.Install(across4))
	check(t, two.Install(across6))
	p.send(t, across4, 5)
	p.send(t, across6, 5)
	if _, err := two.Counters(across4.Local); err == nil {
		t.Error("a flow of the other table is there")
	}
	check(t, two.Close())
	p.send(t, across4, 5)
	if got := must(one.Remove(across4.Local))(t); got.Packets != 10 {
		t.Errorf("counters %+v", got)
	}
	check(t, one.Close())
	p.expectUnpinned(t, bpffs)
	p.expectBare(t)
}

func TestPinsOfAnotherNetworkNamespaceAreGivenUp(t *testing.T) {
	for _, noTCX := range []bool{false, true} {
		t.Run(fmt.Sprintf("without tcx: %v", noTCX), func(t *testing.T) {
			p := newPath(t, true)
			v := victim{Mode: TC, NoTCX: noTCX, BPFFS: must(p.rig.BPFFS())(t), Outlive: time.Hour, Flows: []Flow{across4}}
			p.kill(t, v)
			cfg := v.config()
			cfg.Addrs = []netip.Addr{across4.To.Addr()}
			var plane *Plane
			inside(t, p.b, func() { plane = must(Open(cfg))(t) })
			if _, err := plane.Counters(across4.Local); err == nil {
				t.Error("the flow of a process elsewhere is there")
			}
			if kernelOf(t).tcx && !noTCX {
				p.eventually(t, "left", nil)
				p.eventually(t, "right", nil)
			}
			p.expectSilence(t, across4) // a filter on clsact is out of reach, and relays nothing any more
			check(t, plane.Close())
			p.expectUnpinned(t, v.BPFFS)
		})
	}
}

// expectSilence waits until packets of a flow do not arrive any more.
func (p path) expectSilence(t testing.TB, f Flow) {
	t.Helper()
	var in, out *net.UDPConn
	inside(t, p.b, func() { in = must(net.ListenUDP("udp", net.UDPAddrFromAddrPort(f.To)))(t) })
	inside(t, p.a, func() {
		out = must(net.DialUDP("udp", net.UDPAddrFromAddrPort(f.Source), net.UDPAddrFromAddrPort(f.Local)))(t)
	})
	defer in.Close()
	defer out.Close()
	arrives := func() bool {
		_, _ = out.Write(testpkt.RTP(0, 1, 1, 1, 160)) // the host may say that nobody is there
		check(t, in.SetReadDeadline(time.Now().Add(500*time.Millisecond)))
		_, err := in.Read(make([]byte, 2048))
		return err == nil
	}
	for deadline := time.Now().Add(20 * time.Second); arrives(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the flow goes on for ever")
		}
	}
}

func TestWithoutABPFFileSystemOneIsMountedOrFlowsEndWithTheProcess(t *testing.T) {
	p := newPath(t, true)
	none := t.TempDir()
	own := filepath.Join(t.TempDir(), "bpf")
	cfg := Config{Mode: TC, Addrs: pathAddrs, Outlive: time.Hour, BPFFS: none}
	plane := p.openBy(t, cfg, tweaks{mount: own})
	if path, why := plane.Persistence(); !strings.HasPrefix(path, own) {
		t.Errorf("pins are in %q, want them in %s: %s", path, own, why)
	}
	check(t, plane.Install(across4))
	p.send(t, across4, 5)
	check(t, plane.Close())
	if _, err := os.Stat(own); err == nil {
		t.Errorf("%s is left", own)
	}

	plane = p.openBy(t, cfg, tweaks{mount: "/proc/none"})
	if path, why := plane.Persistence(); path != "" || !strings.Contains(why, "mount -t bpf") {
		t.Errorf("without a place: %q, %q", path, why)
	}
	check(t, plane.Install(across4))
	p.send(t, across4, 5)
	check(t, plane.Close())
	p.expectBare(t)
}

func TestTheSchemaFollowsTheLayoutOfTheMaps(t *testing.T) {
	first, second := must(loadRelay())(t), must(loadRelay())(t)
	if a, b := schemaOf(first), schemaOf(second); a != b {
		t.Errorf("the same maps are %s and %s", a, b)
	}
	second.Maps[relayMapFlows].MaxEntries++
	if a, b := schemaOf(first), schemaOf(second); a != b {
		t.Error("the size of a map is no matter of layout")
	}
	second.Maps[relayMapFlows].ValueSize += 8
	if a, b := schemaOf(first), schemaOf(second); a == b {
		t.Errorf("a longer value is still %s", a)
	}
	third := must(loadRelay())(t)
	delete(third.Maps, relayMapPorts)
	if a, b := schemaOf(first), schemaOf(third); a == b {
		t.Errorf("without a map it is still %s", a)
	}
}
