package media

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-media/weir/rtp"
	"github.com/weir-media/weir/srtp"
)

const (
	aliceSSRC = 0xa11ce
	bobSSRC   = 0xb0b
)

// reportRig is a call with ports for RTCP, and a clock that the test moves.
type reportRig struct {
	*rig
	clock                 atomic.Int64
	alice, aliceRTCP      *phone
	bob, bobRTCP          *phone
	a, aRTCP, b, bRTCP    *Leg
	aMux, made, bFeedback bool
	keys                  Keys // of bob's RTCP
	seq                   map[*phone]uint16
}

func newReportRig(t *testing.T, change func(r *reportRig, c *Config)) *reportRig {
	t.Helper()
	r := &reportRig{seq: make(map[*phone]uint16), bFeedback: true}
	r.clock.Store(int64(time.Hour))
	r.rig = newRig(t, func(c *Config) {
		c.Clock = func() time.Duration { return time.Duration(r.clock.Load()) }
		if change != nil {
			change(r, c)
		}
	})
	r.alice, r.aliceRTCP, r.bob, r.bobRTCP = newPhone(t, loopback4), newPhone(t, loopback4), newPhone(t, loopback4), newPhone(t, loopback4)
	r.a, r.aRTCP = r.pair(4, "call")
	r.b, r.bRTCP = r.pair(4, "call")
	r.apply()
	return r
}

func (r *reportRig) apply() {
	toA := r.aRTCP
	if r.aMux {
		toA = r.a
	}
	as := Settings{Epoch: 1, Sinks: []Sink{{RTP: r.b, RTCP: r.bRTCP, NoFeedback: !r.bFeedback}}}
	bs := Settings{Epoch: 1, Sinks: []Sink{{RTP: r.a, RTCP: toA}}}
	if r.made {
		as.ReportBy, bs.ReportBy = toA, r.bRTCP
	}
	for _, l := range []struct {
		leg  *Leg
		s    Settings
		peer *phone
		kind Kind
	}{{r.a, as, r.alice, RTP}, {r.aRTCP, as, r.aliceRTCP, RTCP}, {r.b, bs, r.bob, RTP}, {r.bRTCP, bs, r.bobRTCP, RTCP}} {
		l.s.Signalled, l.s.Kind = l.peer.addr(), l.kind
		if l.leg == r.bRTCP && r.keys != (Keys{}) {
			l.s.Secure, l.s.Keys = true, r.keys
		}
		l.leg.Apply(l.s)
	}
}

// pass moves the clock and has the workers see it.
func (r *reportRig) pass(d time.Duration) {
	r.clock.Add(int64(d))
	r.settle()
}

// talk sends n RTP packets from alice to bob and back, 20 ms apart, with every lost-th one missing if lost is not 0.
func (r *reportRig) talk(n, lost int) {
	r.Helper()
	for i := range n {
		for _, way := range []struct {
			from, to *phone
			in, out  *Leg
			ssrc     uint32
		}{{r.alice, r.bob, r.a, r.b, aliceSSRC}, {r.bob, r.alice, r.b, r.a, bobSSRC}} {
			if r.seq[way.from]++; lost != 0 && i%lost == lost-1 {
				continue
			}
			h := rtp.Header{Sequence: r.seq[way.from], Timestamp: 160 * uint32(r.seq[way.from]), SSRC: way.ssrc}
			packet := append(h.Append(nil), bytes.Repeat([]byte{0xff}, 160)...)
			way.from.send(way.in, packet)
			way.to.wants(way.out, packet)
		}
		r.clock.Add(int64(20 * time.Millisecond))
	}
	r.settle()
}

// report reads the next RTCP datagram of a phone, which must be a report and a name.
func (r *reportRig) report(p *phone) rtp.Report {
	r.Helper()
	return r.read(p.receive())
}

func (r *reportRig) read(datagram []byte) rtp.Report {
	r.Helper()
	var c rtp.Compound
	var packet rtp.Packet
	var report rtp.Report
	c.Reset(datagram)
	if !c.Next(&packet) || report.Parse(packet) != nil {
		r.Fatalf("no report: %x", datagram)
	}
	if !c.Next(&packet) || len(rtp.CanonicalName(packet)) != 12 || binary.BigEndian.Uint32(packet.Body) != report.SSRC {
		r.Errorf("no name of the reporting source: %x", datagram)
	}
	if c.Next(&packet) || c.Err() != nil {
		r.Errorf("more than a report and a name: %x", datagram)
	}
	return report
}

