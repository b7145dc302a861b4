package ng

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/ngproto"
)

// safeReply is what fits a packet on any path worth the name: IPv6 promises 1280 bytes (RFC 8200, section 5), less the
// headers of IPv6 and UDP.
const safeReply = 1280 - 48

// sizer keeps replies that travel as one datagram small enough for it: the fragments of a larger one are lost on many
// paths, and then the client asks again in vain. It is safe for concurrent use.
type sizer struct {
	mu     sync.Mutex
	warned map[string]bool // calls whose reply was too large
	last   time.Time       // of the last warning
}

const (
	// maxWarned caps the calls that are remembered as warned of. Beyond it all are forgotten.
	maxWarned = 1000
	// warnEvery is how often a reply that is too large is logged at most.
	warnEvery = time.Second
)

// fit returns what is sent in the place of a reply that is encoded as out: the same if it fits room or has to be whole.
// The reply to delete does not: the call is gone, whoever asks again for the statistics' sake is told so, and a client
// that takes the silence for a failure keeps a dead call. So it goes without what makes it large, the parties.
func (s *sizer) fit(d *Dispatcher, msg ngproto.Message, reply *ngproto.Reply, out []byte, room int) []byte {
	if len(out) <= room {
		return out
	}
	callID, command := msg.Dict.Text("call-id"), msg.Dict.Text("command")
	if s.mayWarn(callID, time.Now()) {
		d.log.Warn("ng reply is larger than a packet on the way to its client, and fragments are often lost; ask over TCP, HTTP "+
			"or a unix socket, ask for less, or delete with the flag fast", "call", callID, "command", command,
			"bytes", len(out), "packet", room)
	}
	if ngproto.Command(command) != ngproto.Delete || !reply.Dict.Has("tags") {
		return out
	}
	short := ngproto.OK()
	for _, e := range reply.Dict {
		if e.Key != "tags" && e.Key != "SSRC" {
			short.Set(e.Key, e.Value)
		}
	}
	short.Set("warning", ngproto.String(fmt.Sprintf("statistics left out: %d bytes are more than a packet of %d takes", len(out), room)))
	return short.Encode(msg.Cookie, msg.Encoding)
}

// mayWarn tells whether a reply about this call may be logged, and remembers that it was.
func (s *sizer) mayWarn(callID string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.warned[callID] || now.Sub(s.last) < warnEvery {
		return false
	}
	if s.warned == nil || len(s.warned) >= maxWarned {
		s.warned = make(map[string]bool)
	}
	s.warned[callID], s.last = true, now
	return true
}

// paths knows how large a datagram may be towards clients. It is safe for concurrent use.
type paths struct {
	mu    sync.Mutex
	rooms map[netip.Addr]pathRoom
}

type pathRoom struct {
	bytes int
	until time.Time
}

const (
	// maxPaths caps the clients whose path is remembered. Beyond it all are forgotten.
	maxPaths = 1000
	// pathLife is how long what is known of a path is believed.
	pathLife = time.Minute
)

// room returns the largest payload of a datagram to a client that leaves in one packet. The kernel is asked, which knows
// the route and what routers on the way have said.
func (p *paths) room(to netip.AddrPort) int {
	addr, now := to.Addr().Unmap(), time.Now()
	p.mu.Lock()
	known, ok := p.rooms[addr]
	p.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.bytes
	}
	known = pathRoom{bytes: roomTo(netip.AddrPortFrom(addr, to.Port())), until: now.Add(pathLife)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rooms == nil || len(p.rooms) >= maxPaths {
		p.rooms = make(map[netip.Addr]pathRoom)
	}
	p.rooms[addr] = known
	return known.bytes
}

// roomTo asks the kernel by a socket that is connected and never written to.
func roomTo(to netip.AddrPort) int {
	const ethernet = 1500
	level, option, headers := unix.IPPROTO_IP, unix.IP_MTU, 28
	if to.Addr().Is6() {
		level, option, headers = unix.IPPROTO_IPV6, unix.IPV6_MTU, 48
	}
	mtu := ethernet // when the kernel does not say
	if conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to)); err == nil {
		defer conn.Close()
		if raw, err := conn.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				if n, err := unix.GetsockoptInt(int(fd), level, option); err == nil {
					mtu = n
				}
			})
		}
	}
	return mtu - headers
}
