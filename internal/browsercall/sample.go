package main

import (
	"fmt"
	"math"
	"time"

	"github.com/weir-media/weir/internal/peers"
)

// sample is the call at one moment.
type sample struct {
	Scene        string      `json:"scene"`
	Seconds      float64     `json:"seconds"` // since the browser called
	Browser      peers.Stats `json:"browser"`
	BrowserHears peers.Sound `json:"browser_hears"`
	PhoneHears   peers.Sound `json:"phone_hears"`
}

func (s *show) sample(scene string) (now sample, err error) {
	now = sample{Scene: scene, Seconds: time.Since(s.begun).Seconds()}
	if now.Browser, err = s.page.Stats(); err != nil {
		return now, err
	}
	if now.BrowserHears, err = s.page.Hear(); err != nil {
		return now, err
	}
	now.PhoneHears, err = s.phone.Hear()
	return now, err
}

const (
	heading = "time   scene        ICE        DTLS       path                                      sent  received  lost  browser hears    phone hears"
	columns = "%4.0f s %-12s %-10s %-10s %-41s %5d %9d %5d  %-15s  %s"
)

// row is a line of the table; before is the sample of the line above.
func (n sample) row(before sample) string {
	b := n.Browser
	return fmt.Sprintf(columns, n.Seconds, n.Scene, b.ICE, b.DTLS, b.Local+" - "+b.Remote, b.PacketsSent, b.PacketsReceived,
		b.PacketsLost, heard(n.BrowserHears, before.BrowserHears), heard(n.PhoneHears, before.PhoneHears))
}

// heard is what somebody hears, unless there is nothing that came since the line above.
func heard(now, before peers.Sound) string {
	if now.Pitch == 0 || now.Heard == before.Heard {
		return "-"
	}
	return fmt.Sprintf("%4.0f Hz %4.0f dB", now.Pitch, 20*math.Log10(now.Level))
}

func (s *show) bothHear(_, after sample) string {
	switch {
	case !after.BrowserHears.Is(peers.HighTone):
		return fmt.Sprintf("the browser hears %v", after.BrowserHears)
	case !after.PhoneHears.Is(peers.LowTone):
		return fmt.Sprintf("the phone hears %v", after.PhoneHears)
	}
	return ""
}

func (s *show) restarted(before, after sample) string {
	switch {
	case before.Browser.Ufrag == after.Browser.Ufrag:
		return "the browser has the same credentials as before"
	case after.Browser.PacketsLost > before.Browser.PacketsLost:
		return fmt.Sprintf("%d packets were lost", after.Browser.PacketsLost-before.Browser.PacketsLost)
	}
	return s.bothHear(before, after)
}

func (s *show) held(_, after sample) string {
	// What was under way comes within the first second.
	all := s.result.Samples
	if first := all[len(all)-2].Browser; after.Browser.PacketsReceived > first.PacketsReceived {
		return fmt.Sprintf("%d packets came", after.Browser.PacketsReceived-first.PacketsReceived)
	}
	return ""
}

// resumed does not ask the phone: baresip records nothing after a hold.
func (s *show) resumed(_, after sample) string {
	if !after.BrowserHears.Is(peers.HighTone) {
		return fmt.Sprintf("the browser hears %v", after.BrowserHears)
	}
	return ""
}