// stream returns what is known of an SSRC.
func (r *reportRig) stream(l *Leg, ssrc uint32) StreamStats {
	r.Helper()
	r.settle()
	for _, s := range l.Streams() {
		if s.SSRC == ssrc {
			return s
		}
	}
	r.Fatalf("%v: no stream %#x among %+v", l.Local(), ssrc, l.Streams())
	return StreamStats{}
}

func TestReportsAreMade(t *testing.T) {
	r := newReportRig(t, func(r *reportRig, _ *Config) { r.made = true })
	r.talk(40, 20)
	start := time.Now()
	r.pass(DefaultRTCPInterval + reportSpread)
	got := r.report(r.bobRTCP)
	at := time.Unix(int64(got.Info.NTP>>32)-2208988800, 0)
	if want := start.Add(time.Duration(r.clock.Load()) - time.Hour); at.Sub(want).Abs() > time.Minute {
		t.Errorf("NTP time %v, want %v", at, want)
	}
	if got.SSRC != aliceSSRC || !got.Sender || got.Info.Packets != 38 || got.Info.Bytes != 38*172 || got.Info.Timestamp != 39*160 {
		t.Errorf("to bob: %+v", got)
	}
	want := rtp.ReceptionReport{SSRC: bobSSRC, FractionLost: 256 / 39, Lost: 1, HighestSeq: 39}
	if len(got.Reports) != 1 {
		t.Fatalf("%d blocks", len(got.Reports))
	}
	// The last packet of the round is among the lost ones, which nobody can know.
	if got.Reports[0].Jitter = 0; got.Reports[0] != want {
		t.Errorf("got  %+v\nwant %+v", got.Reports[0], want)
	}
	if got = r.report(r.aliceRTCP); got.SSRC != bobSSRC || len(got.Reports) != 1 || got.Reports[0].SSRC != aliceSSRC {
		t.Errorf("to alice: %+v", got)
	}
	r.settle() // what is sent is counted after it was sent
	if out := r.bRTCP.Stats().Out; out.Packets != 1 {
		t.Errorf("sent %+v", out)
	}

	// With the next report come the answer to one of bob's, and a fraction of the packets since.
	sr := rtp.Report{SSRC: bobSSRC, Sender: true, Info: rtp.SenderInfo{NTP: 0x1234_5678_9abc_def0}}
	r.bobRTCP.send(r.bRTCP, sr.Append(nil))
	r.settle()
	r.pass(DefaultRTCPInterval + reportSpread)
	got = r.report(r.bobRTCP)
	if b := got.Reports[0]; b.FractionLost != 0 || b.Lost != 1 || b.LastSR != 0x5678_9abc || b.Delay != 6<<16 {
		t.Errorf("second block %+v", b)
	}

	// A stream that is silent is reported no more.
	r.report(r.aliceRTCP)
	r.pass(silentIntervals * (DefaultRTCPInterval + reportSpread))
	r.pass(DefaultRTCPInterval + reportSpread)
	r.settle()
	if n := r.bRTCP.Stats().Out.Packets; n != 2 {
		t.Errorf("%d reports, want 2", n)
	}
}

func TestWhoIsSentNothingGetsAReceiverReport(t *testing.T) {
	r := newReportRig(t, func(r *reportRig, _ *Config) { r.made, r.aMux = true, true })
	r.alice.rtp(r.a)
	r.bob.receive()
	r.settle()
	r.pass(DefaultRTCPInterval + reportSpread)
	got := r.report(r.alice) // alice muxes
	if got.Sender || got.SSRC == 0 || len(got.Reports) != 1 || got.Reports[0].SSRC != 0x01020304 {
		t.Errorf("got %+v", got)
	}
	r.pass(DefaultRTCPInterval + reportSpread)
	if again := r.report(r.alice); again.SSRC != got.SSRC {
		t.Errorf("SSRC %#x, before %#x", again.SSRC, got.SSRC)
	}
}

