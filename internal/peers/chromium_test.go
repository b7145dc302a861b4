package peers

import (
	"fmt"
	"net/netip"
	"testing"
)

func chromium(t *testing.T, side Side, tone float64) *Chromium {
	t.Helper()
	c, err := NewChromium(side, tone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("--- chromium\n%s", c.tail(40))
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// browser opens a page that can call and be called.
func browser(t *testing.T, side Side, c *Chromium, kind Kind, options PageOptions) (*Client, *Page) {
	t.Helper()
	page, err := c.NewPage(options)
	if err != nil {
		t.Fatal(err)
	}
	client, err := NewClient(side, kind, page)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			stats, err := page.Stats()
			t.Logf("--- browser\n%+v %v", stats, err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client, page
}

// settled waits until the browser says that it has a path to Weir and keys for it, and checks which.
func settled(t *testing.T, p *Page) Stats {
	t.Helper()
	var s Stats
	must(t, await(patience, "the browser is connected", func() (err error) {
		s, err = p.Stats()
		if err == nil && (s.Connection != "connected" || s.DTLS != "connected" || s.Remote == "") {
			err = fmt.Errorf("it says %+v", s)
		}
		return err
	}))
	addr, err := netip.ParseAddrPort(s.Remote)
	if at := addr.Addr().String(); err != nil || at != ProxyWest && at != ProxyWest6 || s.Cipher == "" {
		t.Errorf("the browser is not connected to Weir: %+v, %v", s, err)
	}
	return s
}

func TestBrowser(t *testing.T) {
	s := stage(t, IPv4, "chromium", "baresip")
	c := chromium(t, s.West, LowTone)

	for _, test := range []struct {
		name          string
		callee        Kind
		codecs        []string
		wants, cipher string
	}{
		{"calls RTP with Opus", Plain, []string{opus, pcmu}, "audio/opus", ""},
		{"calls RTP with PCMU", Plain, []string{pcmu}, "audio/PCMU", ""},
		{"calls SDES", SDES, []string{pcmu}, "audio/PCMU", ""},
		{"calls DTLS-SRTP without ICE", DTLS, []string{opus}, "audio/opus", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			phone := baresip(t, s.East, test.callee, HighTone, test.codecs...)
			client, page := browser(t, s.West, c, Browser, PageOptions{})
			must(t, client.Call(phone.URI()))
			must(t, phone.AwaitCall())
			settled(t, page)
			talk(t, client, phone)
			if stats, err := page.Stats(); err != nil || stats.Codec != test.wants {
				t.Errorf("the browser hears %q, want %q; %v", stats.Codec, test.wants, err)
			}
			must(t, client.HangUp())
			must(t, phone.AwaitEnd())
			must(t, s.AwaitNoCalls())
		})
	}

	t.Run("calls RTP and insists on a bundle", func(t *testing.T) {
		phone := baresip(t, s.East, Plain, HighTone, opus)
		client, page := browser(t, s.West, c, Browser, PageOptions{Policy: "max-bundle"})
		must(t, client.Call(phone.URI()))
		settled(t, page)
		talk(t, client, phone)
		must(t, client.HangUp())
		must(t, s.AwaitNoCalls())
	})

	t.Run("calls RTP with flags of old configurations", func(t *testing.T) {
		phone := baresip(t, s.East, Plain, HighTone, opus)
		client, page := browser(t, s.West, c, Classic, PageOptions{})
		must(t, client.Call(phone.URI()))
		settled(t, page)
		talk(t, client, phone)
		must(t, phone.HangUp())
		must(t, client.AwaitEnd())
		must(t, s.AwaitNoCalls())
	})

	t.Run("answers RTP with flags of old configurations", func(t *testing.T) {
		phone := baresip(t, s.East, Plain, HighTone, pcmu)
		client, page := browser(t, s.West, c, Classic, PageOptions{})
		must(t, phone.Call(client.URI()))
		settled(t, page)
		talk(t, client, phone)
		must(t, client.HangUp())
		must(t, s.AwaitNoCalls())
	})

	t.Run("restarts ICE", func(t *testing.T) {
		phone := baresip(t, s.East, Plain, HighTone, opus)
		client, page := browser(t, s.West, c, Browser, PageOptions{})
		must(t, client.Call(phone.URI()))
		before := settled(t, page)
		talk(t, client, phone)
		must(t, client.Renew(true))
		after := settled(t, page)
		if after.Ufrag == before.Ufrag {
			t.Errorf("the user name fragment is still %s", after.Ufrag)
		}
		talk(t, client, phone)
		// What was under way while the path changed came as well.
		if after, err := page.Stats(); err != nil || after.PacketsLost > 0 {
			t.Errorf("%d packets lost, %v", after.PacketsLost, err)
		}
		must(t, client.HangUp())
		must(t, s.AwaitNoCalls())
	})

	t.Run("is held and resumed", func(t *testing.T) {
		phone := baresip(t, s.East, Plain, HighTone, opus)
		client, page := browser(t, s.West, c, Browser, PageOptions{})
		must(t, client.Call(phone.URI()))
		settled(t, page)
		talk(t, client, phone)
		must(t, phone.Hold(true))
		halt(t, s)
		must(t, phone.Hold(false))
		run(t, s)
		hears(t, client, phone)
		must(t, phone.HangUp())
		must(t, client.AwaitEnd())
		must(t, s.AwaitNoCalls())
	})

	t.Run("holds and resumes", func(t *testing.T) {
		phone := baresip(t, s.East, Plain, HighTone, opus)
		client, page := browser(t, s.West, c, Browser, PageOptions{})
		must(t, client.Call(phone.URI()))
		settled(t, page)
		talk(t, client, phone)
		must(t, page.Direct("inactive"))
		must(t, client.Renew(false))
		halt(t, s)
		must(t, page.Direct("sendrecv"))
		must(t, client.Renew(false))
		run(t, s)
		hears(t, client, phone)
		must(t, client.HangUp())
		must(t, phone.AwaitEnd())
		must(t, s.AwaitNoCalls())
	})

	t.Run("answers RTP", func(t *testing.T) {
		client, page := browser(t, s.West, c, Browser, PageOptions{})
		phone := baresip(t, s.East, Plain, HighTone, opus, pcmu)
		must(t, phone.Call(client.URI()))
		must(t, client.AwaitCall())
		settled(t, page)
		talk(t, client, phone)
		must(t, phone.HangUp())
		must(t, client.AwaitEnd())
		must(t, s.AwaitNoCalls())
		must(t, await(patience, "the browser hears from Weir that the call is over", func() error {
			stats, err := page.Stats()
			if err == nil && stats.DTLS != "closed" {
				err = fmt.Errorf("it says %+v", stats)
			}
			return err
		}))
	})
}

func TestBrowserWithBothFamilies(t *testing.T) {
	s := stage(t, Dual, "chromium", "baresip")
	phone := baresip(t, s.East, Plain, HighTone, opus)
	client, page := browser(t, s.West, chromium(t, s.West, LowTone), Browser, PageOptions{})
	must(t, client.Call(phone.URI()))
	before := settled(t, page)
	talk(t, client, phone)

	// The way that is used goes away: the browser takes the other, without a word by signalling, and Weir follows.
	addr, err := netip.ParseAddrPort(before.Remote)
	must(t, err)
	must(t, s.Forbid(addr.Addr()))
	must(t, await(2*patience, "the browser goes the other way", func() error {
		after, err := page.Stats()
		if err == nil && (after.Connection != "connected" || after.Remote == before.Remote) {
			err = fmt.Errorf("it says %+v", after)
		}
		return err
	}))
	talk(t, client, phone)
	must(t, client.HangUp())
	must(t, phone.AwaitEnd())
	must(t, s.AwaitNoCalls())
}

func TestBrowserCallsBrowserWithVideo(t *testing.T) {
	s := stage(t, IPv4, "chromium")
	west, page := browser(t, s.West, chromium(t, s.West, LowTone), Browser, PageOptions{Video: true})
	east, other := browser(t, s.East, chromium(t, s.East, HighTone), Browser, PageOptions{Video: true})
	must(t, west.Call(east.URI()))
	settled(t, page)
	talk(t, west, east)
	// sees waits until both have decoded some more pictures.
	sees := func() {
		t.Helper()
		for _, p := range []*Page{page, other} {
			before, err := p.Stats()
			must(t, err)
			must(t, await(patience, "pictures are seen", func() error {
				s, err := p.Stats()
				if err == nil && s.FramesDecoded < before.FramesDecoded+10 {
					err = fmt.Errorf("it says %+v", s)
				}
				return err
			}))
		}
	}
	sees()
	must(t, west.Renew(true))
	talk(t, west, east)
	sees()
	must(t, east.Renew(false))
	sees()
	must(t, page.Direct("inactive"))
	must(t, west.Renew(false))
	halt(t, s)
	must(t, page.Direct("sendrecv"))
	must(t, west.Renew(false))
	talk(t, west, east)
	sees()
	must(t, east.HangUp())
	must(t, west.AwaitEnd())
	must(t, s.AwaitNoCalls())
}
