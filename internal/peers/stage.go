package peers

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/weir-media/weir/internal/netrig"
)

// The addresses of a stage.
const (
	WestAddr  = "10.79.1.2"
	ProxyWest = "10.79.1.1"
	ProxyEast = "10.79.2.1"
	EastAddr  = "10.79.2.2"

	// Of the western side, if it has both families.
	WestAddr6  = "fd79:1::2"
	ProxyWest6 = "fd79:1::1"

	// SIPPort is that of Kamailio, on both its addresses, and of every party.
	SIPPort = 5060
)

//go:embed kamailio.cfg
var kamailioConfig []byte

// Stage is two hosts, west and east, and a proxy host between them that runs Kamailio and Weir. Its methods may be called
// from several goroutines.
type Stage struct {
	West, East Side

	rig   *netrig.Rig
	proxy *netrig.Host
	weir  string // the program
	dir   string
	procs []*process
}

// Side is one of the hosts that parties stand on.
type Side struct {
	Addr  netip.Addr     // of the host
	Proxy netip.AddrPort // of Kamailio as seen from it

	host *netrig.Host
	dir  string
}

// Families are the address families of a side. SIP goes by IPv4 in any case.
type Families bool

// What there is.
const (
	IPv4 Families = false
	Dual Families = true
)

// NewStage makes the network and starts the proxies; weir is the path of the program, west what there is on the western side.
// It needs root. Close it in the end, also to remove the files, which are in a temporary directory.
func NewStage(weir string, west Families) (s *Stage, err error) {
	if weir, err = filepath.Abs(weir); err != nil {
		return nil, err
	}
	s = &Stage{weir: weir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "weir-peers-"); err != nil {
		return s, err
	}
	if s.rig, err = netrig.New(); err != nil {
		return s, err
	}
	if err = s.network(west); err != nil {
		return s, err
	}
	var more []string
	if west == Dual {
		more = append(more, "--interface=west/"+ProxyWest6)
	}
	if err = s.startWeir(more); err != nil {
		return s, err
	}
	return s, s.startKamailio()
}

