package ng

import (
	"net"
	"net/http"
	"net/netip"

	"github.com/weir-media/weir/ngproto"
)

// Mirror takes copies of messages that are about a call, as they were read and written, with where they come from and go to; the addresses
// of clients without one are invalid. It must neither wait nor keep message.
type Mirror func(callID string, message []byte, from, to netip.AddrPort)

// mirrored answers a message by answer and has both be mirrored, unless it is a ping or nobody wants to know.
func (d *Dispatcher) mirrored(message []byte, remote, local netip.AddrPort, answer func() []byte) []byte {
	if d.mirror == nil {
		return answer()
	}
	m, err := ngproto.Parse(message)
	if err != nil || m.Dict.Text("command") == string(ngproto.Ping) {
		return answer()
	}
	callID := m.Dict.Text("call-id")
	d.mirror(callID, message, remote, local)
	reply := answer()
	if reply != nil {
		d.mirror(callID, reply, local, remote)
	}
	return reply
}

// addressOf returns the address and port of one end of a connection; invalid when it has none.
func addressOf(a net.Addr) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	at, _ := netip.ParseAddrPort(a.String()) // none on a unix socket
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// ends returns where a request over HTTP comes from, and where to.
func ends(r *http.Request) (remote, local netip.AddrPort) {
	remote, _ = netip.ParseAddrPort(r.RemoteAddr) // none on a unix socket
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		local = addressOf(a)
	}
	return netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()), local
}
