package ng

import (
	"crypto/subtle"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Access says who may change anything. The zero value lets everybody who reaches a port.
type Access struct {
	Allow []netip.Prefix // addresses of clients; none: all. Sockets without addresses are always allowed.
	Token string         // that HTTP and WebSocket requests must carry as "Authorization: Bearer TOKEN"; empty: none
}

// allows tells whether a client of an address may.
func (a *Access) allows(addr netip.Addr) bool {
	if len(a.Allow) == 0 || !addr.IsValid() {
		return true
	}
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(a.Allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// refusal tells why an HTTP request may change nothing: a status and a sentence; 0 when it may.
func (a *Access) refusal(r *http.Request, from netip.Addr) (status int, text string) {
	if !a.allows(from) {
		return http.StatusForbidden, "this address may not: see --control-allow\n"
	}
	if a.Token != "" {
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(given), []byte(a.Token)) != 1 {
			return http.StatusUnauthorized, "a token is needed: see --http-token-file\n"
		}
	}
	return 0, ""
}

// Allows tells whether a client of an address may change anything. A refused one is counted, and logged now and then.
func (d *Dispatcher) Allows(addr netip.Addr) bool {
	if d.access.allows(addr) {
		return true
	}
	d.refused.Add(1)
	d.logStranger(addr)
	return false
}

// readOnly answers a command line that would change something and may not.
const readOnly = "This address may only read: see --control-allow\n"

// CommandLineFrom is CommandLine for a client of an address, who may have to confine itself to reading.
func (d *Dispatcher) CommandLineFrom(addr netip.Addr, line string) string {
	if d.cli.Changes(line) && !d.Allows(addr) {
		return readOnly
	}
	return d.CommandLine(line)
}
