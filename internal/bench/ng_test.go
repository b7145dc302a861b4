package main

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

func TestLookupFindsStringsInReplies(t *testing.T) {
	for _, test := range []struct {
		name, dict, key, want string
		err                   error
	}{
		{"the only key", "d6:result2:oke", "result", "ok", nil},
		{"behind nested values", "d4:tagsd1:ali1ei-2eee5:totali7e6:result2:oke", "result", "ok", nil},
		{"a key that only occurs deeper down", "d4:tagsd6:result2:okee", "result", "", nil},
		{"a missing key", "d6:result2:oke", "sdp", "", nil},
		{"a value that looks like a key", "d3:key6:result6:result2:oke", "result", "ok", nil},
		{"no dictionary", "6:result", "result", "", errBencode},
		{"nothing", "", "result", "", errBencode},
		{"a string longer than the message", "d6:result20:oke", "result", "", errBencode},
		{"a negative length", "d-1:result", "result", "", errBencode},
		{"an open list", "d4:listl1:a", "result", "", errBencode},
		{"an open number", "d4:listi3", "result", "", errBencode},
		{"no end", "d6:result2:ok", "sdp", "", errBencode},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := lookup([]byte(test.dict), test.key)
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, test.want, test.err)
			}
		})
	}
}

func FuzzLookupNeverPanicsAndReadsWhatItWrote(f *testing.F) {
	f.Add([]byte("d4:tagsd1:ali1eee6:result2:oke"), "key", "value")
	f.Fuzz(func(t *testing.T, raw []byte, key, value string) {
		lookup(raw, "result")
		if got, err := lookup(appendDict(nil, key, value), key); got != value || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, value)
		}
	})
}

func TestMediaAddressOfAnAnswer(t *testing.T) {
	for _, test := range []struct{ name, sdp, want string }{
		{"connection of the session", description(netip.MustParseAddrPort("10.1.2.3:4000"), "RTP/AVP", ""), "10.1.2.3:4000"},
		{"connection of the stream", "v=0\r\nm=audio 30000 RTP/AVP 0\r\nc=IN IP4 10.0.0.1\r\n", "10.0.0.1:30000"},
		{"a refused stream", "c=IN IP4 10.0.0.1\r\nm=audio 0 RTP/AVP 0\r\n", "no media address"},
		{"a port that is none", "c=IN IP4 10.0.0.1\r\nm=audio 70000 RTP/AVP 0\r\n", "value out of range"},
		{"an address that is none", "c=IN IP4 localhost\r\nm=audio 4 RTP/AVP 0\r\n", "unable to parse IP"},
		{"nothing", "", "no media address"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := mediaAddr(test.sdp)
			if err == nil && got.String() != test.want || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v; want %s", got, err, test.want)
			}
		})
	}
}

// fakeProxy answers every request by reply, which gets the request's text and how often it has been seen.
func fakeProxy(t *testing.T, reply func(request string, seen int) string) *client {
	t.Helper()
	server, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialUDP("udp", nil, server.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		seen := map[string]int{}
		buf := make([]byte, 4096)
		for {
			n, from, err := server.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			cookie, dict, _ := bytes.Cut(buf[:n], []byte{' '})
			seen[string(cookie)]++
			if answer := reply(string(dict), seen[string(cookie)]); answer != "" {
				server.WriteToUDPAddrPort([]byte(string(cookie)+" "+answer), from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); server.Close(); <-done })
	return &client{conn: conn, in: make([]byte, 65536)}
}

// answering makes replies with the address the proxy must give in each exchange.
func answering(request string) string {
	local := netip.AddrPortFrom(proxyToCallee, 20000)
	if strings.Contains(request, "6:answer") {
		local = netip.AddrPortFrom(proxyToCaller, 20002)
	}
	return string(appendDict(nil, "result", "ok", "sdp", description(local, "RTP/AVP", "")))
}

func TestSetUpMakesAnOfferAndAnAnswerForEveryCall(t *testing.T) {
	var offers, answers atomic.Int32
	c := fakeProxy(t, func(request string, _ int) string {
		if strings.Contains(request, "5:offer") {
			offers.Add(1)
		} else {
			answers.Add(1)
		}
		return answering(request)
	})
	calls := newCalls("test", 200)
	if err := c.setUp(calls); err != nil {
		t.Fatal(err)
	}
	for _, call := range calls {
		if call.toCallee.String() != "10.88.2.1:20000" || call.toCaller.String() != "10.88.1.1:20002" {
			t.Fatalf("%s: towards the callee %v, towards the caller %v", call.id, call.toCallee, call.toCaller)
		}
	}
	if offers.Load() != 200 || answers.Load() != 200 {
		t.Errorf("%d offers, %d answers", offers.Load(), answers.Load())
	}
}

func TestRequestsWithoutAnswerAreSentAgainAndDoubleAnswersIgnored(t *testing.T) {
	c := fakeProxy(t, func(request string, seen int) string {
		if seen == 1 && strings.Contains(request, "test-3") {
			return ""
		}
		return answering(request)
	})
	if err := c.setUp(newCalls("test", 5)); err != nil {
		t.Fatal(err)
	}
}

func TestAnErrorOfTheProxyEndsTheSetUp(t *testing.T) {
	c := fakeProxy(t, func(string, int) string {
		return string(appendDict(nil, "error-reason", "Out of ports", "result", "error"))
	})
	err := c.setUp(newCalls("test", 5))
	if err == nil || !strings.Contains(err.Error(), "Out of ports") {
		t.Errorf("set-up ended with %v", err)
	}
}

func TestPingGivesUpWhenTheProxyHasEnded(t *testing.T) {
	c := fakeProxy(t, func(string, int) string { return "d6:result5:errore" })
	ended := make(chan struct{})
	close(ended)
	if err := c.ping(startPatience, ended); err == nil {
		t.Error("ping succeeded")
	}
}