func TestNoReportOfAStreamThatSaidGoodbye(t *testing.T) {
	r := newReportRig(t, func(r *reportRig, _ *Config) { r.made = true })
	r.talk(3, 0)
	bye := binary.BigEndian.AppendUint32([]byte{0x81, rtp.TypeGoodbye, 0, 1}, aliceSSRC)
	r.aliceRTCP.send(r.aRTCP, bye)
	if got := r.bobRTCP.receive(); !bytes.HasSuffix(got, bye) {
		t.Errorf("bob has %x, want a BYE", got)
	}
	r.settle()
	r.pass(DefaultRTCPInterval + reportSpread)
	if got := r.report(r.bobRTCP); got.Sender || len(got.Reports) != 1 {
		t.Errorf("to bob: %+v", got)
	}
	if got := r.report(r.aliceRTCP); got.SSRC != bobSSRC || len(got.Reports) != 0 {
		t.Errorf("to alice: %+v", got)
	}
}

func TestReportsAreEncrypted(t *testing.T) {
	params := srtp.Params{Suite: srtp.AES128CM80, Key: bytes.Repeat([]byte{1}, 16), Salt: bytes.Repeat([]byte{2}, 14)}
	r := newReportRig(t, func(r *reportRig, _ *Config) { r.made, r.keys = true, Keys{In: &params, Out: &params} })
	r.talk(2, 0)
	r.pass(DefaultRTCPInterval + reportSpread)
	in, err := srtp.NewInbound(params)
	if err != nil {
		t.Fatal(err)
	}
	clear, err := in.UnprotectRTCP(r.bobRTCP.receive())
	if err != nil {
		t.Fatal(err)
	}
	if got := r.read(clear); got.SSRC != aliceSSRC || got.Info.Packets != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestWhatBecomesOfRTCP(t *testing.T) {
	sr := (&rtp.Report{SSRC: aliceSSRC, Sender: true}).Append(nil)
	name := rtp.AppendCanonicalName(nil, aliceSSRC, "alice")
	empty := (&rtp.Report{SSRC: aliceSSRC}).Append(nil)
	picture := append(binary.BigEndian.AppendUint32([]byte{0x81, rtp.TypePayloadFeedback, 0, 2}, aliceSSRC), 0, 0, 0xb, 0xb)
	app := append(binary.BigEndian.AppendUint32([]byte{0x80, rtp.TypeApplication, 0, 2}, aliceSSRC), "weir"...)
	join := func(all ...[]byte) []byte { return bytes.Join(all, nil) }
	for _, c := range []struct {
		name           string
		made, feedback bool
		in, want       []byte
		drop           Drop
	}{
		{"all is relayed", false, true, join(sr, name, picture), join(sr, name, picture), 0},
		{"feedback is kept from who has not asked for it", false, false, join(sr, name, picture), join(sr, name), 0},
		{"nothing but feedback", false, false, picture, nil, DropFeedback},
		{"reports end here when others are made", true, true, join(sr, name), nil, DropReported},
		{"feedback and what applications say do not", true, true, join(sr, name, picture, app), join(empty, picture, app), 0},
		{"neither, but for feedback", true, false, join(sr, name, picture, app), join(empty, app), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReportRig(t, func(r *reportRig, _ *Config) { r.made, r.bFeedback = c.made, c.feedback })
			r.aliceRTCP.send(r.aRTCP, c.in)
			if c.want != nil {
				r.bobRTCP.wants(r.bRTCP, c.want)
				return
			}
			r.until("a drop", func() bool { return r.aRTCP.Stats().Drops[c.drop] == 1 })
		})
	}
}

