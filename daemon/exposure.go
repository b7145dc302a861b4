package daemon

import (
	"net/netip"
	"strings"
)

// exposures are what an operator should know of control sockets that others can reach, one sentence each. They are no errors: rtpengine
// serves without TLS wherever it is told to, and a network may be closed by other means.
func (o *Options) exposures() []string {
	var notes []string
	clear := reachable(o.ListenHTTP, func(a netip.Addr) bool { return !a.IsLoopback() })
	if len(clear) > 0 {
		text := "HTTP without TLS at " + strings.Join(clear, " ") + ": requests, call-ids and addresses go over the network in clear"
		if o.Access.TokenFile != "" {
			text += ", and so does the token of --http-token-file"
		}
		notes = append(notes, text+"; use --listen-https with --https-cert, or listen on 127.0.0.1 behind a proxy that does TLS")
	}
	if len(o.Access.Allow) > 0 {
		return notes
	}
	public := func(a netip.Addr) bool { return !a.IsLoopback() && !a.IsPrivate() && !a.IsLinkLocalUnicast() }
	var open []string
	for _, list := range []struct {
		option string
		texts  []string
	}{
		{"--listen-ng", o.udpSockets()}, {"--listen-tcp-ng", o.ListenTCP}, {"--listen-http", o.ListenHTTP}, {"--listen-https", o.ListenHTTPS},
		{"--listen-cli", o.ListenCLI}, {"--listen-udp", o.Legacy.UDP}, {"--listen-tcp", o.Legacy.TCP},
	} {
		if strings.HasPrefix(list.option, "--listen-http") && o.Access.TokenFile != "" {
			continue // whoever changes anything there has the token
		}
		if at := reachable(list.texts, public); len(at) > 0 {
			open = append(open, list.option+"="+strings.Join(at, " "))
		}
	}
	for _, text := range o.Legacy.RTPproxy {
		kind, place, err := rtpproxySocket(text)
		if err == nil && (kind == "udp" || kind == "tcp") {
			if at := reachable([]string{place}, public); len(at) > 0 {
				open = append(open, "--listen-rtpproxy="+kind+":"+strings.Join(at, " "))
			}
		}
	}
	if len(open) > 0 {
		notes = append(notes, "whoever reaches "+strings.Join(open, ", ")+" can make, change and end calls; name the proxies by --control-allow, or listen on an address that only they reach")
	}
	return notes
}

// reachable are those addresses of listening options that fit. What cannot be read is an error elsewhere.
func reachable(texts []string, fits func(netip.Addr) bool) (at []string) {
	for _, text := range texts {
		addrs, err := parseListen(text)
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if fits(a.Addr().Unmap()) {
				at = append(at, a.String())
			}
		}
	}
	return at
}
