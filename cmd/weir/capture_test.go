package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/ngproto"
)

// captured is a packet out of a file.
type captured struct {
	at       string // name of the interface
	out      bool
	from, to netip.AddrPort
	payload  string
}

// readCapture reads a file with another implementation than wrote it, as far as the packets go.
func readCapture(t *testing.T, file string) (all []captured, interfaces map[string]pcapgo.NgInterface) {
	t.Helper()
	data := value(os.ReadFile(file))(t)
	r := value(pcapgo.NewNgReader(bytes.NewReader(data), pcapgo.NgReaderOptions{WantMixedLinkType: true}))(t)
	for {
		b, info, options, err := r.ReadPacketDataWithOptions()
		if err == io.EOF {
			break
		}
		must(t, err)
		p := captured{at: value(r.Interface(info.InterfaceIndex))(t).Name, out: options.Flags.Direction == pcapgo.NgEpbFlagDirectionOutbound}
		head := 20
		from, to := b[12:16], b[16:20]
		if b[0]>>4 == 6 {
			head, from, to = 40, b[8:24], b[24:40]
		}
		address := func(ip []byte, port int) netip.AddrPort {
			addr, _ := netip.AddrFromSlice(ip)
			return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(b[head+port:]))
		}
		p.from, p.to, p.payload = address(from, 0), address(to, 2), string(b[min(head+8, len(b)):])
		all = append(all, p)
	}
	interfaces = make(map[string]pcapgo.NgInterface)
	for i := range r.NInterfaces() {
		one := value(r.Interface(i))(t)
		interfaces[one.Name] = one
	}
	return all, interfaces
}

// capturing is "weir capture" while it runs.
type capturing struct {
	file     string
	out, err output
	stop     func()
	done     chan error
}

func capture(t *testing.T, socket, id string, args ...string) *capturing {
	t.Helper()
	c := &capturing{file: filepath.Join(t.TempDir(), "call.pcapng"), done: make(chan error, 1)}
	cmd := root("weir")
	cmd.SetArgs(append([]string{"capture", id, "--control-socket=" + socket, "-w", c.file}, args...))
	cmd.SetOut(&c.out)
	cmd.SetErr(&c.err)
	ctx, stop := context.WithCancel(t.Context())
	c.stop = stop
	go func() { c.done <- cmd.ExecuteContext(ctx) }()
	t.Cleanup(stop)
	return c
}

// report waits for the end and returns what was printed with --json.
func (c *capturing) report(t *testing.T) (r cli.Captured) {
	t.Helper()
	must(t, <-c.done)
	if err := json.Unmarshal([]byte(c.out.String()), &r); err != nil {
		t.Fatalf("%v in %q", err, c.out.String())
	}
	return r
}

// actions counts the flows in the kernel by what is done with their packets (enum flow_action).
func (s *scene) actions() map[uint32]int {
	s.Helper()
	m := value(ebpf.LoadPinnedMap(filepath.Join(s.status().Life.Pins, "flows"), nil))(s.T)
	defer m.Close()
	counts := make(map[uint32]int)
	var key, flow []byte
	for i := m.Iterate(); i.Next(&key, &flow); {
		counts[binary.NativeEndian.Uint32(flow)]++
	}
	return counts
}

