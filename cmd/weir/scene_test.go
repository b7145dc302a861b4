package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/internal/netrig"
	"github.com/weir-media/weir/internal/testpkt"
	"github.com/weir-media/weir/ngproto"
)

// serveEnv makes the test binary the program.
const serveEnv = "WEIR_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		go sufferFaults()
		main()
		return
	}
	os.Exit(m.Run())
}

// patience is far more than anything takes on a machine under load.
const patience = 60 * time.Second

// scene is a daemon between the networks of callers and callees.
type scene struct {
	*testing.T
	left, host, right *netrig.Host
	dir, bpffs        string
	interfaces        []string // empty: left and right
	options           []string
	ngAddr            string
	program           string               // empty: this one
	sys               *syscall.SysProcAttr // of the daemon; nil: it is root's
	ownMounts         bool                 // the daemon has a mount namespace of its own

	daemon *exec.Cmd
	log    *os.File
	ng     *ngproto.Client
}

func newScene(t *testing.T, options ...string) *scene {
	rig := netrig.Start(t)
	s := newNode(t, value(rig.Host("host"))(t), options...)
	for name, h := range map[string]**netrig.Host{"left": &s.left, "right": &s.right} {
		*h = value(rig.Host(name))(t)
	}
	s.bpffs = value(rig.BPFFS())(t)
	end := func(h *netrig.Host, device, addr string) netrig.End {
		return netrig.End{Host: h, Device: device, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}, GRO: true, Neighbours: true}
	}
	must(t, rig.Link(end(s.host, "left", "10.0.1.1/24"), end(s.left, "eth0", "10.0.1.2/24")))
	must(t, rig.Link(end(s.host, "right", "10.0.2.1/24"), end(s.right, "eth0", "10.0.2.2/24")))
	return s
}

// newNode is a host for a daemon.
func newNode(t *testing.T, host *netrig.Host, options ...string) *scene {
	s := &scene{T: t, host: host, dir: t.TempDir(), options: options, ngAddr: "127.0.0.1:2223"}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemons say:\n%s", s.said())
		}
	})
	s.log = value(os.Create(filepath.Join(t.TempDir(), "log")))(t)
	t.Cleanup(func() { s.log.Close() })
	return s
}

// said is what the daemons have logged.
func (s *scene) said() string {
	s.Helper()
	return string(value(os.ReadFile(s.log.Name()))(s.T))
}

func (s *scene) socket() string { return filepath.Join(s.dir, "weir.sock") }

