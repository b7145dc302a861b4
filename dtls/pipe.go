package dtls

import (
	"net"
	"os"
	"sync"
	"time"
)

const (
	// A flight is a handful of datagrams; more than this means that the handshake does not keep up, and it will ask again.
	mostQueued = 32
	// The longest datagram taken: pion reads into 8192 bytes.
	mostBytes = 8192
)

// A pipe is the net.PacketConn under a handshake: a bounded queue of what the peer sent on one side, the caller's Send
// on the other.
type pipe struct {
	send func([]byte)
	// onHeard is called when the peer is first heard.
	onHeard func()

	mu    sync.Mutex
	ready sync.Cond
	queue [][]byte
	// expired is set by a read deadline in the past, which is how a read is interrupted.
	expired, closed bool
	// muted keeps what is written from being sent.
	muted bool
	// heard is set once the peer sent anything.
	heard bool
	// flight is what was written since anything was read last, written the time of the last of it. answered is set when
	// something was read since.
	flight   [][]byte
	answered bool
	written  time.Time
	// again sends the hello again.
	again *time.Timer
	// next is the number for the next record of epoch 1, after those that were sent.
	next uint64
}

func newPipe(send func([]byte), onHeard func()) *pipe {
	p := &pipe{send: send, onHeard: onHeard}
	p.ready.L = &p.mu
	return p
}

// deliver queues a copy of a datagram from the peer. It never waits: what does not fit is lost, as on the network.
func (p *pipe) deliver(datagram []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.muted || len(p.queue) >= mostQueued || len(datagram) > mostBytes {
		return
	}
	if !p.heard {
		p.heard = true
		p.onHeard()
	}
	p.queue = append(p.queue, append([]byte(nil), datagram...))
	p.ready.Signal()
}

// ReadFrom implements net.PacketConn.
func (p *pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) == 0 && !p.expired && !p.closed {
		p.ready.Wait()
	}
	switch {
	case p.closed:
		return 0, nil, net.ErrClosed
	case p.expired:
		return 0, nil, os.ErrDeadlineExceeded
	}
	n := copy(b, p.queue[0])
	p.queue[0] = nil
	p.queue = p.queue[1:]
	p.answered = true
	return n, peer{}, nil
}

// WriteTo implements net.PacketConn.
func (p *pipe) WriteTo(b []byte, _ net.Addr) (int, error) {
	datagram := append([]byte(nil), b...)
	if message(datagram) == clientHello {
		// No version is agreed yet, and the record of a hello may carry any (RFC 5246, appendix E.1). What everybody has
		// always sent is that of DTLS 1.0; some middleboxes and old peers know no other. What is signed
		// does not include it.
		datagram[1], datagram[2] = 0xfe, 0xff
	}
	p.mu.Lock()
	if p.muted || p.closed {
		p.mu.Unlock()
		return len(b), nil
	}
	if p.answered {
		p.flight, p.answered = nil, false
	}
	// An unanswered flight comes again and again.
	if len(p.flight) < mostQueued {
		p.flight = append(p.flight, datagram)
	}
	p.written = time.Now()
	for r, rest, ok := nextRecord(datagram); ok; r, rest, ok = nextRecord(rest) {
		if r.epoch == 1 {
			p.next = max(p.next, r.seq+1)
		}
	}
	p.mu.Unlock()
	p.send(datagram)
	return len(b), nil
}

// repeat sends the hello again, from time to time, until the peer is heard. Retransmissions of the handshake become so
// rare that a peer which becomes reachable would wait for long. The same datagram again is harmless: a peer that has it
// drops it as a replay.
func (p *pipe) repeat() {
	p.mu.Lock()
	if p.heard || p.closed || p.muted {
		p.mu.Unlock()
		return
	}
	var hello []byte
	pause := helloPause
	if len(p.flight) > 0 {
		if pause -= time.Since(p.written); pause <= 0 {
			pause, p.written = helloPause, time.Now()
			hello = p.flight[len(p.flight)-1]
		}
	}
	if p.again == nil {
		p.again = time.AfterFunc(pause, p.repeat)
	} else {
		p.again.Reset(pause)
	}
	p.mu.Unlock()
	if hello != nil {
		p.send(hello)
	}
}

// detach ends the handshake's part: nothing more is sent, and what was not read is returned with what must be known of
// what was sent.
func (p *pipe) detach() (unread, flight [][]byte, next uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.muted = true
	if p.again != nil {
		p.again.Stop()
	}
	unread, p.queue = p.queue, nil
	return unread, p.flight, p.next
}

// Close implements net.PacketConn.
func (p *pipe) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.queue = true, nil
	p.ready.Broadcast()
	return nil
}

// SetReadDeadline implements net.PacketConn. Deadlines are used only to interrupt a read: one in the past does, any
// other lifts it.
func (p *pipe) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expired = !t.IsZero() && !t.After(time.Now())
	p.ready.Broadcast()
	return nil
}

// SetWriteDeadline implements net.PacketConn. Writes never wait.
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements net.PacketConn.
func (p *pipe) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// LocalAddr implements net.PacketConn.
func (p *pipe) LocalAddr() net.Addr { return peer{} }

// peer stands for addresses, which are the caller's affair.
type peer struct{}

func (peer) Network() string { return "dtls" }
func (peer) String() string  { return "peer" }
