package peers

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"os"
	"time"
)

// Tones of the parties, in Hz. They are far enough apart, and from each other's harmonics, to be told from one another after any codec.
const (
	LowTone  = 440
	HighTone = 1100
)

// Sound is what a party hears.
type Sound struct {
	Level float64       `json:"level"` // effective, 1 is full scale
	Pitch float64       `json:"pitch"` // Hz of what is loudest; 0 for silence
	Heard time.Duration `json:"heard"` // in all, of which this is the end
}

func (s Sound) String() string {
	return fmt.Sprintf("%.0f Hz at level %.3f after %v", s.Pitch, s.Level, s.Heard.Round(time.Millisecond))
}

// Is tells whether this is a tone of a party.
func (s Sound) Is(tone float64) bool { return s.Level > 0.02 && math.Abs(s.Pitch-tone) < 15 }

// window is how much of what was heard last a Sound tells of.
const window = 500 * time.Millisecond

// silence is the level below which nothing is heard: comfort noise, a codec's own.
const silence = 0.005

const toneRate = 8000

// toneSamples is a tone at a third of full scale.
func toneSamples(hz float64, length time.Duration) []int16 {
	samples := make([]int16, int(length.Seconds()*toneRate))
	for i := range samples {
		samples[i] = int16(math.MaxInt16 / 3 * math.Sin(2*math.Pi*hz*float64(i)/toneRate))
	}
	return samples
}

// toneWAV is a WAVE file with a tone: mono, 16 bits.
func toneWAV(hz float64, length time.Duration) []byte {
	samples := toneSamples(hz, length)
	var out bytes.Buffer
	out.WriteString("RIFF")
	for _, v := range []any{
		uint32(36 + 2*len(samples)), []byte("WAVEfmt "), uint32(16),
		uint16(1), uint16(1), uint32(toneRate), uint32(2 * toneRate), uint16(2), uint16(16), // PCM
		[]byte("data"), uint32(2 * len(samples)), samples,
	} {
		_ = binary.Write(&out, binary.LittleEndian, v) // to memory
	}
	return out.Bytes()
}

// Of G.711 PCMU: what is added to a sample's magnitude, so that its highest bit tells the segment, and the most it can be.
const muBias, muClip = 0x84, 0x7fff - muBias

// toMu encodes a sample by G.711, table 2.
func toMu(sample int16) byte {
	sign, magnitude := byte(0x80), int(sample)
	if magnitude < 0 {
		sign, magnitude = 0, -magnitude
	}
	magnitude = min(magnitude, muClip) + muBias
	segment := bits.Len(uint(magnitude)) - 8
	return sign | ^(byte(segment)<<4|byte(magnitude>>(segment+3))&0xf)&0x7f
}

// fromMu decodes what toMu has encoded.
func fromMu(code byte) int16 {
	segment, step := int(^code>>4&7), int(^code&0xf)
	magnitude := (step<<3+muBias)<<segment - muBias
	if code&0x80 == 0 {
		magnitude = -magnitude
	}
	return int16(magnitude)
}

// wavHeader is how a WAVE file begins that libsndfile writes.
type wavHeader struct {
	_             [22]byte
	Channels      uint16
	Rate          uint32
	_             [6]byte
	BitsPerSample uint16
	_             [8]byte
}

// readWAV gives the end of a recording of 16 bits, which may still be growing: the lengths in its header do not count.
func readWAV(path string, length time.Duration) (Sound, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return Sound{}, err
	}
	var h wavHeader
	if err := binary.Read(bytes.NewReader(file), binary.LittleEndian, &h); err != nil {
		return Sound{}, fmt.Errorf("%s: %w", path, err)
	}
	if h.Channels == 0 || h.Rate == 0 || h.BitsPerSample != 16 {
		return Sound{}, fmt.Errorf("%s: %d channels, rate %d, %d bits", path, h.Channels, h.Rate, h.BitsPerSample)
	}
	data := file[binary.Size(h):]
	frame := 2 * int(h.Channels)
	all := make([]float64, len(data)/frame)
	for i := range all {
		all[i] = float64(int16(binary.LittleEndian.Uint16(data[i*frame:]))) / -math.MinInt16
	}
	rate := float64(h.Rate)
	s := listen(all[max(0, len(all)-int(length.Seconds()*rate)):], rate)
	s.Heard = time.Duration(float64(len(all)) / rate * float64(time.Second))
	return s, nil
}

// listen measures level and pitch of samples between -1 and 1.
func listen(samples []float64, rate float64) Sound {
	var energy float64
	for _, v := range samples {
		energy += v * v
	}
	s := Sound{Level: math.Sqrt(energy / float64(max(len(samples), 1)))}
	if s.Level < silence {
		return s
	}
	// What voice has is enough, in steps that the tones of parties are far apart by.
	var most float64
	for hz := 50.0; hz <= 3500 && hz < rate/2; hz += 5 {
		if p := power(samples, hz/rate); p > most {
			s.Pitch, most = hz, p
		}
	}
	return s
}

// power of one frequency, in cycles per sample (Goertzel's algorithm).
func power(samples []float64, frequency float64) float64 {
	k := 2 * math.Cos(2*math.Pi*frequency)
	var a, b float64
	for _, v := range samples {
		a, b = v+k*a-b, a
	}
	return a*a + b*b - k*a*b
}