// start starts a daemon and waits until it answers.
func (s *scene) start(more ...string) {
	s.Helper()
	interfaces := s.interfaces
	if interfaces == nil {
		interfaces = []string{"--interface=left/10.0.1.1", "--interface=right/10.0.2.1"}
	}
	args := append([]string{
		"serve", "--config-file=none", "--listen-ng=" + s.ngAddr,
		"--control-socket=" + s.socket(), "--state-dir=" + s.dir, "--bpffs=" + s.bpffs, "--delete-delay=0", "--drain-deadline=0", "--log-level=4",
	}, slices.Concat(interfaces, s.options, more)...)
	program := s.program
	if program == "" {
		program = value(os.Executable())(s.T)
	}
	s.daemon = exec.Command(program, args...)
	s.daemon.Env = append(os.Environ(), serveEnv+"=1")
	s.daemon.Stdout, s.daemon.Stderr, s.daemon.SysProcAttr = s.log, s.log, s.sys
	if s.ownMounts {
		s.daemon.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	must(s.T, s.host.Start(s.daemon))
	if s.ng == nil {
		must(s.T, s.host.Do(func() (err error) {
			s.ng, err = ngproto.Dial(s.ngAddr)
			return err
		}))
		s.Cleanup(func() { s.ng.Close() })
	}
	s.eventually("the daemon answers", func() bool {
		ctx, cancel := context.WithTimeout(s.Context(), time.Second)
		defer cancel()
		reply, err := s.ng.Do(ctx, ngproto.Dict{{Key: "command", Value: ngproto.String("ping")}})
		return err == nil && reply.Text("result") == "pong"
	})
}

// signal sends a signal and waits for the end of the daemon.
func (s *scene) signal(sig syscall.Signal) {
	s.Helper()
	must(s.T, s.daemon.Process.Signal(sig))
	_ = s.daemon.Wait() // "signal: killed"
}

func (s *scene) eventually(what string, ok func() bool) {
	s.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func (s *scene) status() *cli.Status {
	s.Helper()
	return value(cli.NewClient(s.socket()).Status(s.Context()))(s.T)
}

// do carries out a command of strings and lists of strings.
func (s *scene) do(pairs ...any) ngproto.Dict {
	s.Helper()
	var request ngproto.Dict
	for i := 0; i < len(pairs); i += 2 {
		e := ngproto.Entry{Key: pairs[i].(string)}
		switch v := pairs[i+1].(type) {
		case string:
			e.Value = ngproto.String(v)
		case []string:
			var list []ngproto.Value
			for _, item := range v {
				list = append(list, ngproto.String(item))
			}
			e.Value = ngproto.List(list...)
		}
		request = append(request, e)
	}
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	reply := value(s.ng.Do(ctx, request))(s.T)
	if result := reply.Text("result"); result != "ok" {
		s.Fatalf("%v: %s: %s", pairs, result, reply.Text("error-reason"))
	}
	return reply
}

// testCall is a call with a phone on each side.
type testCall struct {
	id           string
	caller       *testPhone
	callee       *testPhone
	offer, reply string
}

// testPhone sends packets numbered from 0 and notes which ones of the other side come. With keys it speaks SRTP.
type testPhone struct {
	conn  *net.UDPConn
	to    netip.AddrPort
	ssrc  uint32
	first uint32 // sequence number of packet 0; those beyond 16 bits roll over
	sent  uint32
	keys  testKeys
	got   atomic.Uint64 // different packets
	again atomic.Uint64 // those that came before
	wrong atomic.Uint64 // what cannot be read, or is not what was said
	seen  []atomic.Bool // by number
}

const maxPackets = 1 << 14

func (s *scene) phone(h *netrig.Host, ip string, ssrc uint32) *testPhone {
	s.Helper()
	p := &testPhone{ssrc: ssrc, seen: make([]atomic.Bool, maxPackets)}
	must(s.T, h.Do(func() (err error) {
		p.conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(ip)})
		return err
	}))
	s.Cleanup(func() { p.conn.Close() })
	go func() {
		buf := make([]byte, 2048)
		for {
			n, err := p.conn.Read(buf)
			if err != nil {
				return
			}
			p.hear(buf[:n])
		}
	}()
	return p
}

// packet is what a phone says: its number is in the time stamp.
func packet(seq uint16, number, ssrc uint32) []byte {
	return testpkt.RTP(0, seq, 160*number, ssrc, 160)
}

func (p *testPhone) hear(b []byte) {
	b, err := p.keys.open(b)
	if err != nil || len(b) < 12 {
		p.wrong.Add(1)
		return
	}
	seq, number, ssrc := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:])/160, binary.BigEndian.Uint32(b[8:])
	switch {
	case number >= maxPackets || !bytes.Equal(b, packet(seq, number, ssrc)):
		p.wrong.Add(1)
	case p.seen[number].Swap(true):
		p.again.Add(1)
	default:
		p.got.Add(1)
	}
}

// next makes the next packet.
func (p *testPhone) next() ([]byte, error) {
	b, err := p.keys.seal(packet(uint16(p.first+p.sent), p.sent, p.ssrc))
	p.sent++
	return b, err
}

func (p *testPhone) send() error {
	b, err := p.next()
	if err == nil {
		_, err = p.conn.WriteToUDPAddrPort(b, p.to)
	}
	return err
}

func (p *testPhone) sdp() string {
	at, profile, keys := p.conn.LocalAddr().(*net.UDPAddr).AddrPort(), "RTP/AVP", ""
	if own := p.keys.line(); own != "" {
		profile, keys = "RTP/SAVP", own+"\n"
	}
	return strings.ReplaceAll(fmt.Sprintf("v=0\no=- 1 1 IN IP4 %[1]v\ns=-\nc=IN IP4 %[1]v\nt=0 0\nm=audio %[2]d %[3]s 0\n%[4]sa=sendrecv\n",
		at.Addr(), at.Port(), profile, keys), "\n", "\r\n")
}

var mediaLine = regexp.MustCompile(`(?s)m=audio (\d+).*c=IN IP4 (\S+)`)

func told(t testing.TB, sdp string) netip.AddrPort {
	t.Helper()
	m := mediaLine.FindStringSubmatch(sdp)
	if m == nil {
		t.Fatalf("no address in\n%s", sdp)
	}
	return netip.MustParseAddrPort(m[2] + ":" + m[1])
}