// TestKernelFlowsAreCapturedInTheKernel captures a call that the kernel relays, in clear where a side of it is SRTP. Meanwhile
// userspace relays nothing, and afterwards all is as before.
func TestKernelFlowsAreCapturedInTheKernel(t *testing.T) {
	const relay, full, secure = 1, 2, 4
	for _, c := range []struct {
		engine           string
		secured          bool
		plain, whileOpen map[uint32]int // flows by action
	}{
		{"xdp", false, map[uint32]int{relay: 2}, map[uint32]int{full: 2}},
		{"tc", false, map[uint32]int{relay: 2}, map[uint32]int{full: 2}},
		{"xdp", true, map[uint32]int{secure: 2}, map[uint32]int{secure: 2}},
		{"tc", true, map[uint32]int{secure: 2}, map[uint32]int{secure: 2}},
	} {
		t.Run(fmt.Sprintf("%s, SRTP %v", c.engine, c.secured), func(t *testing.T) {
			s := newScene(t, "--fast-path="+c.engine)
			s.start()
			connect := s.connect
			if c.secured {
				if st := s.status().SRTP; !st.Kernel {
					t.Skip(st.Reason)
				}
				connect = s.connectSecured
			}
			calls := connect(1)
			traffic := s.talk(calls)
			s.inKernel(calls)
			same := func(want map[uint32]int) func() bool {
				return func() bool { return fmt.Sprint(s.actions()) == fmt.Sprint(want) }
			}
			s.eventually("the kernel relays plainly", same(c.plain))

			k := capture(t, s.socket(), calls[0].id, "--json")
			packets := func() int {
				data, _ := os.ReadFile(k.file)
				return bytes.Count(data, []byte("\x06\x00\x00\x00"))
			}
			s.eventually("packets come", func() bool { return packets() > 20 })
			s.inKernel(calls)
			s.eventually("the kernel copies", same(c.whileOpen))
			before, had := s.status().Packets, packets()
			s.eventually("more packets come", func() bool { return packets() > had+200 })
			if after := s.status().Packets; after.Userspace > before.Userspace {
				t.Errorf("userspace has relayed %d packets meanwhile", after.Userspace-before.Userspace)
			}
			k.stop()
			r := k.report(t)
			s.inKernel(calls)
			s.eventually("the kernel relays plainly again", same(c.plain))
			traffic.end()

			all, interfaces := readCapture(t, k.file)
			if r.Packets != uint64(len(all)) || r.DroppedQueue+r.DroppedKernel != 0 || r.Ended != "stopped" {
				t.Errorf("the report %+v is of a file with %d packets", r, len(all))
			}
			for name, description := range map[string]string{
				"caller audio 1": "party caller, media 1 (audio), call " + calls[0].id, "callee audio 1": "party callee, media 1 (audio), call " + calls[0].id,
			} {
				if got := interfaces[name].Description; got != description {
					t.Errorf("interface %q is described as %q", name, got)
				}
			}
			call := calls[0]
			ends := map[string]*testPhone{"caller audio 1": call.caller, "callee audio 1": call.callee}
			seen := make(map[string]int)
			for _, p := range all {
				phone := ends[p.at]
				other := call.callee
				if phone == other {
					other = call.caller
				}
				peer := phone.conn.LocalAddr().(*net.UDPAddr).AddrPort()
				from, to, speaker := peer, phone.to, phone
				if p.out {
					from, to, speaker = to, from, other
				}
				b := []byte(p.payload)
				if p.from != from || p.to != to || !bytes.Equal(b, packet(binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:])/160, speaker.ssrc)) {
					t.Fatalf("at %s, out %v, from %v to %v:\n%x", p.at, p.out, p.from, p.to, b)
				}
				if seen[fmt.Sprint(p.at, p.out, p.payload)]++; seen[fmt.Sprint(p.at, p.out, p.payload)] > 1 {
					t.Errorf("twice at %s, out %v: %x", p.at, p.out, b[:12])
				}
			}
			one := fmt.Sprint // keys of seen
			missing := 0
			for _, p := range all {
				counterpart := map[string]string{"caller audio 1": "callee audio 1", "callee audio 1": "caller audio 1"}[p.at]
				if seen[one(counterpart, !p.out, p.payload)] == 0 {
					missing++
				}
			}
			if missing > 4 { // at the ends of the capture
				t.Errorf("%d packets of %d were captured on one leg only", missing, len(all))
			}
			tshark(t, k.file, call, len(all))
		})
	}
}

// tshark expects another program to read the same out of a file.
func tshark(t *testing.T, file string, c *testCall, packets int) {
	t.Helper()
	var decode []string
	for _, p := range []*testPhone{c.caller, c.callee} {
		decode = append(decode, "-d", fmt.Sprintf("udp.port==%d,rtp", p.to.Port()))
	}
	fields := []string{"-T", "fields", "-e", "frame.interface_name", "-e", "frame.packet_flags_direction", "-e", "rtp.ssrc", "-e", "rtp.p_type"}
	text, err := exec.Command("tshark", append(append([]string{"-n", "-r", file}, decode...), fields...)...).Output()
	if err != nil {
		t.Fatalf("tshark (Debian package tshark): %v\n%s", err, text)
	}
	counts := make(map[string]int)
	for line := range strings.Lines(string(text)) {
		counts[strings.TrimSpace(line)]++
	}
	sum := 0
	for _, want := range []struct {
		at        string
		direction int
		ssrc      uint32
	}{
		{"caller", 1, c.caller.ssrc}, {"caller", 2, c.callee.ssrc}, {"callee", 1, c.callee.ssrc}, {"callee", 2, c.caller.ssrc},
	} {
		n := counts[fmt.Sprintf("%s audio 1\t0x%08x\t0x%08x\t0", want.at, want.direction, want.ssrc)]
		if sum += n; n < packets/5 {
			t.Errorf("tshark sees %d packets of direction %d at the %s", n, want.direction, want.at)
		}
	}
	if sum != packets {
		t.Errorf("tshark sees %v, want %d packets", counts, packets)
	}
}

// pairOfPhones are two parties of a call over IPv6 in userspace, and where each sends.
type pairOfPhones struct {
	conns [2]*net.UDPConn
	to    [2]netip.AddrPort
	heard [2]chan string
}

