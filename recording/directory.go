package recording

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/weir-media/weir/media"
)

const (
	// queueSize holds some ten seconds of a call, or one of a video.
	queueSize = 512 << 10
	// maxCopies is how often a name may be used before its recordings are refused.
	maxCopies = 1000
	pcapEnd   = ".pcap"
	snapshot  = 1 << 16 // no packet is longer
)

// Directory is where recordings are kept. Nothing is written outside it, whatever a name says. It is safe for concurrent use.
type Directory struct {
	root *os.Root
	log  *slog.Logger
	open sync.WaitGroup
}

// OpenDirectory opens a directory that exists and can be written to.
func OpenDirectory(path string, log *slog.Logger) (*Directory, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("cannot use %s for recordings: %w; make it, writable for this process", path, err)
	}
	return &Directory{root: root, log: log}, nil
}

// Record makes a pcap file whose name is that of a text that anybody may have sent, and returns what writes to it. An existing file is left
// alone: the new one then has a number.
func (d *Directory) Record(text, end string) (*Recording, error) {
	name := Safe(text) + end
	for n := 2; ; n++ {
		file, err := d.root.OpenFile(name+pcapEnd, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
		if err == nil {
			return d.begin(file), nil
		}
		if !errors.Is(err, fs.ErrExist) || n > maxCopies {
			return nil, fmt.Errorf("cannot record: %w", err)
		}
		name = Safe(text) + end + "." + strconv.Itoa(n)
	}
}

func (d *Directory) begin(file *os.File) *Recording {
	r := &Recording{TapQueue: media.NewTapQueue(queueSize), log: d.log, file: file, wall: time.Now(), wallAt: media.Now()}
	d.open.Go(r.write)
	return r
}

// Close waits until what was recorded is written. All recordings must have been closed.
func (d *Directory) Close() error {
	d.open.Wait()
	return d.root.Close()
}

// Recording is a Tap that writes to a pcap file. Close ends it and does not wait.
type Recording struct {
	*media.TapQueue
	log    *slog.Logger
	file   *os.File
	wall   time.Time // at wallAt on the plane's clock
	wallAt time.Duration
}

// Close ends the recording; what has been heard is still written.
func (r *Recording) Close() error {
	r.TapQueue.Close()
	return nil
}

// write writes what comes until the recording is closed. A file that cannot be written to any more costs the rest of the recording.
func (r *Recording) write() {
	out := bufio.NewWriterSize(r.file, 64<<10)
	file := pcapgo.NewWriter(out)
	err := file.WriteFileHeader(snapshot, layers.LinkTypeRaw)
	var b []byte
	for more := true; more; {
		<-r.Ready()
		more = r.Take(func(packets []media.TapPacket) {
			for i := range packets {
				if b = AppendFrame(b[:0], &packets[i]); err == nil {
					at := r.wall.Add(packets[i].At - r.wallAt)
					err = file.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(b), Length: len(b)}, b)
				}
			}
		})
		if err == nil {
			err = out.Flush()
		}
	}
	err = errors.Join(err, r.file.Close())
	if dropped := r.Dropped(); err != nil || dropped > 0 {
		r.log.Warn("a recording is not whole", "file", r.file.Name(), "packets_missing", dropped, "err", err)
	}
}
