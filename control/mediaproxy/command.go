package mediaproxy

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// maxLine is the longest command, its line end included.
const maxLine = 1024

// maxStreams is more than any call has.
const maxStreams = 32

// errCommand is of lines that are answered by closing the connection.
var errCommand = errors.New("no such command, or words are missing")

// command is one line.
type command struct {
	name    string // as in the protocol's documents
	callID  string
	streams []stream // of request and lookup
	info    info
}

// stream is one medium as a party describes it.
type stream struct {
	remote    netip.AddrPort
	mediaType string // empty: not told
}

// info is what stands at the end of a line.
type info struct {
	fromTag, toTag string
	asymmetric     bool
}

// parse reads a line.
func parse(line string) (*command, error) {
	words := strings.Fields(line)
	if len(words) == 0 || strings.IndexByte(line, 0) >= 0 {
		return nil, errCommand
	}
	c := &command{name: words[0]}
	const (
		least       = 10 // words of request and lookup
		leastDelete = 3
	)
	switch n := len(words); {
	case c.name == "request" || c.name == "lookup":
		if n < least {
			return nil, errCommand
		}
		c.callID = words[1]
		if err := c.parseStreams(words[2]); err != nil {
			return nil, err
		}
		c.info = parseInfo(words[n-1])
		if c.info.fromTag == "" || c.name == "lookup" && c.info.toTag == "" {
			return nil, errCommand
		}
	case c.name == "delete":
		if n < leastDelete {
			return nil, errCommand
		}
		c.callID, c.info = words[1], parseInfo(words[2])
	case c.name == "build" || c.name == "version" || c.name == "controls" || c.name == "status":
	default:
		return nil, errCommand
	}
	return c, nil
}

// parseStreams reads IP:PORT[:TYPE], and so on after commas.
func (c *command) parseStreams(text string) error {
	for item := range strings.SplitSeq(text, ",") {
		fields := strings.Split(item, ":")
		if len(fields) < 2 || len(c.streams) == maxStreams {
			return errCommand
		}
		addr, err := netip.ParseAddr(fields[0])
		port, portErr := strconv.ParseUint(fields[1], 10, 16)
		if err != nil || portErr != nil || !addr.Is4() {
			return errCommand
		}
		s := stream{remote: netip.AddrPortFrom(addr, uint16(port))}
		if len(fields) > 2 {
			s.mediaType = fields[2]
		}
		c.streams = append(c.streams, s)
	}
	return nil
}

// parseInfo reads info=KEY:VALUE, and so on after commas. Unknown keys are passed over.
func parseInfo(text string) (i info) {
	text, _ = strings.CutPrefix(text, "info=")
	for item := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(item, ":")
		switch key {
		case "fromtag":
			i.fromTag = value
		case "totag":
			i.toTag = value
		case "asymmetric":
			i.asymmetric = true
		}
	}
	return i
}