func (s *serving) callOver6(id string) *pairOfPhones {
	s.t.Helper()
	p := new(pairOfPhones)
	var sdps [2]string
	for i := range p.conns {
		p.conns[i] = value(net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback}))(s.t)
		s.t.Cleanup(func() { p.conns[i].Close() })
		p.heard[i] = make(chan string, 1000)
		go func() {
			b := make([]byte, 2048)
			for {
				n, err := p.conns[i].Read(b)
				if err != nil {
					return
				}
				p.heard[i] <- string(b[:n])
			}
		}()
		sdps[i] = fmt.Sprintf("v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\n", p.conns[i].LocalAddr().(*net.UDPAddr).Port)
	}
	text := func(command string, more ...string) string {
		request := ngproto.Dict{{Key: "command", Value: ngproto.String(command)}, {Key: "call-id", Value: ngproto.String(id)}}
		for i := 0; i < len(more); i += 2 {
			request = append(request, ngproto.Entry{Key: more[i], Value: ngproto.String(more[i+1])})
		}
		reply := s.do(request)
		if reply.Text("result") != "ok" {
			s.t.Fatalf("%s: %v", command, reply)
		}
		return reply.Text("sdp")
	}
	p.to[1] = told6(s.t, text("offer", "from-tag", "a", "sdp", sdps[0], "label", "left"))
	p.to[0] = told6(s.t, text("answer", "from-tag", "a", "to-tag", "b", "sdp", sdps[1]))
	return p
}

var mediaLine6 = regexp.MustCompile(`(?s)m=audio (\d+).*c=IN IP6 (\S+)`)

func told6(t *testing.T, sdp string) netip.AddrPort {
	t.Helper()
	m := mediaLine6.FindStringSubmatch(sdp)
	if m == nil {
		t.Fatalf("no address in\n%s", sdp)
	}
	return netip.MustParseAddrPort("[" + m[2] + "]:" + m[1])
}

// say has one party send a packet and waits until the other has it.
func (p *pairOfPhones) say(t *testing.T, i int, number uint32) {
	t.Helper()
	b := packet(uint16(number), number, uint32(i+1))
	value(p.conns[i].WriteToUDPAddrPort(b, p.to[i]))(t)
	if got := <-p.heard[1-i]; got != string(b) {
		t.Fatalf("heard %x", got)
	}
}

func TestCapturesOfACallInUserspace(t *testing.T) {
	s := serve(t, "--interface=::1")
	p := s.callOver6("one")
	whole := capture(t, s.socket, "one", "--json")
	few := capture(t, s.socket, "one", "--json", "--only=sent", "--packets=3", "--snaplen=60")
	s.until("both captures have begun", func() bool { return strings.Count(s.log.String(), "a call is captured") == 2 })
	for n := range uint32(5) {
		p.say(t, 0, n)
		p.say(t, 1, n)
	}
	if r := few.report(t); r.Packets != 3 || r.Ended != "as many packets as wanted" {
		t.Errorf("a capture of 3 packets: %+v", r)
	}
	all, _ := readCapture(t, few.file)
	for _, c := range all {
		if !c.out || len(c.payload) != 60-48 {
			t.Errorf("sent alone, 60 bytes of each packet: %+v", c)
		}
	}
	if len(all) != 3 {
		t.Errorf("%d packets of 3", len(all))
	}
	if text, err := s.run("terminate", "one"); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	if r := whole.report(t); r.Packets != 20 || r.Ended != "the call has ended" || r.DroppedQueue != 0 {
		t.Errorf("a capture to the end of the call: %+v", r)
	}
	all, interfaces := readCapture(t, whole.file)
	if d := interfaces["a audio 1"].Description; d != "party a, label left, media 1 (audio), call one" {
		t.Errorf("the interface of a is described as %q", d)
	}
	counts := make(map[string]int)
	for _, c := range all {
		counts[fmt.Sprint(c.at, c.out, c.from, c.to)]++
	}
	for i, at := range []string{"a audio 1", "b audio 1"} {
		peer := p.conns[i].LocalAddr().(*net.UDPAddr).AddrPort()
		if counts[fmt.Sprint(at, false, peer, p.to[i])] != 5 || counts[fmt.Sprint(at, true, p.to[i], peer)] != 5 {
			t.Errorf("captured %v", counts)
		}
	}
	if info := value(os.Stat(whole.file))(t); info.Mode().Perm() != 0o600 {
		t.Errorf("the file may be read by others: %v", info.Mode())
	}
}

func TestCaptureOfAnUnknownCallLeavesFilesAlone(t *testing.T) {
	s := serve(t)
	s.offer("one")
	c := capture(t, s.socket, "two")
	if err := <-c.done; err == nil || !strings.Contains(err.Error(), "unknown call-id") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(c.file); !os.IsNotExist(err) {
		t.Errorf("there is a file: %v", err)
	}
	for _, args := range [][]string{{"--duration=-1s"}, {"--only=nothing"}, {"--snaplen=-3"}} {
		c := capture(t, s.socket, "one", args...)
		if err := <-c.done; err == nil || !strings.Contains(err.Error(), strings.Split(args[0], "=")[0][2:]) {
			t.Errorf("%v: %v", args, err)
		}
	}
	piped, err := s.run("capture", "one", "-w", "-", "--duration=1ms")
	if err != nil || !strings.Contains(piped, "0 packets in ") || !strings.HasPrefix(piped, "\x0a\x0d\x0d\x0a") {
		t.Errorf("to the standard output: %v, %q", err, piped)
	}
}