// connect sets up n calls.
func (s *scene) connect(n int) []*testCall {
	s.Helper()
	calls := make([]*testCall, n)
	for i := range calls {
		calls[i] = s.newCall(i)
		s.agree(calls[i])
	}
	return calls
}

// newCall makes the phones of a call.
func (s *scene) newCall(i int) *testCall {
	s.Helper()
	return &testCall{
		id: "call-" + strconv.Itoa(i), caller: s.phone(s.left, "10.0.1.2", uint32(2*i+1)), callee: s.phone(s.right, "10.0.2.2", uint32(2*i+2)),
	}
}

// agree has the caller offer and the callee, who speaks RTP, answer.
func (s *scene) agree(c *testCall) {
	s.Helper()
	c.offer = s.do("command", "offer", "call-id", c.id, "from-tag", "caller", "sdp", c.caller.sdp(), "direction", []string{"left", "right"},
		"transport-protocol", "RTP/AVP").Text("sdp")
	c.reply = s.do("command", "answer", "call-id", c.id, "from-tag", "caller", "to-tag", "callee", "sdp", c.callee.sdp()).Text("sdp")
	c.callee.to, c.caller.to = told(s.T, c.offer), told(s.T, c.reply)
}

// traffic is packets in all calls, both ways, until it is stopped.
type traffic struct {
	stop chan struct{}
	once sync.Once
	done sync.WaitGroup
}

func (s *scene) talk(calls []*testCall) *traffic {
	// What the machine has to carry stays the same however many calls there are.
	gap := max(20*time.Millisecond, time.Duration(2*len(calls))*100*time.Microsecond)
	t := &traffic{stop: make(chan struct{})}
	s.Cleanup(t.end) // before the phones are closed, should the test fail
	t.done.Go(func() {
		tick := time.NewTicker(gap)
		defer tick.Stop()
		for {
			select {
			case <-t.stop:
				return
			case <-tick.C:
			}
			for _, c := range calls {
				for _, p := range []*testPhone{c.caller, c.callee} {
					if err := p.send(); err != nil {
						s.Errorf("send: %v", err)
					}
				}
			}
		}
	})
	return t
}

func (t *traffic) end() {
	t.once.Do(func() { close(t.stop) })
	t.done.Wait()
}

// inKernel waits until the kernel relays all calls.
func (s *scene) inKernel(calls []*testCall) {
	s.Helper()
	s.eventually("all calls are in the kernel", func() bool {
		return s.status().Flows.Kernel == 2*len(calls)
	})
}

// kept waits until the next daemon would find all calls.
func (s *scene) kept(calls []*testCall) {
	s.Helper()
	s.eventually("all calls are written down", func() bool {
		life := s.status().Life
		return life.Kept == len(calls) && life.Pending == 0
	})
}

// expectAll fails for each packet from a certain number on that has not arrived, in either direction.
func (s *scene) expectAll(calls []*testCall, from []uint32) {
	s.Helper()
	lost := 0
	for i, c := range calls {
		for _, way := range []struct{ sender, hearer *testPhone }{{c.caller, c.callee}, {c.callee, c.caller}} {
			for seq := from[i]; seq < way.sender.sent; seq++ {
				arrived := func() bool { return way.hearer.seen[seq].Load() }
				for deadline := time.Now().Add(time.Second); !arrived() && lost == 0 && time.Now().Before(deadline); {
					time.Sleep(time.Millisecond) // under way
				}
				if !arrived() {
					lost++
				}
			}
		}
	}
	if lost > 0 {
		s.Errorf("%d packets of established calls are lost", lost)
	}
}

// marks are the numbers of the next packets.
func marks(calls []*testCall) []uint32 {
	all := make([]uint32, len(calls))
	for i, c := range calls {
		all[i] = max(c.caller.sent, c.callee.sent)
	}
	return all
}

// expectBare fails for everything that daemons have left.
func (s *scene) expectBare() {
	s.Helper()
	for _, dir := range []string{s.bpffs, s.dir} {
		for _, e := range value(os.ReadDir(dir))(s.T) {
			if !strings.HasSuffix(e.Name(), ".debug") { // the kernel's own
				s.Errorf("the daemon leaves %s", filepath.Join(dir, e.Name()))
			}
		}
	}
}

func value[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		must(t, err)
		return v
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