// exchange is what two ends report of each other over a line of 120 ms on bob's side and 130 ms on alice's.
func (r *reportRig) exchange(fraction uint8, jitter uint32) {
	r.Helper()
	for _, step := range []struct {
		after      time.Duration
		ssrc, of   uint32
		lsr        uint32
		ago        time.Duration // as the reporter has it: less than the time between the two reports here
		ntp        uint64
		from, to   *phone
		on, leaves *Leg
	}{
		{0, aliceSSRC, bobSSRC, 0, 0, 0x11, r.aliceRTCP, r.bobRTCP, r.aRTCP, r.bRTCP},
		{3 * time.Second, bobSSRC, aliceSSRC, 0x11, 2880 * time.Millisecond, 0x22, r.bobRTCP, r.aliceRTCP, r.bRTCP, r.aRTCP},
		{2 * time.Second, aliceSSRC, bobSSRC, 0x22, 1870 * time.Millisecond, 0x33, r.aliceRTCP, r.bobRTCP, r.aRTCP, r.bRTCP},
		{3 * time.Second, bobSSRC, aliceSSRC, 0x33, 2880 * time.Millisecond, 0x44, r.bobRTCP, r.aliceRTCP, r.bRTCP, r.aRTCP},
	} {
		r.pass(step.after)
		report := rtp.Report{SSRC: step.ssrc, Sender: true, Info: rtp.SenderInfo{NTP: step.ntp << 16}, Reports: []rtp.ReceptionReport{{
			SSRC: step.of, FractionLost: fraction, Jitter: jitter, LastSR: step.lsr, Delay: uint32(step.ago << 16 / time.Second),
		}}}
		datagram := report.Append(nil)
		step.from.send(step.on, datagram)
		step.to.wants(step.leaves, datagram)
	}
}

func TestReportsTellOfRoundTripsAndQuality(t *testing.T) {
	r := newReportRig(t, nil)
	r.talk(2, 0)
	r.exchange(10, 15*8)
	s := r.stream(r.a, aliceSSRC)
	if s.Quality == nil || s.Quality.Samples != 1 {
		t.Fatalf("quality %+v", s.Quality)
	}
	got := s.Quality.Average
	got.At = 0
	near := func(d, want time.Duration) bool { return (d - want).Abs() < time.Millisecond }
	if !near(got.RoundTrip, 250*time.Millisecond) || !near(got.RoundTripLeg, 130*time.Millisecond) {
		t.Errorf("round trip %v, of the leg %v", got.RoundTrip, got.RoundTripLeg)
	}
	if got.MOS != 36 || got.Jitter != 15*time.Millisecond || got.Loss != 3 {
		t.Errorf("got %+v", got)
	}
	sums := r.Totals().Quality
	if sums.MOS.Samples == 0 || sums.Loss.Samples == 0 || sums.RoundTrip.Samples == 0 || sums.RoundTripLeg.Sum == 0 || sums.Jitter.Sum == 0 {
		t.Errorf("sums %+v", sums)
	}
}

func TestTheScoreOfAReceiverIsTaken(t *testing.T) {
	for _, listening := range []bool{false, true} {
		r := newReportRig(t, func(_ *reportRig, c *Config) { c.MOS.Listening = listening })
		r.talk(2, 0)
		metrics := []byte{0x80, rtp.TypeExtendedReport, 0, 10, 0, 0, 0xb, 0xb, rtp.BlockVoIPMetrics, 0, 0, 8}
		metrics = binary.BigEndian.AppendUint32(metrics, aliceSSRC)
		metrics = append(metrics, 13, 13, 0, 0)
		metrics = append(metrics, make([]byte, 24)...)
		metrics[12+22], metrics[12+23] = 41, 38
		report := rtp.Report{SSRC: bobSSRC, Reports: []rtp.ReceptionReport{{SSRC: aliceSSRC, FractionLost: 26}}}
		r.bobRTCP.send(r.bRTCP, append(report.Append(nil), metrics...))
		r.bobRTCP.send(r.bRTCP, append((&rtp.Report{SSRC: bobSSRC}).Append(nil), metrics...))
		r.aliceRTCP.receive()
		r.aliceRTCP.receive()
		want := uint8(38)
		if listening {
			want = 41
		}
		q := r.stream(r.a, aliceSSRC).Quality
		if q == nil || q.Samples != 2 || q.Average.MOS != want || q.Average.Loss != 10 {
			t.Errorf("listening %v: %+v", listening, q)
		}
	}
}

