package sdp

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// Options change what is accepted. The zero value is what [Parse] uses.
type Options struct {
	RejectBlank bool   // a blank line is an error instead of the end of the description
	Fragment    bool   // v= and o= may be missing, as in a trickle ICE fragment (RFC 8840, section 9)
	MusicOnHold string // name of the session attribute that declares music on hold, without "a="
}

// Parse reads a description with lines ended by CRLF or LF, up to its end or a blank line. Lines may come in any
// order within their section. Errors are of type *ParseError.
func Parse(text string) (*Description, error) {
	return Options{}.Parse(text)
}

// Parse reads a description as the function of that name does, under the options given.
func (o Options) Parse(text string) (*Description, error) {
	if len(text) > MaxText {
		return nil, &ParseError{Kind: ErrSyntax, Reason: limitReason("description", MaxText, "bytes")}
	}
	p := parser{options: o, rest: text}
	for {
		line, more, err := p.next()
		if err == nil && more {
			err = p.line(line)
		}
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
	}
	if p.session == nil {
		return nil, p.fail("", "empty; a description starts with v=0")
	}
	if err := p.endSession(); err != nil {
		return nil, err
	}
	return p.description, nil
}

// parser holds the position in the text and the section that lines currently belong to.
type parser struct {
	options Options
	rest    string
	here    string // rest, from the current line on
	lines   int

	description *Description
	session     *Session
	media       *Media   // nil in the session part
	rtp         bool     // whether media carries RTP
	section     *Section // of media, else of session
	hasOrigin   bool
	attributes  int // of the current section
	mediaCount  int
}

// first holds the parts nearly every description consists of, to get them with one allocation.
type first struct {
	description Description
	session     Session
	sessions    [1]*Session
}

// fail returns a syntax error that blames the current line.
func (p *parser) fail(text, reason string) error {
	return p.failure(ErrSyntax, text, reason)
}

func (p *parser) failure(kind error, text, reason string) error {
	const shown = 80
	if len(text) > shown {
		text = text[:shown] + "..."
	}
	return &ParseError{Line: p.lines, Text: text, Reason: reason, Kind: kind}
}

func limitReason(what string, limit int, unit string) string {
	return what + " is over the limit of " + strconv.Itoa(limit) + " " + unit
}

// next returns the next line without its ending; more is false at the end of the description.
func (p *parser) next() (line string, more bool, err error) {
	if p.rest == "" {
		return "", false, nil
	}
	p.lines++
	p.here = p.rest
	line, p.rest, _ = strings.Cut(p.rest, "\n")
	line = strings.TrimRight(line, "\r")
	switch {
	case line == "" && p.options.RejectBlank:
		return "", false, p.fail("", "blank line; send the description alone, without one, or allow blank lines")
	case line == "":
		return "", false, nil
	case p.lines > MaxLines:
		return "", false, p.fail(line, limitReason("description", MaxLines, "lines"))
	case len(line) > MaxLine:
		return "", false, p.fail(line, limitReason("line", MaxLine, "bytes"))
	case strings.IndexByte(line, '\r') >= 0 || strings.IndexByte(line, 0) >= 0:
		return "", false, p.fail(line, "carriage return or null within a line")
	case len(line) < 2 || line[1] != '=':
		return "", false, p.fail(line, "missing '=' after the line type")
	}
	return line, true, nil
}

