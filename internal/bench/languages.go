package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/weir-media/weir/internal/netrig"
)

// rtpproxyAddr is where commands of the RTPproxy protocol go, inside the proxy host.
const rtpproxyAddr = "127.0.0.1:22222"

// The control languages that are compared.
const (
	languageNG       = "ng"
	languageRTPproxy = "rtpproxy"
)

// languageStage measures how fast Weir makes, answers and deletes calls by each control language, in turns.
func languageStage(ctx context.Context, logger *slog.Logger, p plan) ([]result, error) {
	command := func(dir string) []string {
		return slices.Concat(p.programs.weirOn("none")(dir), []string{
			"--interface=external=caller", "--interface=internal=callee", "--listen-rtpproxy=udp:" + rtpproxyAddr,
		})
	}
	subjects := []subject{
		{name: languageNG, title: "ng: offer, answer, delete", command: command},
		{name: languageRTPproxy, title: "rtpproxy: U, L, D", command: command},
	}
	return rateStage(ctx, logger, subjects, p.runs, p.batch, func(s subject) (rater, error) { return newSpeaker(s) })
}

// speaker is a proxy that is spoken to in one language.
type speaker struct {
	*signalling
	client   *client
	language string
}

func newSpeaker(s subject) (*speaker, error) {
	sig, err := newSignalling(s)
	if err != nil {
		return nil, err
	}
	client := sig.daemon.client
	if s.name == languageRTPproxy {
		client, err = dialRTPproxy(sig.rig.proxy)
	}
	if err != nil {
		return nil, errors.Join(err, sig.Close())
	}
	return &speaker{sig, client, s.name}, nil
}

// dialRTPproxy opens a client of the protocol inside host. Its cookies and repeats are those of ng.
func dialRTPproxy(host *netrig.Host) (*client, error) {
	return dialNG(host, netip.MustParseAddrPort(rtpproxyAddr))
}

// run takes n calls from the first command to the last against the clock.
func (s *speaker) run(n int) (rate, error) {
	s.batches++
	calls := newCalls(fmt.Sprintf("%s-%d", s.language, s.batches), n)
	ask := func(i, step int) []byte { return calls[i].steps()[step] }
	check := func(_, _ int, dict []byte) error { return checkResult(dict) }
	if s.language == languageRTPproxy {
		ask = func(i, step int) []byte { return []byte(calls[i].commands()[step]) }
		check = checkReply
	}
	requests := make([][3][]byte, n) // made beforehand, so that the client has little to do against the clock
	for i := range requests {
		for step := range requests[i] {
			requests[i][step] = ask(i, step)
		}
	}
	proxyBefore, err := s.daemon.cpuTime()
	if err != nil {
		return rate{}, err
	}
	clientBefore, start := ownTime(), time.Now()
	err = s.client.pipeline(n, inFlight, script{
		steps: len(requests[0]), request: func(i, step int) []byte { return requests[i][step] }, reply: check,
	})
	if err != nil {
		return rate{}, s.daemon.explain(err)
	}
	elapsed := time.Since(start)
	client := ownTime() - clientBefore
	proxy, err := s.daemon.cpuTime()
	if err != nil {
		return rate{}, err
	}
	return rate{
		perSecond:   float64(n) / elapsed.Seconds(),
		proxyShare:  (proxy - proxyBefore).Seconds() / elapsed.Seconds(),
		clientShare: client.Seconds() / elapsed.Seconds(),
	}, s.settle()
}

// Close ends the proxy.
func (s *speaker) Close() error {
	if s.client != s.daemon.client {
		s.client.Close()
	}
	return s.signalling.Close()
}

// steps are the messages of a call by ng.
func (c *call) steps() [3][]byte {
	return [3][]byte{c.offer, c.answer, appendDict(nil, "call-id", c.id, "command", "delete", "delete delay", 0, "from-tag", "caller")}
}

// commands are those of a call by RTPproxy.
func (c *call) commands() [3]string {
	return [3]string{
		fmt.Sprintf("Ueic0,8,101 %s %s %d caller;1", c.id, c.caller.Addr(), c.caller.Port()),
		fmt.Sprintf("Lc0,8,101 %s %s %d caller;1 callee;1", c.id, c.callee.Addr(), c.callee.Port()),
		fmt.Sprintf("D %s caller callee", c.id),
	}
}

// checkReply tells whether a command of RTPproxy was carried out.
func checkReply(_, step int, reply []byte) error {
	text := strings.TrimSuffix(string(reply), "\n")
	want := []string{" " + proxyToCallee.String(), " " + proxyToCaller.String(), "0"}[step]
	if step < 2 && strings.HasSuffix(text, want) || text == want {
		return nil
	}
	return fmt.Errorf("the proxy answered %q", text)
}
