package peers

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Agent does the SIP of a party that only knows descriptions: over UDP, by way of Kamailio, one call at a time. Its methods
// must not be called at the same time, apart from Close.
type Agent struct {
	uri, contact string
	proxy        netip.AddrPort
	conn         *net.UDPConn
	answer       func(offer string) (string, error)

	responses chan *message
	closed    chan struct{} // when nobody reads the socket any more

	mu       sync.Mutex
	call     dialog
	up       chan struct{} // closed when a call that came is acknowledged
	ended    chan struct{} // closed when the other side has hung up
	lastAck  []byte        // for a response that comes again
	lastSeen string        // the latest request that was answered
	lastSaid []byte        // what it was answered with
}

// dialog is what identifies the call to both sides (RFC 3261, section 12).
type dialog struct {
	id           string
	local, other string   // From and To with their tags, as in requests from here
	target       string   // where requests go
	routes       []string // by way of these
	cseq         int
}

// NewAgent listens on a side, which must have no other party. It answers offers in INVITEs with what answer returns for
// them, one after the other, and takes the error of one to the other side as a refusal.
func NewAgent(side Side, kind Kind, answer func(offer string) (string, error)) (*Agent, error) {
	addr := netip.AddrPortFrom(side.Addr, SIPPort)
	a := &Agent{
		uri: fmt.Sprintf("sip:%s@%s", kind, addr), contact: fmt.Sprintf("<sip:%s@%s>", kind, addr), proxy: side.Proxy, answer: answer,
		responses: make(chan *message, 16), closed: make(chan struct{}), up: make(chan struct{}), ended: make(chan struct{}),
	}
	err := side.host.Do(func() (err error) {
		a.conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
		return err
	})
	if err != nil {
		return nil, err
	}
	go a.receive()
	return a, nil
}

// URI is the party's address.
func (a *Agent) URI() string { return a.uri }

// Close stops listening.
func (a *Agent) Close() error {
	err := a.conn.Close()
	<-a.closed
	return err
}

func (a *Agent) receive() {
	defer close(a.closed)
	buffer := make([]byte, 65536)
	for {
		n, from, err := a.conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // a port of an earlier datagram that nobody had
		}
		m, err := parseMessage(string(buffer[:n]))
		switch {
		case err != nil:
		case m.status != 0:
			a.response(m)
		default:
			a.request(m, from)
		}
	}
}

// response hands one to who waits for it. One that comes again after its ACK gets that once more.
func (a *Agent) response(m *message) {
	if m.status < 200 {
		return
	}
	a.mu.Lock()
	known := strings.HasSuffix(m.get("CSeq"), " INVITE") && m.get("CSeq") != fmt.Sprintf("%d INVITE", a.call.cseq)
	ack := a.lastAck
	a.mu.Unlock()
	if known {
		_, _ = a.conn.WriteToUDPAddrPort(ack, a.proxy)
		return
	}
	select {
	case a.responses <- m:
	default: // again and again, and nobody waits for it
	}
}

// request answers one.
func (a *Agent) request(m *message, from netip.AddrPort) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.method == "ACK" {
		if !isClosed(a.up) {
			close(a.up)
		}
		return
	}
	key := m.get("Call-ID") + " " + m.get("CSeq")
	if key != a.lastSeen {
		a.lastSeen = key
		a.lastSaid = a.reply(m)
	}
	_, _ = a.conn.WriteToUDPAddrPort(a.lastSaid, from)
}

func (a *Agent) reply(m *message) []byte {
	to := m.get("To")
	if !strings.Contains(to, ";tag=") {
		to += ";tag=" + rand.Text()
	}
	status, body := "200 OK", ""
	switch m.method {
	case "INVITE":
		answer, err := a.answer(m.body)
		if err != nil {
			status = "488 " + strings.ReplaceAll(err.Error(), "\n", " ")
			break
		}
		body = answer
		if id := m.get("Call-ID"); id != a.call.id {
			a.call = dialog{id: id, local: to, other: m.get("From"), routes: m.all("Record-Route")}
		}
		a.call.target = inBrackets(m.get("Contact"))
	case "BYE":
		if !isClosed(a.ended) {
			close(a.ended)
		}
	default:
		status = "405 Method Not Allowed"
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "SIP/2.0 %s\r\n", status)
	for _, name := range []string{"Via", "Record-Route", "From", "Call-ID", "CSeq"} {
		for _, value := range m.all(name) {
			fmt.Fprintf(&out, "%s: %s\r\n", name, value)
		}
	}
	fmt.Fprintf(&out, "To: %s\r\nContact: %s\r\n", to, a.contact)
	writeBody(&out, sdpType, body)
	return out.Bytes()
}

const sdpType = "application/sdp"

// Call calls somebody and returns the answer.
func (a *Agent) Call(uri, offer string) (answer string, err error) {
	a.mu.Lock()
	a.call = dialog{
		id: rand.Text(), local: "<" + a.uri + ">;tag=" + rand.Text(), other: "<" + uri + ">", target: uri,
		routes: []string{fmt.Sprintf("<sip:%s;lr>", a.proxy)},
	}
	a.mu.Unlock()
	return a.offer(offer)
}