// line hands one line to the section it belongs to.
func (p *parser) line(line string) error {
	kind, value := line[0], line[2:]
	if p.session == nil && kind != 'v' {
		if !p.options.Fragment {
			return p.fail(line, "description does not start with v=0")
		}
		if err := p.startSession(line); err != nil {
			return err
		}
		p.hasOrigin = true // none is needed
	}
	if p.media != nil && (kind == 'm' || kind == 'v') {
		p.media.Received = strings.TrimSuffix(p.media.Received, p.here)
	}
	switch kind {
	case 'v':
		if trim(value) != "0" {
			return p.fail(line, "bad v= line, only version 0 exists")
		}
		return p.startSession(line)
	case 'm':
		return p.startMedia(line, value)
	case 'a':
		return p.attribute(line, value)
	case 'i':
		p.section.Info = value
	case 'c':
		conn, reason := parseConnection(value)
		if reason != "" {
			return p.fail(line, "bad c= line: "+reason)
		}
		p.section.Conn = conn
	case 'b':
		p.section.Bandwidth.parse(value)
	case 'k': // keys in the clear, obsolete since RFC 8866, section 5.12
	case 'o', 's', 't', 'u', 'e', 'p', 'r', 'z':
		if p.media != nil {
			return p.fail(line, line[:2]+" line within a media section")
		}
		return p.sessionLine(kind, line, value)
	default:
		return p.fail(line, "unknown line type")
	}
	return nil
}

// sessionLine stores a line that only the session part may have.
func (p *parser) sessionLine(kind byte, line, value string) error {
	s := p.session
	switch kind {
	case 'o':
		origin, ok := parseOrigin(value)
		if !ok {
			return p.fail(line, `bad o= line, want "username id version IN IP4|IP6 address"`)
		}
		s.Origin, p.hasOrigin = origin, true
	case 's':
		s.Name = value
	case 'u':
		s.URI = value
	case 't':
		// One t= line is passed on; further ones, like r= and z=, schedule what no call has (RFC 8866, section 5.9).
		if s.Timing == "" {
			s.Timing = value
		}
	case 'e', 'p':
		if len(s.Emails)+len(s.Phones) >= MaxContacts {
			return p.fail(line, limitReason("session", MaxContacts, "e= and p= lines"))
		}
		if kind == 'e' {
			s.Emails = append(s.Emails, value)
		} else {
			s.Phones = append(s.Phones, value)
		}
	}
	return nil
}

func (p *parser) startSession(line string) error {
	if p.session == nil {
		f := new(first)
		f.sessions[0] = &f.session
		f.description.Sessions = f.sessions[:]
		p.description, p.session = &f.description, &f.session
	} else {
		if err := p.endSession(); err != nil {
			return err
		}
		if len(p.description.Sessions) >= MaxSessions {
			return p.fail(line, limitReason("description", MaxSessions, "sessions"))
		}
		p.session = new(Session)
		p.description.Sessions = append(p.description.Sessions, p.session)
	}
	p.media, p.section = nil, &p.session.Section
	p.attributes, p.hasOrigin = 0, false
	return nil
}

func (p *parser) endSession() error {
	if !p.hasOrigin {
		return p.fail("", "session without o= line")
	}
	return nil
}

func (p *parser) startMedia(line, value string) error {
	if p.mediaCount++; p.mediaCount > MaxMedia {
		return p.fail(line, limitReason("description", MaxMedia, "media sections"))
	}
	m := &Media{Received: p.rest}
	var port, protocol string
	m.Type, value = field(trim(value))
	port, value = field(value)
	protocol, value = field(value)
	if protocol == "" {
		return p.fail(line, `bad m= line, want "type port protocol formats"`)
	}
	port, count, ranged := strings.Cut(port, "/")
	number, ok := parseUint(port, 65535)
	if ok && ranged {
		var n uint64
		n, ok = parseUint(count, 65535)
		m.PortCount = uint16(n)
	}
	if !ok {
		return p.fail(line, "bad m= line, want a port from 0 to 65535")
	}
	m.Port, m.Protocol = uint16(number), Protocol(protocol)
	if countFields(value) > MaxFormats {
		return p.fail(line, limitReason("m= line", MaxFormats, "formats"))
	}
	rtp := m.Protocol.IsRTP()
	if rtp {
		if !m.parsePayloadTypes(value) {
			return p.failure(ErrIncomplete, line, "RTP payload types are not numbers from 0 to 127")
		}
	} else {
		m.Formats = fields(value)
	}
	p.session.Media = append(p.session.Media, m)
	p.media, p.rtp, p.section, p.attributes = m, rtp, &m.Section, 0
	return nil
}

