package cli

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
)

// CaptureStream is a pcapng file on its way from the daemon. Stop and Packets are safe for concurrent use with the rest.
type CaptureStream struct {
	resp    *http.Response
	request *io.PipeWriter
	blocks  blockCounter
	bytes   atomic.Uint64
}

// Capture has the daemon capture a call. The stream has to be closed.
func (c *Client) Capture(id string, o CaptureOptions) (*CaptureStream, error) {
	query := url.Values{
		"duration": {o.Duration.String()}, "packets": {strconv.FormatUint(o.Packets, 10)}, "snaplen": {strconv.Itoa(o.SnapLen)}, "only": {o.Only},
	}
	body, request := io.Pipe()
	req, err := http.NewRequest(http.MethodPost, "http://weir/v1/capture/"+url.PathEscape(id)+"?"+query.Encode(), body)
	if err != nil {
		return nil, err
	}
	resp, err := c.answer(c.stream.Do(req))
	if err != nil {
		return nil, errors.Join(err, request.Close())
	}
	return &CaptureStream{resp: resp, request: request}, nil
}

// Read reads what the file has more. At its end there is a report.
func (s *CaptureStream) Read(b []byte) (int, error) {
	n, err := s.resp.Body.Read(b)
	s.blocks.count(b[:n])
	s.bytes.Add(uint64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("the daemon has ended, or has cut this client off: %w", err)
	}
	return n, err
}

// Stop has the daemon end the file, after what it has heard before.
func (s *CaptureStream) Stop() { _ = s.request.Close() } // never fails

// Packets returns how many packets, and how many bytes of the file, have been read.
func (s *CaptureStream) Packets() (packets, bytes uint64) {
	return s.blocks.packets.Load(), s.bytes.Load()
}

// Report tells how the capture went, once Read has come to the end.
func (s *CaptureStream) Report() (*Captured, error) {
	r := new(Captured)
	if err := json.Unmarshal([]byte(s.resp.Trailer.Get(captureTrailer)), r); err != nil {
		return nil, fmt.Errorf("read how the capture went: %w", err)
	}
	return r, nil
}

// Close ends the stream, which may be in the middle of the file.
func (s *CaptureStream) Close() error {
	return errors.Join(s.request.Close(), s.resp.Body.Close())
}

// blockCounter counts the packets of a pcapng file as it is read: blocks of little-endian numbers, each a type, its length, and the rest of
// it. The zero value is ready.
type blockCounter struct {
	packets atomic.Uint64
	head    [8]byte
	have    int    // bytes of head
	skip    uint64 // bytes until the next block
}

// enhancedPacket is the type of a block that is a packet.
const enhancedPacket = 6

func (c *blockCounter) count(b []byte) {
	for len(b) > 0 {
		if c.skip > 0 {
			n := min(c.skip, uint64(len(b)))
			b, c.skip = b[n:], c.skip-n
			continue
		}
		n := copy(c.head[c.have:], b)
		b, c.have = b[n:], c.have+n
		if c.have < len(c.head) {
			return
		}
		c.have = 0
		if binary.LittleEndian.Uint32(c.head[:]) == enhancedPacket {
			c.packets.Add(1)
		}
		c.skip = uint64(max(binary.LittleEndian.Uint32(c.head[4:]), uint32(len(c.head)))) - uint64(len(c.head))
	}
}
