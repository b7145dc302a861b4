package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/recording"
)

const (
	// captureQueue is what a capture holds for a client that does not read: some ten seconds of a call with video.
	captureQueue = 4 << 20
	// maxCaptures at a time: each may take twice its queue, and copies cost every call that is captured.
	maxCaptures = 8
	// capturePatience is how long a client may take nothing before its capture ends.
	capturePatience = time.Minute
	// captureTrailer is the HTTP trailer that says how a capture went.
	captureTrailer = "Weir-Captured"
	// maxInterfaceText bounds what a peer can make the name of an interface be.
	maxInterfaceText = 250
)

// Why a capture ends.
const (
	endedByCall     = "the call has ended"
	endedByClient   = "stopped"
	endedByPackets  = "as many packets as wanted"
	endedByDuration = "as long as wanted"
	endedByLoss     = "the client is gone"
)

// CaptureOptions bound a capture. The zero value does not.
type CaptureOptions struct {
	Duration time.Duration // 0: as long as the call lives
	Packets  uint64        // 0: any number
	SnapLen  int           // bytes of a packet that are kept, from the IP header on; 0: all
	Only     string        // OnlyReceived or OnlySent; empty: both
}

// The directions that CaptureOptions.Only names.
const (
	OnlyReceived = "received" // by Weir
	OnlySent     = "sent"
)

// parse reads options out of a query.
func (o *CaptureOptions) parse(query func(string) string) (err error) {
	if text := query("duration"); text != "" {
		if o.Duration, err = time.ParseDuration(text); err != nil || o.Duration < 0 {
			return errors.New("duration must be a time such as 30s")
		}
	}
	if text := query("packets"); text != "" {
		if o.Packets, err = strconv.ParseUint(text, 10, 64); err != nil {
			return errors.New("packets must be a number that is not negative")
		}
	}
	if text := query("snaplen"); text != "" {
		if o.SnapLen, err = strconv.Atoi(text); err != nil || o.SnapLen < 0 || o.SnapLen > 1<<16 {
			return errors.New("snaplen must be a number from 0 to 65536")
		}
	}
	switch o.Only = query("only"); o.Only {
	case "", OnlyReceived, OnlySent:
		return nil
	}
	return errors.New("only must be received or sent")
}

// capture is a call.Capture for a client.
type capture struct {
	*recording.Capture
	only    string
	missing atomic.Uint64
	over    chan struct{} // closed when no more comes
	once    sync.Once
	why     string // set once
}

// stop has no more be written than what has been heard. The first reason counts.
func (c *capture) stop(why string) {
	c.once.Do(func() { c.why = why })
	c.Capture.Close()
}

// Over is for the call.
func (c *capture) Over(missing uint64) {
	c.missing.Store(missing)
	c.stop(endedByCall)
	close(c.over)
}

// Media is for the call.
func (c *capture) Media(m call.CapturedMedia) media.Tap {
	tap := c.Tap(interfaceOf(&m))
	if c.only == "" {
		return tap
	}
	return oneWay{tap, c.only == OnlySent}
}

// oneWay hears one direction.
type oneWay struct {
	media.Tap
	sent bool
}

// Packet passes on what is of the direction.
func (o oneWay) Packet(p *media.TapPacket) {
	if p.Sent == o.sent {
		o.Tap.Packet(p)
	}
}

// interfaceOf names a media.
func interfaceOf(m *call.CapturedMedia) recording.Interface {
	party := cmp.Or(m.Tag, "untagged "+strconv.Itoa(int(m.Party)))
	var b strings.Builder
	fmt.Fprintf(&b, "party %s", party)
	for _, part := range [][2]string{{"label", m.Label}, {"branch", m.Branch}} {
		if part[1] != "" {
			fmt.Fprintf(&b, ", %s %s", part[0], part[1])
		}
	}
	fmt.Fprintf(&b, ", media %d (%s)", m.Number, m.Type)
	if m.Shared {
		b.WriteString(" with those bundled with it")
	}
	fmt.Fprintf(&b, ", call %s", m.CallID)
	return recording.Interface{Name: plainText(fmt.Sprintf("%s %s %d", party, m.Type, m.Number)), Description: plainText(b.String())}
}

// plainText makes text that anybody may have sent fit for a file.
func plainText(text string) string {
	if len(text) > maxInterfaceText {
		text = text[:maxInterfaceText-1] + "…"
	}
	return strings.ToValidUTF8(text, "?")
}

// capture answers with a pcapng file that grows until the call ends, a limit is reached, or the client ends its request. How it went is
// in the trailer.
func (s *Server) capture(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	_ = rc.EnableFullDuplex() // HTTP/1.1 can: the client's end is awaited while the file is sent
	hangUp := func() { _ = rc.SetReadDeadline(time.Unix(1, 0)) }
	defer hangUp() // or else the server would wait for the client's end, whatever the answer was
	var o CaptureOptions
	if err := o.parse(r.URL.Query().Get); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if s.captures.Add(1) > maxCaptures {
		s.captures.Add(-1)
		http.Error(w, fmt.Sprintf("there are %d captures already: end one first", maxCaptures), http.StatusTooManyRequests)
		return
	}
	defer s.captures.Add(-1)
	id, calls := r.PathValue("id"), s.host.Calls()
	c := &capture{Capture: recording.NewCapture(captureQueue), only: o.Only, over: make(chan struct{})}
	c.Comment = plainText("call " + id)
	if err := calls.Capture(id, c); err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	log := calls.Config().Log
	log.Info("a call is captured", "call", id, "by", clientOf(r))
	defer func() { log.Info("the capture has ended", "call", id, "why", c.why) }()
	began := time.Now()
	heard := make(chan struct{})
	go func() { // the body has no content, only an end
		defer close(heard)
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			c.stop(endedByLoss)
			return
		}
		c.stop(endedByClient)
	}()
	defer func() {
		hangUp()
		<-heard
	}()
	if o.Duration > 0 {
		timer := time.AfterFunc(o.Duration, func() { c.stop(endedByDuration) })
		defer timer.Stop()
	}
	w.Header().Set("Trailer", captureTrailer)
	w.Header().Set("Content-Type", "application/x-pcapng")
	packets, err := c.Write(patient{w, rc}, rc.Flush, o.Packets, o.SnapLen)
	if err != nil {
		c.stop(endedByLoss)
	}
	c.stop(endedByPackets) // if there was no other reason
	calls.EndCapture(id, c)
	<-c.over
	report := Captured{
		CallID: id, Packets: packets, DroppedQueue: c.Dropped(), DroppedKernel: c.missing.Load(), Seconds: time.Since(began).Seconds(), Ended: c.why,
	}
	text, _ := json.Marshal(report) // always possible
	w.Header().Set(captureTrailer, string(text))
}

// patient writes to clients that take what they are sent now and then.
type patient struct {
	io.Writer
	rc *http.ResponseController
}

// Write fails when the client has taken nothing for too long.
func (p patient) Write(b []byte) (int, error) {
	if err := p.rc.SetWriteDeadline(time.Now().Add(capturePatience)); err != nil {
		return 0, err
	}
	return p.Writer.Write(b)
}