func TestAnAnswerToAReferenceTimeTellsTheRoundTrip(t *testing.T) {
	r := newReportRig(t, nil)
	r.talk(1, 0)
	reference := append([]byte{0x80, rtp.TypeExtendedReport, 0, 4, 0, 0, 0xb, 0xb, rtp.BlockReferenceTime, 0, 0, 2},
		0, 1, 2, 3, 4, 5, 6, 7)
	r.bobRTCP.send(r.bRTCP, reference)
	r.aliceRTCP.wants(r.aRTCP, reference)
	r.pass(2 * time.Second)
	answer := []byte{0x80, rtp.TypeExtendedReport, 0, 5, 0, 0xa, 0x11, 0xce, rtp.BlockDelay, 0, 0, 3, 0, 0, 0xb, 0xb, 2, 3, 4, 5, 0, 1, 0xe0, 0}
	r.aliceRTCP.send(r.aRTCP, answer)
	r.bobRTCP.wants(r.bRTCP, answer)
	r.settle()
	if got := time.Duration(r.a.roundTrip.Load()); got != 125*time.Millisecond {
		t.Errorf("round trip %v, want 125ms", got)
	}
}

func TestOurOwnReportsAreAnswered(t *testing.T) {
	r := newReportRig(t, func(r *reportRig, _ *Config) { r.made = true })
	r.talk(1, 0)
	r.pass(DefaultRTCPInterval + reportSpread)
	sent := r.report(r.bobRTCP)
	r.pass(time.Second)
	answer := rtp.Report{SSRC: bobSSRC, Reports: []rtp.ReceptionReport{
		{SSRC: aliceSSRC, LastSR: uint32(sent.Info.NTP >> 16), Delay: 15 << 12},
	}}
	r.bobRTCP.send(r.bRTCP, answer.Append(nil))
	r.until("the round trip is known", func() bool { return r.b.roundTrip.Load() != 0 })
	if got := time.Duration(r.b.roundTrip.Load()); (got - 62500*time.Microsecond).Abs() > time.Millisecond {
		t.Errorf("round trip %v, want 62.5ms", got)
	}
}

func TestStreamsAreJudgedByWhatArrivesHere(t *testing.T) {
	r := newReportRig(t, func(_ *reportRig, c *Config) { c.Measure, c.MOS.Listening = true, true })
	r.talk(10, 0)
	if q := r.stream(r.a, aliceSSRC).Quality; q == nil || q.Samples != 1 || q.Average.MOS != 43 {
		t.Errorf("before the first interval: %+v", q)
	}
	r.talk(300, 10)
	r.pass(reportSpread)
	q := r.stream(r.a, aliceSSRC).Quality
	if q == nil || q.Samples != 1 || q.Average.Loss < 8 || q.Average.Loss > 10 || q.Average.MOS > 30 || q.Average.Jitter > 2*time.Millisecond {
		t.Fatalf("after it: %+v", q)
	}
	// A hearer knows better.
	report := rtp.Report{SSRC: bobSSRC, Reports: []rtp.ReceptionReport{{SSRC: aliceSSRC}}}
	r.bobRTCP.send(r.bRTCP, report.Append(nil))
	r.aliceRTCP.receive()
	r.talk(300, 10)
	r.pass(reportSpread)
	if q := r.stream(r.a, aliceSSRC).Quality; q.Samples != 2 || q.Highest.MOS != 43 {
		t.Errorf("with a report: %+v", q)
	}
	if sums := r.Totals().Quality; sums.JitterMeasured.Samples == 0 {
		t.Errorf("sums %+v", sums)
	}
}

func TestWhatTheKernelRelaysIsInReports(t *testing.T) {
	r := newOffloadRig(t, func(r *offloadRig) { r.as.ReportBy, r.bs.ReportBy = r.a, r.b })
	r.talk(confirmations)
	r.inKernel(r.a, r.b)
	for i := 1; i <= 7; i++ {
		r.kernel.count(r.a, 10_000, uint16(confirmations+i*10_000))
		r.poll()
	}
	s := r.a.Streams()
	const packets = confirmations + 70_000
	if len(s) != 1 || s[0].Packets != packets || s[0].Bytes != 172*packets || s[0].Sequence != packets%(1<<16) {
		t.Errorf("streams %+v", s)
	}
	one := r.a.streams.get(0x01020304)
	one.mu.Lock()
	now := one.totals()
	one.mu.Unlock()
	if now.highest != packets || !now.inKernel {
		t.Errorf("totals %+v", now)
	}
	if lag := now.timestampAt() - now.timestamp; time.Duration(lag)*time.Second/8000 > time.Minute || int32(lag) < 0 {
		t.Errorf("time stamp is moved by %d", lag)
	}
}

