// Command browsercall shows a call between a browser and a softphone live: Chromium with WebRTC, baresip with plain RTP, and
// Kamailio and Weir between them. scripts/demo --webrtc runs it.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/weir-media/weir/internal/peers"
)

func main() {
	weir := flag.String("weir", "bin/weir", "path of the daemon")
	seconds := flag.Int("seconds", 6, "how long the two talk before anything else happens; what follows takes as long again")
	asJSON := flag.Bool("json", false, "print one JSON object instead of a table")
	verbose := flag.Bool("verbose", false, "print the logs of Weir and Kamailio at the end")
	flag.Parse()
	if *seconds < 2 || *seconds > 600 {
		fmt.Fprintln(os.Stderr, "browsercall: --seconds is not from 2 to 600")
		os.Exit(2)
	}
	s := &show{talk: time.Duration(*seconds) * time.Second, out: os.Stdout, verbose: *verbose, result: result{Problems: []string{}}}
	if *asJSON {
		s.out = io.Discard
	}
	if err := s.run(*weir); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	if *asJSON {
		if err := json.NewEncoder(os.Stdout).Encode(s.result); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
	}
	if !s.result.OK {
		os.Exit(1)
	}
}

// show is one call and those who take part in it.
type show struct {
	talk    time.Duration
	out     io.Writer
	verbose bool
	result  result

	stage  *peers.Stage
	phone  *peers.Baresip
	page   *peers.Page
	client *peers.Client
	begun  time.Time
	last   sample
	open   []io.Closer
}

// result is what the demo comes to.
type result struct {
	OK       bool     `json:"ok"`
	Verdict  string   `json:"verdict"`
	Problems []string `json:"problems"`
	Samples  []sample `json:"samples"`
}

// run sets the stage, has the call take place and leaves its result. The error is one of the stage, not of the call.
func (s *show) run(weir string) (err error) {
	defer func() {
		if s.stage != nil && (err != nil || s.verbose) {
			fmt.Fprint(os.Stderr, s.stage.Logs())
		}
		err = errors.Join(err, s.closeAll())
	}()
	s.say("network: browser %s - %s proxy %s - %s phone, forwarding off", peers.WestAddr, peers.ProxyWest, peers.ProxyEast, peers.EastAddr)
	if s.stage, err = peers.NewStage(weir, peers.IPv4); err != nil {
		return err
	}
	s.open = append(s.open, s.stage)
	if s.phone, err = peers.NewBaresip(s.stage.East, peers.Plain, peers.HighTone, "opus/48000/2", "PCMU/8000/1"); err != nil {
		return err
	}
	s.open = append(s.open, s.phone)
	s.say("phone: baresip, Opus over RTP, plays %d Hz", peers.HighTone)
	browser, err := peers.NewChromium(s.stage.West, peers.LowTone)
	if err != nil {
		return err
	}
	s.open = append(s.open, browser)
	if s.page, err = browser.NewPage(peers.PageOptions{}); err != nil {
		return err
	}
	s.say("browser: Chromium, Opus over ICE and DTLS-SRTP, its microphone hears %d Hz", peers.LowTone)
	if s.client, err = peers.NewClient(s.stage.West, peers.Browser, s.page); err != nil {
		return err
	}
	s.open = append(s.open, s.client)
	return s.perform()
}

// closeAll closes everything, what came last first.
func (s *show) closeAll() error {
	var errs []error
	for _, c := range slices.Backward(s.open) {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func (s *show) say(format string, args ...any) {
	fmt.Fprintf(s.out, "== "+format+"\n", args...)
}

// perform is the call.
func (s *show) perform() error {
	s.say("the browser calls %s", s.phone.URI())
	s.begun = time.Now()
	if err := s.client.Call(s.phone.URI()); err != nil {
		return err
	}
	fmt.Fprintln(s.out, heading)
	for _, scene := range []struct {
		name  string
		do    func() error
		lasts time.Duration
		check func(before, after sample) string
	}{
		{"talk", s.phone.AwaitCall, s.talk, s.bothHear},
		{"ICE restart", func() error { return s.client.Renew(true) }, s.talk / 3, s.restarted},
		{"hold", func() error { return s.direct("inactive") }, s.talk / 3, s.held},
		{"resume", func() error { return s.direct("sendrecv") }, s.talk / 3, s.resumed},
	} {
		before := s.last
		if err := scene.do(); err != nil {
			return fmt.Errorf("%s: %w", scene.name, err)
		}
		if err := s.watch(scene.name, max(scene.lasts, 2*time.Second)); err != nil {
			return err
		}
		if problem := scene.check(before, s.last); problem != "" {
			s.result.Problems = append(s.result.Problems, scene.name+": "+problem)
		}
	}
	if err := s.legs(); err != nil {
		return err
	}
	if err := errors.Join(s.client.HangUp(), s.phone.AwaitEnd(), s.stage.AwaitNoCalls()); err != nil {
		s.result.Problems = append(s.result.Problems, "hang up: "+err.Error())
	}
	s.conclude()
	return nil
}

func (s *show) direct(direction string) error {
	if err := s.page.Direct(direction); err != nil {
		return err
	}
	return s.client.Renew(false)
}

// watch takes a sample every second.
func (s *show) watch(scene string, lasts time.Duration) error {
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		time.Sleep(time.Second)
		now, err := s.sample(scene)
		if err != nil {
			return err
		}
		fmt.Fprintln(s.out, now.row(s.last))
		s.result.Samples = append(s.result.Samples, now)
		s.last = now
	}
	return nil
}

// legs prints how Weir sees the call.
func (s *show) legs() error {
	calls, err := s.stage.Calls()
	if err != nil {
		return err
	}
	for _, call := range calls {
		for _, leg := range call.Legs {
			if leg.Component == "RTP" {
				s.say("Weir: %s to %s, %s, %d packets from there, %d to there, %s plane",
					leg.Local, leg.Destination, leg.Codec, leg.Packets, leg.PacketsOut, leg.Plane)
			}
		}
	}
	return nil
}

func (s *show) conclude() {
	s.result.OK = len(s.result.Problems) == 0
	b := s.last.Browser
	s.result.Verdict = fmt.Sprintf("Browser and phone heard each other through Weir: %s, %s on one side and RTP on the other, %d packets sent, %d received, "+
		"%d lost; ICE was restarted, and the call held, resumed and ended.", b.Codec, b.Cipher, b.PacketsSent, b.PacketsReceived, b.PacketsLost)
	if !s.result.OK {
		s.result.Verdict = "The call was not as it should be."
		fmt.Fprintln(s.out, strings.Join(s.result.Problems, "\n"))
	}
	fmt.Fprintf(s.out, "\n%s\n", s.result.Verdict)
}
