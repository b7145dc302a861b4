package main

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func measured(subject string, calls int, runs ...float64) result {
	r := result{Subject: subject, Title: subject, Calls: calls, Runs: runs}
	r.summarise()
	return r
}

func TestSummaryOfRuns(t *testing.T) {
	for _, test := range []struct {
		name             string
		runs             []float64
		min, median, max float64
	}{
		{"one run", []float64{7}, 7, 7, 7},
		{"an odd number", []float64{3, 1, 9}, 1, 3, 9},
		{"an even number", []float64{4, 1, 9, 2}, 1, 3, 9},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := measured("any", 1, test.runs...)
			if r.Min != test.min || r.Median != test.median || r.Max != test.max {
				t.Errorf("got %v/%v/%v", r.Min, r.Median, r.Max)
			}
		})
	}
}

func TestRatiosCompareWithinTheSameNumberOfCalls(t *testing.T) {
	broken := result{Subject: "weir-tc", Title: "weir, tc", Calls: 100}
	broken.fail(errors.New("no device"))
	broken.fail(errors.New("a later reason"))
	rep := report{
		Relay: []result{
			measured(floorName, 100, 100), measured("weir-xdp", 100, 200), broken, measured(peerName, 100, 3000),
			measured("weir-xdp", 1000, 300),
		},
		Secure:     []result{measured(floorName, 100, 100), measured("weir-xdp", 100, 1500), measured(peerName, 100, 4500)},
		Signalling: []result{measured("weir-xdp", 50, 9000), measured(peerName, 50, 3000)},
	}
	rep.Secure[1].Path, rep.Secure[2].Path = "RTP to SRTP", "RTP to SRTP"
	rep.compare()
	if xdp := rep.Secure[1]; xdp.ToFloor != 15 || xdp.ToPeer != 3 {
		t.Errorf("SRTP: %v times the floor, %v times as fast as the peer", xdp.ToFloor, xdp.ToPeer)
	}
	if xdp := rep.Relay[1]; xdp.ToFloor != 2 || xdp.ToPeer != 15 {
		t.Errorf("100 calls: %v times the floor, %v times as fast as the peer", xdp.ToFloor, xdp.ToPeer)
	}
	if xdp := rep.Relay[4]; xdp.ToFloor != 0 || xdp.ToPeer != 0 {
		t.Errorf("1,000 calls have nothing to be compared with, got %v and %v", xdp.ToFloor, xdp.ToPeer)
	}
	if rep.Signalling[0].ToPeer != 3 {
		t.Errorf("signalling: %v times the peer", rep.Signalling[0].ToPeer)
	}
	if rep.problems() != 1 {
		t.Errorf("%d problems", rep.problems())
	}

	var out strings.Builder
	rep.print(&out)
	for _, want := range []string{"weir, tc, 100 calls: not measured: no device", "15.00"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	if _, err := json.Marshal(rep); err != nil {
		t.Error(err)
	}
}

func TestPlanOfTheCommandLine(t *testing.T) {
	for _, test := range []struct{ name, args, err string }{
		{"defaults", "", ""},
		{"everything set", "--json --calls 1,9000 --runs 3 --only floor,rtpengine --parts relay,dtls", ""},
		{"too many calls", "--calls 9001", `--calls: "9001" is not a number from 1 to 9000`},
		{"calls that are no number", "--calls 100,many", `"many" is not a number`},
		{"calls only", "--parts signalling,memory --idle 100 --cycles 0", ""},
		{"a negative number of calls", "--idle -1", "cannot be negative"},
		{"an unknown part", "--parts relay,lunch", `no part "lunch"`},
		{"no runs", "--runs 0", "--runs: 0 is not a positive number"},
		{"an unknown subject", "--only floor,roof", `no subject "roof"`},
		{"a stray argument", "quick", `unexpected argument "quick"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := parsePlan(strings.Fields(test.args), io.Discard)
			if test.err == "" && err == nil && len(p.calls) == 2 {
				return
			}
			if test.err == "" || err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
}

func TestPlaneIsToldByTheCPUTimeOfTheProxy(t *testing.T) {
	for _, test := range []struct {
		name, plane string
		share       float64
		ok          bool
	}{
		{"an idle proxy beside the kernel", kernel, 0.02, true},
		{"a busy proxy that should be idle", kernel, 0.5, false},
		{"a busy proxy that relays itself", userspace, 0.9, true},
		{"an idle proxy that should relay", userspace, 0.02, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := line{subject: subject{plane: test.plane}}
			s := sample{window: time.Second, proxyTime: time.Duration(test.share * float64(time.Second))}
			if err := l.checkPlane(s); (err == nil) != test.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}