// parsePayloadTypes fills in the codecs; a payload type listed twice means nothing more than once.
func (m *Media) parsePayloadTypes(list string) bool {
	m.Codecs = make([]Codec, 0, min(strings.Count(list, " ")+1, MaxFormats))
	var seen [2]uint64
	for f, rest := field(list); f != ""; f, rest = field(rest) {
		n, ok := parseUint(f, 127)
		if !ok {
			return false
		}
		if bit := uint64(1) << (n & 63); seen[n>>6]&bit == 0 {
			seen[n>>6] |= bit
			codec, _ := StaticCodec(uint8(n))
			m.Codecs = append(m.Codecs, codec)
		}
	}
	return true
}

// parseOrigin counts from the end, because some user agents send a user name with blanks in it.
func parseOrigin(value string) (Origin, bool) {
	var last [5]string
	rest := trim(value)
	for i := range last {
		cut := strings.LastIndexByte(rest, ' ')
		if cut < 0 {
			return Origin{}, false
		}
		last[i], rest = rest[cut+1:], trim(rest[:cut])
	}
	return Origin{
		Username: rest, SessionID: last[4], Version: last[3], NetType: last[2], AddrType: last[1], Address: last[0],
	}, rest != ""
}

// parseConnection returns a reason when the value is no connection.
func parseConnection(value string) (conn *Connection, reason string) {
	net, rest := field(trim(value))
	family, rest := field(rest)
	address, rest := field(rest)
	scope := ""
	if i := strings.IndexByte(address, '/'); i >= 0 {
		address, scope = address[:i], address[i:]
	}
	if !strings.EqualFold(net, "IN") || trim(rest) != "" {
		return nil, `want "IN IP4 address" or "IN IP6 address"`
	}
	addr, reason := parseAddr(family, address)
	if reason != "" {
		return nil, reason
	}
	return &Connection{Addr: addr, Scope: scope}, ""
}

// parseAddr reads an address of the given family, "IP4" or "IP6".
func parseAddr(family, address string) (addr netip.Addr, reason string) {
	six := strings.EqualFold(family, "IP6")
	if !six && !strings.EqualFold(family, "IP4") {
		return addr, "want address type IP4 or IP6"
	}
	// A zone means nothing to the other party.
	if strings.IndexByte(address, '%') < 0 {
		addr, _ = netip.ParseAddr(address)
	}
	if !addr.IsValid() {
		return addr, "want a numeric address, host names are not looked up"
	}
	if addr.Is4() == six {
		return addr, "address does not belong to the address type"
	}
	return addr, ""
}

// parse stores a b= line of a known type with a number; all others are not passed on.
func (b *Bandwidth) parse(value string) {
	name, number, _ := strings.Cut(value, ":")
	for t := range bandwidthTypes {
		if t.String() == name {
			if n, ok := parseUint(trim(number), math.MaxInt64); ok {
				b.Set(t, n)
			}
		}
	}
}

// trim removes blanks at both ends. Unlike strings.TrimSpace it leaves everything but blanks and tabs alone.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// field cuts the first word off a line of words separated by blanks.
func field(s string) (word, rest string) {
	for s != "" && s[0] == ' ' {
		s = s[1:]
	}
	word, rest, _ = strings.Cut(s, " ")
	return word, rest
}

func countFields(s string) (n int) {
	for f, rest := field(s); f != ""; f, rest = field(rest) {
		n++
	}
	return n
}

func fields(s string) []string {
	n := countFields(s)
	if n == 0 {
		return nil
	}
	list := make([]string, 0, n)
	for f, rest := field(s); f != ""; f, rest = field(rest) {
		list = append(list, f)
	}
	return list
}

// parseUint reads a plain decimal number of at most limit. It exists because strconv allocates an error for every
// refusal, which attacker-chosen texts can cause thousands of times.
func parseUint(s string, limit uint64) (uint64, bool) {
	if s == "" || len(s) > 19 {
		return 0, false
	}
	var n uint64
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	return n, n <= limit
}
