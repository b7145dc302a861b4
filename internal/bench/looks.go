package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// look is how long an operator waits for one of the ways to look at a proxy that is full of calls, and what that costs those
// calls.
type look struct {
	Name    string    `json:"name"`
	Calls   int       `json:"calls"`
	Talking int       `json:"calls_with_packets"`
	Bytes   int       `json:"bytes"`      // of the answer
	Runs    []float64 `json:"runs"`       // seconds, in the order they were made
	Min     float64   `json:"min"`        //
	Median  float64   `json:"median"`     //
	Max     float64   `json:"max"`        //
	Lost    uint64    `json:"lost"`       // packets of the calls, while it was looked
	Delay   float64   `json:"delay_ms"`   // of packets meanwhile, 99th percentile
	Longest float64   `json:"longest_ms"` // of packets meanwhile
	Problem string    `json:"problem,omitempty"`
}

const (
	lookTalking = 100 // calls with 50 packets a second each way
	lookCtl     = "127.0.0.1:9900"
	lookHTTP    = "127.0.0.1:9901"
	lookDrain   = 300 * time.Millisecond // for packets that are under way
	// lookLead is how long packets are watched before anybody looks, which is the first row.
	lookLead = 3 * time.Second
)

// looker is one way to look.
type looker struct {
	name string
	look func(ctx context.Context, s *stageOfLooks) (bytes int, err error)
}

func lookers(p plan) []looker {
	tool := func(name string, argv ...string) looker {
		return looker{name, func(ctx context.Context, s *stageOfLooks) (int, error) {
			cmd := exec.CommandContext(ctx, p.programs.weir)
			cmd.Args = argv // the first is the name it goes by
			if argv[0] == "weir" {
				cmd.Args = append(cmd.Args, "--control-socket="+filepath.Join(s.daemon.dir, "control"))
			}
			var out, trouble strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &trouble
			if err := s.rig.proxy.Start(cmd); err != nil {
				return 0, err
			}
			if err := cmd.Wait(); err != nil {
				return 0, fmt.Errorf("%s: %w: %s", name, err, trouble.String())
			}
			return out.Len(), nil
		}}
	}
	return []looker{
		tool("weir status", "weir", "status"),
		tool("weir list", "weir", "list", fmt.Sprint("--limit=", maxCalls)),
		tool("rtpengine-ctl list sessions all", "rtpengine-ctl", "--ip", lookCtl, "list", "sessions", "all"),
		tool("rtpengine-ctl list totals", "rtpengine-ctl", "--ip", lookCtl, "list", "totals"),
		{"/metrics", func(ctx context.Context, s *stageOfLooks) (n int, err error) { return s.get(ctx, "/metrics") }},
		{"/ui/v1/calls", func(ctx context.Context, s *stageOfLooks) (n int, err error) { return s.get(ctx, "/ui/v1/calls") }},
	}
}

// stageOfLooks is a Weir with many calls, a few of which have packets, that it relays in userspace.
type stageOfLooks struct {
	rig    *rig
	daemon *daemon
	ends   *ends

	sent, came atomic.Uint64
	mu         sync.Mutex
	delays     []time.Duration // since they were last taken
	stop       chan struct{}
	work       sync.WaitGroup
}

// lookStage measures all ways to look, one after the other, as often as there are runs.
func lookStage(ctx context.Context, logger *slog.Logger, p plan) (looks []look, err error) {
	looks = []look{}
	if p.looked == 0 {
		return looks, nil
	}
	s := &stageOfLooks{stop: make(chan struct{})}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.begin(ctx, p); err != nil {
		return nil, err
	}
	talking := min(lookTalking, p.looked)
	before := look{Name: "nobody looks", Calls: p.looked, Talking: talking, Runs: []float64{}}
	if err := s.during(&before, func() error { return sleep(ctx, lookLead) }); err != nil {
		return nil, err
	}
	looks = append(looks, before)
	for _, w := range lookers(p) {
		l := look{Name: w.name, Calls: p.looked, Talking: talking, Runs: []float64{}}
		err := s.during(&l, func() error {
			for range p.runs {
				start := time.Now()
				n, err := w.look(ctx, s)
				if err != nil {
					return err
				}
				l.Bytes, l.Runs = n, append(l.Runs, time.Since(start).Seconds())
			}
			return ctx.Err()
		})
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			l.Problem = s.daemon.explain(err).Error()
		} else {
			r := result{Runs: l.Runs}
			r.summarise()
			l.Min, l.Median, l.Max = r.Min, r.Median, r.Max
			logger.Info("looked", "by", l.Name, "calls", l.Calls, "seconds", l.Median, "lost", l.Lost)
		}
		looks = append(looks, l)
	}
	return looks, nil
}

