package main

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/weir-media/weir/srtp"
)

const (
	seriesLen    = 1 << 18 // as SERIES of the programs
	seriesMargin = 1 << 12 // what is left when a run is ended for want of frames
	slotWords    = len(rigSlot{}.Words)
)

// series are prepared SRTP frames of all callers in turn, each different, for the replay program. A run uses up some of them.
type series struct {
	memory    *ebpf.Memory
	envelopes [][]byte // Ethernet, IPv4 and UDP headers of each caller, without a checksum
	sums      []uint32 // what they contribute to it
	parties   []*party
	payload   []byte
	length    int    // of a frame
	turn      int    // the caller whose frame is made next
	first     uint32 // slot of the first frame of the next run
}

// newSeries fills the ring.
func newSeries(ring *ebpf.Map, callers []*party, streams []stream, length int) (*series, error) {
	if length < 8*slotWords {
		return nil, fmt.Errorf("frames of %d bytes are too short for a series", length)
	}
	s := &series{parties: callers, payload: payload(), length: length}
	for _, stream := range streams {
		b := stream.envelope(length - envelopeLen)
		s.envelopes = append(s.envelopes, b)
		// The checksum covers addresses, protocol and length besides the datagram (RFC 768).
		udp := b[ethernetLen+ipv4Len:]
		s.sums = append(s.sums, sum16(b[ethernetLen+12:ethernetLen+ipv4Len])+17+uint32(length-ethernetLen-ipv4Len)+sum16(udp))
	}
	var err error
	if s.memory, err = ring.Memory(); err != nil {
		return nil, err
	}
	return s, s.fill(0, seriesLen)
}

// advance replaces the frames that a run has used up.
func (s *series) advance(used uint64) error {
	n := int(min(used, seriesLen))
	err := s.fill(s.first, n)
	s.first = (s.first + uint32(n)) % seriesLen
	return err
}

// fill makes n frames for the slots from at on.
func (s *series) fill(at uint32, n int) error {
	b := make([]byte, unsafe.Sizeof(rigSlot{}), int(unsafe.Sizeof(rigSlot{}))+srtp.MaxOverhead)
	for i := range n {
		frame, err := s.frame(b)
		if err != nil {
			return err
		}
		// The program writes the first words, then the last 8 bytes.
		tail := [8]byte(frame[s.length-8 : s.length])
		copy(b[8*slotWords:], tail[:])
		slot := (at + uint32(i)) % seriesLen
		if _, err := s.memory.WriteAt(b, int64(slot)*int64(len(b))); err != nil {
			return err
		}
	}
	return nil
}

// frame makes the next frame in the room of b.
func (s *series) frame(b []byte) ([]byte, error) {
	i := s.turn
	s.turn = (s.turn + 1) % len(s.parties)
	b = append(b[:0], s.envelopes[i]...)
	packet, err := s.parties[i].appendPacket(b[len(b):], s.payload)
	if err != nil {
		return nil, err
	}
	b = b[:len(b)+len(packet)]
	if len(b) != s.length {
		return nil, fmt.Errorf("a prepared frame has %d bytes instead of %d", len(b), s.length)
	}
	sum := ^fold(s.sums[i] + sum16(packet))
	if sum == 0 {
		sum = 0xffff // zero means no checksum
	}
	binary.BigEndian.PutUint16(b[ethernetLen+ipv4Len+6:], sum)
	return b, nil
}
