package ng

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/outbox"
	"github.com/weir-media/weir/ngproto"
)

// maxNotices is how many notices wait for a client that does not read.
const maxNotices = 64

// listeners are the clients of streams that are told of what happens. The zero value is ready.
type listeners struct {
	mu  sync.Mutex
	all map[*outbox.Box[[]byte]]struct{}
}

// join has a client be told, by write, until leave is called. When write fails nothing follows.
func (l *listeners) join(write func([]byte) error) (leave func()) {
	box, done := outbox.New[[]byte](maxNotices), make(chan struct{})
	l.mu.Lock()
	if l.all == nil {
		l.all = make(map[*outbox.Box[[]byte]]struct{})
	}
	l.all[box] = struct{}{}
	l.mu.Unlock()
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case <-done:
				return
			case notice := <-box.Waiting():
				if write(notice) != nil {
					return
				}
			}
		}
	})
	return func() {
		l.mu.Lock()
		delete(l.all, box)
		l.mu.Unlock()
		close(done)
		writing.Wait()
	}
}

// tell gives a notice to all, and tells how many have no room for it.
func (l *listeners) tell(notice []byte) (missed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for box := range l.all {
		if !box.Put(notice) {
			missed++
		}
	}
	return missed
}

// NotifyDTMF tells the clients of TCP and unix sockets of a telephone event. A client that does not read misses some.
func (d *Dispatcher) NotifyDTMF(e *call.Event, at time.Time) {
	data := ngproto.Dict{{Key: "tags", Value: ngproto.Strings(e.Tags...)}}
	data.Add("callid", ngproto.String(e.CallID))
	data.Add("source_tag", ngproto.String(e.Tag))
	if e.Label != "" {
		data.Add("source_label", ngproto.String(e.Label))
	}
	data.Add("type", ngproto.String("DTMF"))
	data.Add("source_ip", ngproto.String(e.Source.Addr().String()))
	data.Add("timestamp", ngproto.Int(at.Unix()))
	data.Add("event", ngproto.Int(int64(e.Code)))
	data.Add("duration", ngproto.Int(e.Duration.Milliseconds()))
	data.Add("volume", ngproto.Int(int64(e.Volume)))
	notice := ngproto.Dict{{Key: "notify", Value: ngproto.String("onDTMF")}, {Key: "data", Value: ngproto.Map(data)}}
	d.missed.Add(uint64(d.listeners.tell(ngproto.EncodeRequest(fmt.Sprintf("%016x", rand.Uint64()), notice, ngproto.Bencode))))
}

// Missed returns how many notices found no room since clients did not read.
func (d *Dispatcher) Missed() uint64 { return d.missed.Load() }

// writer returns what writes whole messages to a connection, and closes it when that fails.
func (s *Stream) writer(conn net.Conn) func([]byte) error {
	var writing sync.Mutex
	return func(message []byte) error {
		writing.Lock()
		defer writing.Unlock()
		_ = conn.SetWriteDeadline(time.Now().Add(s.patience))
		_, err := conn.Write(message)
		if err != nil {
			conn.Close() // half a message may be out: the stream has no meaning any more
		}
		return err
	}
}