// begin starts Weir, makes the calls and has some of them talk.
func (s *stageOfLooks) begin(ctx context.Context, p plan) (err error) {
	if s.rig, err = newRig(); err != nil {
		return err
	}
	if s.daemon, err = startDaemon(s.rig, func(dir string) []string {
		return append(p.programs.weirOn("none")(dir), "--listen-cli="+lookCtl, "--listen-http="+lookHTTP)
	}); err != nil {
		return err
	}
	calls := newCalls("looked-at", p.looked)
	if err := s.daemon.client.setUp(calls); err != nil {
		return s.daemon.explain(err)
	}
	if s.ends, err = openEnds(s.rig, calls[:min(lookTalking, len(calls))]); err != nil {
		return err
	}
	if err := s.ends.learn(ctx); err != nil {
		return s.daemon.explain(err)
	}
	for _, to := range s.ends.all() {
		_ = to.conn.SetReadDeadline(time.Time{})
		s.work.Go(func() { s.listen(to.conn) })
	}
	if err := sleep(ctx, lookDrain); err != nil { // what learning has sent
		return err
	}
	s.work.Go(s.talk)
	return nil
}

// lookMark is in the packets that count: the time stands behind it.
const lookMark = 0x4c4f4f4b

// listen counts what comes.
func (s *stageOfLooks) listen(conn *net.UDPConn) {
	buf := make([]byte, 256)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if n < rtpLen+12 || binary.BigEndian.Uint32(buf[rtpLen:]) != lookMark {
			continue
		}
		took := time.Since(time.Unix(0, int64(binary.BigEndian.Uint64(buf[rtpLen+4:]))))
		s.came.Add(1)
		s.mu.Lock()
		s.delays = append(s.delays, took)
		s.mu.Unlock()
	}
}

// talk has every end send 50 packets a second, spread over the time.
func (s *stageOfLooks) talk() {
	const ptime = 20 * time.Millisecond
	all := s.ends.all()
	body := make([]byte, payloadLen)
	binary.BigEndian.PutUint32(body, lookMark)
	packet := make([]byte, 0, rtpLen+payloadLen)
	next := time.Now()
	for {
		for i, p := range all {
			if i%10 == 0 {
				next = next.Add(ptime * 10 / time.Duration(len(all)))
				time.Sleep(time.Until(next))
			}
			binary.BigEndian.PutUint64(body[4:], uint64(time.Now().UnixNano()))
			packet, _ = p.appendPacket(packet[:0], body) // in clear it does not fail
			if _, err := p.conn.WriteToUDPAddrPort(packet, p.to); err == nil {
				s.sent.Add(1)
			}
		}
		select {
		case <-s.stop:
			return
		default:
		}
	}
}

// during fills in what happens to packets while something is done.
func (s *stageOfLooks) during(l *look, do func() error) error {
	s.mu.Lock()
	s.delays = s.delays[:0]
	s.mu.Unlock()
	sent, came := s.sent.Load(), s.came.Load()
	if err := do(); err != nil {
		return err
	}
	sent = s.sent.Load() - sent
	time.Sleep(lookDrain) // what is under way comes, and more behind it, which does not make up for what is lost
	s.mu.Lock()
	took := slices.Clone(s.delays)
	s.mu.Unlock()
	if got := s.came.Load() - came; got < sent {
		l.Lost = sent - got
	}
	if len(took) == 0 {
		return errors.New("no packet comes through the proxy")
	}
	slices.Sort(took)
	l.Delay = float64(took[len(took)*99/100]) / float64(time.Millisecond)
	l.Longest = float64(took[len(took)-1]) / float64(time.Millisecond)
	return nil
}

// get reads a page of the proxy.
func (s *stageOfLooks) get(ctx context.Context, path string) (n int, err error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (conn net.Conn, err error) {
		err = s.rig.proxy.Do(func() error {
			conn, err = net.Dial("tcp", lookHTTP)
			return err
		})
		return conn, err
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+lookHTTP+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", path, resp.Status)
	}
	all, err := io.Copy(io.Discard, resp.Body)
	return int(all), err
}

// Close ends everything.
func (s *stageOfLooks) Close() (err error) {
	close(s.stop)
	if s.ends != nil {
		s.ends.Close()
	}
	s.work.Wait()
	if s.daemon != nil {
		err = s.daemon.Close()
	}
	if s.rig != nil {
		err = errors.Join(err, s.rig.Close())
	}
	return err
}