func (s *Stage) network(west Families) (err error) {
	if s.proxy, err = s.rig.Host("proxy"); err != nil {
		return err
	}
	for _, side := range []struct {
		*Side
		name, addr, proxy string
		families          Families
	}{
		{&s.West, "west", WestAddr, ProxyWest, west},
		{&s.East, "east", EastAddr, ProxyEast, IPv4},
	} {
		side.Addr = netip.MustParseAddr(side.addr)
		proxy := netip.MustParseAddr(side.proxy)
		side.Proxy = netip.AddrPortFrom(proxy, SIPPort)
		side.dir = s.dir
		if side.host, err = s.rig.Host(side.name); err != nil {
			return err
		}
		there, here := []netip.Prefix{netip.PrefixFrom(side.Addr, 24)}, []netip.Prefix{netip.PrefixFrom(proxy, 24)}
		if side.families == Dual {
			there = append(there, netip.PrefixFrom(netip.MustParseAddr(WestAddr6), 64))
			here = append(here, netip.PrefixFrom(netip.MustParseAddr(ProxyWest6), 64))
		}
		err = s.rig.Link(netrig.End{Host: side.host, Device: "eth0", Addrs: there, GRO: true},
			netrig.End{Host: s.proxy, Device: side.name, Addrs: here, GRO: true})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Stage) controlSocket() string { return filepath.Join(s.dir, "weir.sock") }

func (s *Stage) startWeir(arguments []string) error {
	arguments = append([]string{"serve", "--config-file=none", "--foreground", "--log-stderr",
		"--interface=west/" + ProxyWest, "--interface=east/" + ProxyEast, "--port-min=30000", "--port-max=31999",
		"--listen-ng=127.0.0.1:2223", "--delete-delay=0", "--control-socket=" + s.controlSocket(), "--state-dir=" + s.dir}, arguments...)
	p, err := start(s.proxy, s.dir, "weir", exec.Command(s.weir, arguments...))
	if err != nil {
		return err
	}
	s.procs = append(s.procs, p)
	return p.await("answers", func() error {
		_, err := s.Calls()
		return err
	})
}

func (s *Stage) startKamailio() error {
	config := filepath.Join(s.dir, "kamailio.cfg")
	if err := os.WriteFile(config, kamailioConfig, 0o600); err != nil {
		return err
	}
	listen := func(addr string) string { return fmt.Sprintf("udp:%s:%d", addr, SIPPort) }
	p, err := start(s.proxy, s.dir, "kamailio", exec.Command("kamailio", "-DD", "-E", "-m", "32", "-M", "4", "-f", config,
		"-Y", s.dir, "-l", listen(ProxyWest), "-l", listen(ProxyEast), "-A", `WEST="`+ProxyWest+`"`,
		"-A", `MEDIA_PROXY="udp:127.0.0.1:2223"`))
	if err != nil {
		return err
	}
	s.procs = append(s.procs, p)
	return p.await("listens", func() error { return bound(s.proxy, s.West.Proxy, s.East.Proxy) })
}

// Close ends what still runs and removes the network and the files.
func (s *Stage) Close() error {
	var errs []error
	for i := len(s.procs) - 1; i >= 0; i-- {
		errs = append(errs, s.procs[i].Close())
	}
	if s.rig != nil {
		errs = append(errs, s.rig.Close())
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// Logs is what Weir and Kamailio have said, the end of it.
func (s *Stage) Logs() string {
	var out bytes.Buffer
	for _, p := range s.procs {
		fmt.Fprintf(&out, "--- %s\n%s\n", p.name, p.tail(60))
	}
	return out.String()
}

// Call is what Weir tells of one.
type Call struct {
	ID   string `json:"call_id"`
	Legs []Leg  `json:"legs"`
}

// Leg is what Weir tells of one.
type Leg struct {
	Party       string `json:"party"`
	Codec       string `json:"codec"`
	Component   string `json:"component"`
	Local       string `json:"local"`
	Destination string `json:"destination"`
	Plane       string `json:"plane"`
	Packets     uint64 `json:"packets"`
	PacketsOut  uint64 `json:"packets_out"`
	Refused     uint64 `json:"refused"`
	Errors      uint64 `json:"errors"`
}

// Calls are those that Weir has now.
func (s *Stage) Calls() ([]Call, error) {
	out, err := exec.Command(s.weir, "list", "--json", "--control-socket="+s.controlSocket()).Output()
	if err != nil {
		return nil, fmt.Errorf("weir list: %w", err)
	}
	var list struct {
		Calls []Call `json:"calls"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("weir list: %w", err)
	}
	return list.Calls, nil
}

// AwaitNoCalls waits until Weir has none.
func (s *Stage) AwaitNoCalls() error {
	return await(patience, "Weir forgets the call", func() error {
		calls, err := s.Calls()
		if err == nil && len(calls) > 0 {
			err = fmt.Errorf("it still has %d", len(calls))
		}
		return err
	})
}

// Forbid lets nothing from the western side reach Weir's media ports at an address any more.
func (s *Stage) Forbid(proxy netip.Addr) error {
	family := "-4"
	if proxy.Is6() {
		family = "-6"
	}
	out := new(bytes.Buffer)
	cmd := exec.Command("ip", family, "rule", "add", "to", proxy.String(), "ipproto", "udp", "dport", "30000-31999", "blackhole")
	cmd.Stdout, cmd.Stderr = out, out
	if err := s.West.host.Start(cmd); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("ip rule: %w: %s", err, out)
	}
	return nil
}

// bound tells whether all of these UDP ports of a host are taken.
func bound(host *netrig.Host, ports ...netip.AddrPort) error {
	for _, port := range ports {
		out := new(bytes.Buffer)
		cmd := exec.Command("ss", "-Hlun", "src", port.String())
		cmd.Stdout = out
		if err := host.Start(cmd); err != nil {
			return err
		}
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("ss: %w", err)
		}
		if out.Len() == 0 {
			return fmt.Errorf("nobody has UDP port %v", port)
		}
	}
	return nil
}

// patience is how long anything may take that should happen at once: far more than it does on a machine under load.
const patience = 20 * time.Second

// await repeats a question until its answer is nil. The error of the last one is part of its own.
func await(patience time.Duration, what string, ask func() error) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := ask()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %v: %w", what, patience, err)
		}
	}
}
