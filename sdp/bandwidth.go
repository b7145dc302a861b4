package sdp

import "encoding/json"

// Bandwidth holds the b= lines that are passed on. The zero value holds none. It is comparable.
type Bandwidth struct {
	value [bandwidthTypes]uint64
	given [bandwidthTypes]bool
}

// BandwidthType is the modifier of a b= line.
type BandwidthType uint8

// The kinds, in the order they are printed (RFC 8866, RFC 3556, RFC 3890).
const (
	BandwidthAS   BandwidthType = iota // application specific, kbit/s
	BandwidthRR                        // RTCP of receivers, bit/s
	BandwidthRS                        // RTCP of senders, bit/s
	BandwidthCT                        // conference total, kbit/s
	BandwidthTIAS                      // transport independent, bit/s
	bandwidthTypes
)

// String returns the modifier as written.
func (t BandwidthType) String() string {
	return [...]string{"AS", "RR", "RS", "CT", "TIAS"}[t]
}

// Set stores a value; zero is a value.
func (b *Bandwidth) Set(t BandwidthType, value uint64) { b.value[t], b.given[t] = value, true }

// Clear removes a value.
func (b *Bandwidth) Clear(t BandwidthType) { b.value[t], b.given[t] = 0, false }

// Get returns a value and whether it was given.
func (b *Bandwidth) Get(t BandwidthType) (value uint64, given bool) { return b.value[t], b.given[t] }

// MarshalJSON writes what was given, by modifier.
func (b Bandwidth) MarshalJSON() ([]byte, error) {
	given := make(map[string]uint64)
	for t := range bandwidthTypes {
		if v, ok := b.Get(t); ok {
			given[t.String()] = v
		}
	}
	return json.Marshal(given)
}

// UnmarshalJSON reads what MarshalJSON writes. Modifiers that nobody knows are left out.
func (b *Bandwidth) UnmarshalJSON(text []byte) error {
	var given map[string]uint64
	if err := json.Unmarshal(text, &given); err != nil {
		return err
	}
	*b = Bandwidth{}
	for t := range bandwidthTypes {
		if v, ok := given[t.String()]; ok {
			b.Set(t, v)
		}
	}
	return nil
}