func TestReportingAllocatesNothing(t *testing.T) {
	r := newReportRig(t, func(r *reportRig, _ *Config) { r.made = true })
	r.talk(3, 0)
	report := rtp.Report{SSRC: bobSSRC, Sender: true, Reports: []rtp.ReceptionReport{{SSRC: aliceSSRC, LastSR: 7}}}
	datagram := report.Append(nil)
	w := r.b.worker
	p := r.b.plan.Load()
	made, read := make(chan float64, 1), make(chan float64, 1)
	w.do(func() {
		made <- testing.AllocsPerRun(100, func() { w.now++; w.report(r.a); w.report(r.b) })
		read <- testing.AllocsPerRun(100, func() { w.now++; w.read(r.b, p, datagram); w.consume(datagram) })
	})
	if n := <-made; n != 0 {
		t.Errorf("%v allocations per report made, want none", n)
	}
	if n := <-read; n != 0 {
		t.Errorf("%v allocations per report read, want none", n)
	}
}

func TestReportingEndsWithTheLegAndBeginsAgain(t *testing.T) {
	r := newReportRig(t, func(r *reportRig, _ *Config) { r.made = true })
	r.settle()
	due := func() (n int) {
		done := make(chan struct{})
		r.a.worker.do(func() { n = r.a.worker.wheel.n; close(done) })
		<-done
		return n
	}
	if n := due(); n != 2 {
		t.Fatalf("%d legs are due, want 2", n)
	}
	r.made = false
	r.apply()
	r.pass(DefaultRTCPInterval + reportSpread)
	if n := due(); n != 0 {
		t.Errorf("%d legs are due, want none", n)
	}
	r.made = true
	r.apply()
	r.apply()
	if n := due(); n != 2 {
		t.Errorf("%d legs are due, want 2", n)
	}
	r.a.Close()
	r.pass(DefaultRTCPInterval + reportSpread)
	if n := due(); n != 1 {
		t.Errorf("%d legs are due, want 1", n)
	}
}

func TestWheelBringsUpEveryLegInTime(t *testing.T) {
	var h wheel
	rnd := rand.New(rand.NewPCG(1, 2))
	now := 5 * time.Hour
	legs := make([]*Leg, 500)
	up := make(map[*Leg]int)
	for i := range legs {
		legs[i] = &Leg{due: now + time.Duration(rnd.Int64N(int64(20*time.Second)))}
		h.add(legs[i], now)
	}
	for range 2000 {
		now += time.Duration(rnd.Int64N(int64(300 * time.Millisecond)))
		h.turn(now, func(l *Leg) bool {
			if late := now - l.due; late < 0 || late > 2*wheelStep+300*time.Millisecond {
				t.Fatalf("a leg is %v late", late)
			}
			up[l]++
			l.due = now + time.Duration(rnd.Int64N(int64(20*time.Second)))
			return up[l] < 10
		})
		if h.n > 0 {
			if wait := h.wait(now); wait <= 0 || wait > wheelStep {
				t.Fatalf("to wait %v", wait)
			}
		}
	}
	for _, l := range legs {
		if up[l] != 10 {
			t.Fatalf("a leg came up %d times, want 10", up[l])
		}
	}
	if h.n != 0 || h.wait(now) >= 0 {
		t.Errorf("%d legs are left", h.n)
	}
	// Time may stand still and leap.
	h.add(legs[0], now)
	legs[0].due = now
	n := 0
	for range 3 {
		h.turn(now+time.Hour, func(l *Leg) bool { n++; l.due = now + 2*time.Hour; return true })
	}
	if n != 1 {
		t.Errorf("a leg came up %d times, want once", n)
	}
}

func TestFiguresSurviveManySources(t *testing.T) {
	r := newReportRig(t, nil)
	const sources = maxSSRCs + 10
	for i := range uint32(sources) {
		packet := rtpFrom(0, 1000+i)
		r.alice.send(r.a, packet)
		r.bob.wants(r.b, packet)
	}
	r.settle()
	if in := r.a.Stats().In; in.Packets != sources || in.Bytes != 16*sources {
		t.Errorf("received %+v of %d", in, sources)
	}
	if n := len(r.a.Streams()); n != maxSSRCs {
		t.Errorf("%d streams, want %d", n, maxSSRCs)
	}
}
