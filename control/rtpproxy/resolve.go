package rtpproxy

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"
)

const (
	// resolvers is how many names are looked up at a time. Nobody waits for another's.
	resolvers = 4
	// resolveTimeout is less than clients wait for a reply.
	resolveTimeout = 800 * time.Millisecond
)

// resolver looks up host names. It is safe for concurrent use.
type resolver struct{ free chan struct{} }

func newResolver() resolver { return resolver{make(chan struct{}, resolvers)} }

// lookup returns an address of a name; invalid when there is none, or it does not come in time.
func (r *resolver) lookup(name string, ip6 bool) netip.Addr {
	if !isName(name) {
		return netip.Addr{}
	}
	select {
	case r.free <- struct{}{}:
		defer func() { <-r.free }()
	default:
		return netip.Addr{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	network := "ip4"
	if ip6 {
		network = "ip6"
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, network, name)
	if err != nil || len(ips) == 0 {
		return netip.Addr{}
	}
	return ips[0].Unmap()
}

// isName tells whether a text can be a host name (RFC 1123, section 2.1), and no address.
func isName(text string) bool {
	const most = 253
	if len(text) > most || strings.Trim(text, "0123456789.") == "" {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(text, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}
