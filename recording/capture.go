package recording

import (
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/weir-media/weir/media"
)

// maxInterfaces is how many medias a capture tells apart; those of more are one.
const maxInterfaces = 1000

// Interface is what packets are captured at, as a pcapng file names it. It is comparable.
type Interface struct{ Name, Description string }

// Capture writes what is heard at several interfaces as one pcapng file (draft-ietf-opsawg-pcapng). Its taps and Close are safe for
// concurrent use, Write is for one caller.
type Capture struct {
	Comment string // on the whole; set before Write
	queue   *media.TapQueue
	wall    time.Time // at wallAt on the plane's clock
	wallAt  time.Duration

	mu         sync.Mutex
	interfaces []*captureTap
	byName     map[Interface]*captureTap
}

// captureTap hears what passes at an interface.
type captureTap struct {
	Interface
	capture *Capture
	number  uint32
	heard   atomic.Uint64
	written uint64 // Write's
}

// NewCapture returns a capture that holds up to limit bytes which have not been written yet. What finds no room is dropped and counted.
func NewCapture(limit int) *Capture {
	return &Capture{queue: media.NewTapQueue(limit), wall: time.Now(), wallAt: media.Now(), byName: make(map[Interface]*captureTap)}
}

// Tap returns the tap of an interface: the same one whenever it is asked for.
func (c *Capture) Tap(at Interface) media.Tap {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.byName[at]; t != nil {
		return t
	}
	n := len(c.interfaces)
	if n == maxInterfaces {
		return c.interfaces[n-1]
	}
	if n == maxInterfaces-1 {
		at = Interface{"others", "medias beyond the first"}
	}
	t := &captureTap{Interface: at, capture: c, number: uint32(n)}
	c.interfaces, c.byName[at] = append(c.interfaces, t), t
	return t
}

// Packet puts a copy of a packet into the queue. It allocates nothing once the queue has grown.
func (t *captureTap) Packet(p *media.TapPacket) {
	t.heard.Add(1)
	marked := *p
	marked.Mark = t.number
	t.capture.queue.Packet(&marked)
}

// Close has Write return when it has written what was heard before.
func (c *Capture) Close() { c.queue.Close() }

// Dropped returns how many packets there was no room for.
func (c *Capture) Dropped() uint64 { return c.queue.Dropped() }

// known returns the interfaces so far. There is at least one, as there must be in a file.
func (c *Capture) known() []*captureTap {
	c.mu.Lock()
	if n := len(c.interfaces); n > 0 {
		defer c.mu.Unlock()
		return c.interfaces[:n:n]
	}
	c.mu.Unlock()
	c.Tap(Interface{"none", "no media yet"})
	return c.known()
}

// Write writes until the capture is closed, or most packets are written unless most is 0, of each no more than snap bytes unless that is
// 0. After each batch of packets it calls flush. It returns how many packets are written whole, and the first error of w or flush.
func (c *Capture) Write(w io.Writer, flush func() error, most uint64, snap int) (packets uint64, err error) {
	f, err := c.begin(w, uint32(max(0, snap)))
	if err != nil {
		return 0, err
	}
	f.snap = snap
	if err = f.flush(flush); err != nil {
		return 0, err
	}
	for more := true; more && (most == 0 || packets < most); {
		<-c.queue.Ready()
		var written uint64
		more = c.queue.Take(func(batch []media.TapPacket) {
			if most > 0 && uint64(len(batch)) > most-packets {
				batch = batch[:most-packets]
			}
			written, err = f.packets(batch)
		})
		if err == nil {
			err = f.flush(flush)
		}
		if err != nil {
			return packets, err // what has been written of the batch may not have left
		}
		packets += written
	}
	if err = f.statistics(most > 0 && packets >= most); err == nil {
		err = f.flush(flush)
	}
	return packets, err
}

// captureFile is a capture as it is written.
type captureFile struct {
	*pcapgo.NgWriter
	capture *Capture
	begun   int // interfaces
	snap    int
	frame   []byte
}

// begin writes the head of the file and the first interface.
func (c *Capture) begin(w io.Writer, snap uint32) (*captureFile, error) {
	section := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{OS: runtime.GOOS, Application: "weir", Comment: c.Comment}}
	f := &captureFile{capture: c, begun: 1}
	var err error
	f.NgWriter, err = pcapgo.NewNgWriterInterface(w, c.known()[0].describe(snap), section)
	return f, err
}

func (t *captureTap) describe(snap uint32) pcapgo.NgInterface {
	return pcapgo.NgInterface{Name: t.Name, Description: t.Description, LinkType: layers.LinkTypeRaw, SnapLength: snap}
}

func (f *captureFile) flush(and func() error) error {
	if err := f.Flush(); err != nil {
		return err
	}
	return and()
}

// describeNew describes the interfaces that have not been yet, and returns all.
func (f *captureFile) describeNew() ([]*captureTap, error) {
	interfaces := f.capture.known()
	for ; f.begun < len(interfaces); f.begun++ {
		if _, err := f.AddInterface(interfaces[f.begun].describe(uint32(max(0, f.snap)))); err != nil {
			return nil, err
		}
	}
	return interfaces, nil
}

// packets writes packets, and before them the interfaces that are new.
func (f *captureFile) packets(batch []media.TapPacket) (written uint64, err error) {
	interfaces, err := f.describeNew()
	if err != nil {
		return 0, err
	}
	for i := range batch {
		p := &batch[i]
		f.frame = AppendFrame(f.frame[:0], p)
		shown := f.frame
		if f.snap > 0 && len(shown) > f.snap {
			shown = shown[:f.snap]
		}
		direction := pcapgo.NgEpbFlagDirectionInbound
		if p.Sent {
			direction = pcapgo.NgEpbFlagDirectionOutbound
		}
		err := f.WritePacketWithOptions(gopacket.CaptureInfo{
			Timestamp: f.capture.wall.Add(p.At - f.capture.wallAt), InterfaceIndex: int(p.Mark), CaptureLength: len(shown), Length: len(f.frame),
		}, shown, pcapgo.NgPacketOptions{Flags: &pcapgo.NgEpbFlags{Direction: direction}})
		if err != nil {
			return written, err
		}
		interfaces[p.Mark].written++
		written++
	}
	return written, nil
}

// statistics writes for each interface how many packets were heard, and how many of them are missing, which cannot be told when there was
// a limit.
func (f *captureFile) statistics(limited bool) error {
	interfaces, err := f.describeNew()
	if err != nil {
		return err
	}
	now := time.Now()
	for i, t := range interfaces {
		heard := t.heard.Load()
		st := pcapgo.NgInterfaceStatistics{LastUpdate: now, StartTime: f.capture.wall, EndTime: now, PacketsReceived: heard, PacketsDropped: heard - t.written}
		if limited {
			st.PacketsReceived, st.PacketsDropped = t.written, pcapgo.NgNoValue64
		}
		if err := f.WriteInterfaceStats(i, st); err != nil {
			return err
		}
	}
	return nil
}