// Reoffer sends another offer in the call.
func (a *Agent) Reoffer(offer string) (answer string, err error) { return a.offer(offer) }

func (a *Agent) offer(offer string) (answer string, err error) {
	m, err := a.ask("INVITE", sdpType, offer)
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.call.routes) == 1 && !strings.Contains(a.call.other, ";tag=") { // the first one
		a.call.routes = m.all("Record-Route")
		slices.Reverse(a.call.routes)
	}
	a.call.other, a.call.target = m.get("To"), inBrackets(m.get("Contact"))
	a.lastAck = a.compose("ACK", a.call.cseq, "", "")
	if _, err := a.conn.WriteToUDPAddrPort(a.lastAck, a.proxy); err != nil {
		return "", err
	}
	return m.body, nil
}

// Inform sends an INFO with a body in the call.
func (a *Agent) Inform(contentType, body string) error {
	_, err := a.ask("INFO", contentType, body)
	return err
}

// HangUp ends the call.
func (a *Agent) HangUp() error {
	_, err := a.ask("BYE", "", "")
	return err
}

// AwaitCall waits until a call has come and is up.
func (a *Agent) AwaitCall() error { return a.awaitClosed(a.up, "a call") }

// AwaitEnd waits until the other side has hung up.
func (a *Agent) AwaitEnd() error { return a.awaitClosed(a.ended, "a BYE") }

func (a *Agent) awaitClosed(c chan struct{}, what string) error {
	select {
	case <-c:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%s did not get %s within %v", a.uri, what, patience)
	}
}

// ask sends a request and waits until it is accepted. It is sent once: there is no loss on a stage.
func (a *Agent) ask(method, contentType, body string) (*message, error) {
	a.mu.Lock()
	a.call.cseq++
	cseq := fmt.Sprintf("%d %s", a.call.cseq, method)
	request := a.compose(method, a.call.cseq, contentType, body)
	a.mu.Unlock()
	if _, err := a.conn.WriteToUDPAddrPort(request, a.proxy); err != nil {
		return nil, err
	}
	for timeout := time.After(patience); ; {
		select {
		case m := <-a.responses:
			switch {
			case m.get("CSeq") != cseq:
			case m.status >= 300:
				return nil, fmt.Errorf("%s is answered with %d %s", method, m.status, m.reason)
			default:
				return m, nil
			}
		case <-timeout:
			return nil, fmt.Errorf("%s is not answered within %v", method, patience)
		}
	}
}

// compose makes a request in the call.
func (a *Agent) compose(method string, cseq int, contentType, body string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s SIP/2.0\r\n", method, a.call.target)
	fmt.Fprintf(&out, "Via: SIP/2.0/UDP %s;branch=z9hG4bK%s\r\n", a.conn.LocalAddr(), rand.Text())
	for _, route := range a.call.routes {
		fmt.Fprintf(&out, "Route: %s\r\n", route)
	}
	fmt.Fprintf(&out, "From: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nContact: %s\r\nMax-Forwards: 70\r\n",
		a.call.local, a.call.other, a.call.id, cseq, method, a.contact)
	writeBody(&out, contentType, body)
	return out.Bytes()
}

func writeBody(out *bytes.Buffer, contentType, body string) {
	if body != "" {
		fmt.Fprintf(out, "Content-Type: %s\r\n", contentType)
	}
	fmt.Fprintf(out, "Content-Length: %d\r\n\r\n%s", len(body), body)
}

// message is a SIP request or response.
type message struct {
	method string // of a request
	status int    // of a response, 0 for a request
	reason string
	fields []field
	body   string
}

type field struct{ name, value string }

// parseMessage reads what Kamailio and baresip send: one value per header field, long names, no folded lines.
func parseMessage(text string) (*message, error) {
	head, body, ok := strings.Cut(text, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	first := strings.SplitN(lines[0], " ", 3)
	if !ok || len(first) != 3 {
		return nil, fmt.Errorf("no SIP message: %q", text)
	}
	m := &message{body: body}
	if first[0] == "SIP/2.0" {
		status, err := strconv.Atoi(first[1])
		if err != nil {
			return nil, fmt.Errorf("status line: %w", err)
		}
		m.status, m.reason = status, first[2]
	} else {
		m.method = first[0]
	}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		m.fields = append(m.fields, field{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	return m, nil
}

// all are the values of a header field, in order.
func (m *message) all(name string) []string {
	var values []string
	for _, f := range m.fields {
		if strings.EqualFold(f.name, name) {
			values = append(values, f.value)
		}
	}
	return values
}

// get is the first value of a header field; empty without.
func (m *message) get(name string) string {
	if values := m.all(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// inBrackets is the URI of an address.
func inBrackets(address string) string {
	_, rest, ok := strings.Cut(address, "<")
	if !ok {
		return address
	}
	uri, _, _ := strings.Cut(rest, ">")
	return uri
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
