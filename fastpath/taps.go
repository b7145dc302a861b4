package fastpath

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

// tapRing is the room in bytes for copies that have not been read yet: a second of some 300 recorded calls.
const tapRing = 4 << 20

// TappedPacket is a copy of a packet, as it came.
type TappedPacket struct {
	Local, Source netip.AddrPort
	When          time.Duration // on CLOCK_MONOTONIC
	Data          []byte        // UDP payload
}

// Tap has fn take the copies of packets that flows have taps for, from now on and in place of an fn before. It is called by one
// goroutine; Data is valid during the call. Until then copies wait, and count as missing when there is no more room.
func (p *Plane) Tap(fn func(TappedPacket)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if p.maps.Taps == nil {
		return nil // without a kernel plane there are no copies
	}
	err := p.tapping.close()
	if p.tapping = nil; err != nil {
		return err
	}
	p.tapping, err = startTapping(p.maps.Taps, fn, func(err error) { p.log.Error("packets are not copied any more", "err", err) })
	return err
}

// tapping reads copies of packets. A nil one reads none.
type tapping struct {
	reader *ringbuf.Reader
	done   sync.WaitGroup
}

// startTapping hands copies to fn until close.
func startTapping(ring *ebpf.Map, fn func(TappedPacket), fail func(error)) (*tapping, error) {
	reader, err := ringbuf.NewReader(ring)
	if err != nil {
		return nil, fmt.Errorf("read copies of packets: %w", err)
	}
	t := &tapping{reader: reader}
	t.done.Go(func() {
		var record ringbuf.Record
		for {
			if err := reader.ReadInto(&record); err != nil {
				if !errors.Is(err, ringbuf.ErrClosed) {
					fail(err)
				}
				return
			}
			if pkt, ok := decodeTap(record.RawSample); ok {
				fn(pkt)
			}
		}
	})
	return t, nil
}

// decodeTap reads a record: struct tap of bpf/types.h with the packet behind it.
func decodeTap(b []byte) (pkt TappedPacket, ok bool) {
	const head = int(unsafe.Sizeof(relayTap{}))
	if len(b) < head {
		return pkt, false
	}
	t := (*relayTap)(unsafe.Pointer(unsafe.SliceData(b))) // records are aligned to 8 bytes
	if data := b[head:]; int64(t.Len) <= int64(len(data)) {
		return TappedPacket{
			Local: decodeEndpoint(&t.Local), Source: decodeEndpoint(&t.Source), When: time.Duration(t.When), Data: data[:t.Len],
		}, true
	}
	return pkt, false
}

func (t *tapping) close() error {
	if t == nil {
		return nil
	}
	err := t.reader.Close()
	t.done.Wait()
	return err
}
