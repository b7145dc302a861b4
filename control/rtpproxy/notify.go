package rtpproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weir-media/weir/call"
)

const (
	// selfHost stands in the name of a socket for whoever sends the command.
	selfHost = "%%CC_SELF%%"
	// maxNotices is how many notices wait for a socket that does not answer. The oldest are dropped then.
	maxNotices = 1024
	// maxTargets bounds the sockets of senders that are told of time-outs.
	maxTargets = 1000
	noticeTime = 5 * time.Second        // to connect, and to write
	retryFirst = 100 * time.Millisecond // grows to retryMost
	retryMost  = 5 * time.Second
)

// Notifier tells other programs, each over a connection that stays, of sessions that have timed out. Only sockets that were permitted are
// used. It is safe for concurrent use.
type Notifier struct {
	permitted map[string]place // by name
	selfPorts map[string]bool  // of names with selfHost
	log       *slog.Logger

	mu      sync.Mutex
	ctx     context.Context // of those that run; nil before Run
	targets map[place]*target
	running sync.WaitGroup
}

// place is a socket: its network and address.
type place struct{ network, address string }

// NewNotifier permits sockets by name: unix:PATH, tcp:HOST:PORT or tcp:%%CC_SELF%%:PORT.
func NewNotifier(names []string, log *slog.Logger) (*Notifier, error) {
	n := &Notifier{permitted: make(map[string]place), selfPorts: make(map[string]bool), log: log, targets: make(map[place]*target)}
	for _, name := range names {
		if port, ok := strings.CutPrefix(name, "tcp:"+selfHost+":"); ok {
			if p, err := strconv.ParseUint(port, 10, 16); err != nil || p == 0 {
				return nil, fmt.Errorf("notification socket %q has no port", name)
			}
			n.selfPorts[port] = true
			continue
		}
		p, ok := parsePlace(name)
		if !ok {
			return nil, fmt.Errorf("notification socket %q is none of unix:PATH, tcp:HOST:PORT, tcp:%s:PORT", name, selfHost)
		}
		n.permitted[name] = p
	}
	return n, nil
}

func parsePlace(name string) (place, bool) {
	if path, ok := strings.CutPrefix(name, "unix:"); ok && path != "" {
		return place{"unix", path}, true
	}
	if address, ok := strings.CutPrefix(name, "tcp:"); ok {
		host, port, err := net.SplitHostPort(address)
		return place{"tcp", address}, err == nil && host != "" && port != ""
	}
	if strings.HasPrefix(name, "/") {
		return place{"unix", name}, true
	}
	return place{}, false
}

// enabled tells whether any socket is permitted.
func (n *Notifier) enabled() bool { return n != nil && len(n.permitted)+len(n.selfPorts) > 0 }

// find returns the full name of a socket that a command names, empty when it is not permitted.
func (n *Notifier) find(name string, sender netip.Addr) string {
	if port, ok := strings.CutPrefix(name, "tcp:"+selfHost+":"); ok {
		if !n.selfPorts[port] || !sender.IsValid() {
			return ""
		}
		return "tcp:" + net.JoinHostPort(sender.Unmap().String(), port)
	}
	if _, ok := n.permitted[name]; !ok {
		return ""
	}
	return name
}

// Run keeps connections until ctx ends.
func (n *Notifier) Run(ctx context.Context) {
	n.mu.Lock()
	n.ctx = ctx
	for p, t := range n.targets {
		n.running.Go(func() { t.run(ctx, p, n.log) })
	}
	n.mu.Unlock()
	<-ctx.Done()
	n.running.Wait()
}

// tell queues a notice for the socket of a session that has timed out. It does not wait.
func (n *Notifier) tell(to call.Notify) {
	p, ok := parsePlace(to.Socket)
	if !ok {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.targets[p]
	if t == nil {
		if len(n.targets) >= maxTargets {
			n.log.Warn("too many notification sockets", "socket", to.Socket, "most", maxTargets)
			return
		}
		t = &target{notices: make(chan string, maxNotices)}
		n.targets[p] = t
		if ctx := n.ctx; ctx != nil && ctx.Err() == nil {
			n.running.Go(func() { t.run(ctx, p, n.log) })
		}
	}
	if t.push(to.Tag + "\n") {
		n.log.Warn("a notification socket does not take what it is told: the oldest notice is dropped", "socket", to.Socket)
	}
}

// target is one socket with what it is to be told.
type target struct{ notices chan string }

// push queues a notice, in place of the oldest one if there is no room, and tells whether one was lost.
func (t *target) push(notice string) (lost bool) {
	for {
		select {
		case t.notices <- notice:
			return lost
		default:
		}
		select {
		case <-t.notices:
			lost = true
		default:
		}
	}
}

// run writes notices, and connects again when a connection is lost.
func (t *target) run(ctx context.Context, at place, log *slog.Logger) {
	var conn net.Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for {
		var notice string
		select {
		case <-ctx.Done():
			return
		case notice = <-t.notices:
		}
		for wait := retryFirst; ; wait = min(2*wait, retryMost) {
			var err error
			if conn == nil {
				dialer := net.Dialer{Timeout: noticeTime}
				conn, err = dialer.DialContext(ctx, at.network, at.address)
			}
			if err == nil {
				if err = send(conn, notice); err == nil {
					break
				}
				conn.Close()
			}
			conn = nil
			if wait == retryFirst {
				log.Warn("a notification socket cannot be reached; it is tried again", "socket", at.network+":"+at.address, "err", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
	}
}

// send writes a notice to a connection that is still open at the other end: what is written to one that is not would be lost without a word.
func send(conn net.Conn, notice string) error {
	var one [1]byte
	_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := conn.Read(one[:]); err != nil {
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	_ = conn.SetWriteDeadline(time.Now().Add(noticeTime))
	_, err := conn.Write([]byte(notice))
	return err
}
