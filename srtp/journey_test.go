package srtp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// A journey is what a network does to packets between two contexts.
type journey struct {
	name                             string
	lost, late, twice, forged, stale int // in 1000 packets
	most                             int // packets by which one comes late
}

// inFlight is a protected packet on its way, and what it must become.
type inFlight struct {
	protected, plain []byte
	due              int
	forged, repeated bool
}

// Every suite takes several streams over more than two rollovers each, through loss, reordering, duplicates, replays and
// forgeries: all that arrives once and in time is what was sent, and nothing else gets through.
func TestJourneys(t *testing.T) {
	for _, suite := range Suites() {
		for _, j := range []journey{
			{name: "calm"},
			{name: "loss", lost: 300},
			{name: "reordering", late: 200, most: DefaultWindow - 1},
			{name: "duplicates", twice: 200, late: 50, most: 20},
			{name: "replays", stale: 50},
			{name: "forgeries", forged: 200},
			{name: "all of it", lost: 100, late: 100, twice: 100, forged: 100, stale: 20, most: 60},
		} {
			t.Run(suite.String()+"/"+j.name, func(t *testing.T) { travel(t, suite, j) })
		}
	}
}

func travel(t *testing.T, suite Suite, j journey) {
	const (
		streams = 3
		sent    = 1200 // packets of each stream
		step    = 131  // sequence numbers from one to the next, so that 1200 are more than two rounds
	)
	p := fixed(suite)
	p.Window = step * DefaultWindow
	out, in := pair(t, p)
	rng := rand.New(rand.NewPCG(uint64(suite), uint64(len(j.name))))
	chance := func(of int) bool { return rng.IntN(1000) < of }

	var road []inFlight
	var arrived [][]byte // for replays
	accepted, refusals := 0, 0
	receive := func(f inFlight) {
		before := slices.Clone(f.protected)
		got, err := in.UnprotectRTP(f.protected)
		switch {
		case f.forged || f.repeated:
			want := ErrReplay
			if f.forged {
				want = ErrAuth
			}
			if !errors.Is(err, want) {
				t.Fatalf("forged %t, repeated %t: error %v, want %v", f.forged, f.repeated, err, want)
			}
			if !bytes.Equal(f.protected, before) {
				t.Fatal("a refused packet was written to")
			}
			refusals++
		case err != nil:
			t.Fatalf("packet %x: %v", f.plain[:12], err)
		case !bytes.Equal(got, f.plain):
			t.Fatalf("got  %x\nwant %x", got, f.plain)
		default:
			accepted++
			arrived = append(arrived, before)
		}
	}

	kept := 0
	for i := range sent * streams {
		ssrc := uint32(1 + i%streams)
		start := 65000 * int(ssrc) // each stream wraps at another time
		plain := packet(ssrc, uint16(start+i/streams*step))
		if i%5 == 0 {
			plain = extended(ssrc, binary.BigEndian.Uint16(plain[2:]))
		}
		f := inFlight{plain: slices.Clone(plain), due: i}
		f.protected = must(t)(out.ProtectRTP(plain))
		first := i < streams
		switch {
		case !first && chance(j.lost):
			continue
		case !first && chance(j.late):
			f.due += streams * (1 + rng.IntN(j.most))
		}
		kept++
		if chance(j.forged) {
			// Ahead of the true one, which would make it a replay.
			forged := f
			forged.protected, forged.forged = slices.Clone(f.protected), true
			forged.protected[28+rng.IntN(len(f.protected)-28)] ^= 1 << rng.IntN(8)
			road = append(road, forged)
		}
		road = append(road, f)
		if chance(j.twice) {
			again := f
			again.protected, again.repeated, again.due = slices.Clone(f.protected), true, f.due+rng.IntN(10)
			road = append(road, again)
		}
		if len(arrived) > 0 && chance(j.stale) {
			old := arrived[max(0, len(arrived)-1-rng.IntN(100))]
			road = append(road, inFlight{protected: slices.Clone(old), repeated: true, due: i})
		}
		slices.SortStableFunc(road, func(a, b inFlight) int { return a.due - b.due })
		for len(road) > 0 && road[0].due <= i {
			receive(road[0])
			road = road[1:]
		}
		if i%50 == 0 {
			if got := must(t)(in.UnprotectRTCP(must(t)(out.ProtectRTCP(report(ssrc))))); !bytes.Equal(got, report(ssrc)) {
				t.Fatalf("report became %x", got)
			}
		}
	}
	for _, f := range road {
		receive(f)
	}

	if accepted != kept || accepted == 0 {
		t.Errorf("%d packets accepted, want %d", accepted, kept)
	}
	if expected := j.twice + j.forged + j.stale; (refusals > 0) != (expected > 0) {
		t.Errorf("%d packets refused", refusals)
	}
	for _, s := range in.Export() {
		if s.ROC < 2 {
			t.Errorf("stream %d has rolled over %d times only", s.SSRC, s.ROC)
		}
	}
}
