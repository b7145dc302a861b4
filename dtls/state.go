package dtls

import (
	"bytes"
	"encoding/gob"
	"sync"
)

// exportedState is the part of a handshake's exported state that is of use here.
type exportedState struct {
	MasterSecret              []byte
	LocalRandom, RemoteRandom [helloRandomSize]byte
	CipherSuiteID             uint16
	RemoteSequenceNumber      uint64
	IsClient                  bool
}

// states reads exported states. They are streams of gob of one value each, in front of which its type is described in full, and
// to understand the description takes many times as long as to read the value. So a reader that knows the description from the
// stream before is given the value alone.
type states struct{ readers sync.Pool }

// stateReader is for one stream after the other.
type stateReader struct {
	types   []byte // that it has read the description of
	stream  bytes.Buffer
	decoder *gob.Decoder
}

// read returns the parts of an exported state. A nil states works, too, and remembers nothing.
func (s *states) read(encoded []byte) (e exportedState, err error) {
	if s == nil {
		s = new(states)
	}
	types := typesIn(encoded)
	r, ok := s.readers.Get().(*stateReader)
	if ok && bytes.Equal(r.types, types) {
		r.stream.Write(encoded[len(types):])
	} else {
		r = &stateReader{types: bytes.Clone(types)}
		r.stream.Write(encoded)
		r.decoder = gob.NewDecoder(&r.stream)
	}
	if err := r.decoder.Decode(&e); err != nil || r.stream.Len() > 0 {
		return e, err // and no more with this reader
	}
	s.readers.Put(r)
	return e, nil
}

// typesIn returns the beginning of a gob stream up to its first value: the messages with a negative type id (encoding/gob,
// "Encoding Details").
func typesIn(encoded []byte) []byte {
	for rest := encoded; ; {
		size, n := gobUint(rest)
		if n == 0 || size > uint64(len(rest)-n) {
			return nil
		}
		id, m := gobUint(rest[n:])
		if m == 0 {
			return nil
		}
		if id&1 == 0 { // the sign is the last bit
			return encoded[:len(encoded)-len(rest)]
		}
		rest = rest[n+int(size):]
	}
}

// gobUint reads an unsigned number and returns its length, 0 when it is cut short: up to 127 it is one byte, else a byte with the
// negated count of the bytes that follow.
func gobUint(b []byte) (v uint64, length int) {
	if len(b) == 0 {
		return 0, 0
	}
	if b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	n := -int(int8(b[0]))
	if n > 8 || len(b) < 1+n {
		return 0, 0
	}
	for _, c := range b[1 : 1+n] {
		v = v<<8 | uint64(c)
	}
	return v, 1 + n
}
