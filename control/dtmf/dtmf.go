// Package dtmf tells others of the keys that parties press: by UDP, and in the words that log lines have.
package dtmf

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/outbox"
)

// room is how many events wait to be told.
const room = 1024

// Config says who is told.
type Config struct {
	To     netip.AddrPort               // gets a datagram for each event of calls that name no other place; invalid: nobody does
	Notify func(*call.Event, time.Time) // is called for each event; nil: none is
	Line   func(string)                 // gets each event as a line; nil: none does
	Log    *slog.Logger
}

// Teller tells. Take is safe for concurrent use, Run is to be called once.
type Teller struct {
	cfg Config
	box *outbox.Box[event]
}

type event struct {
	call.Event
	at time.Time
}

// New returns a teller that keeps what it takes until Run.
func New(cfg Config) *Teller { return &Teller{cfg: cfg, box: outbox.New[event](room)} }

// Take queues an event. It neither waits nor allocates.
func (t *Teller) Take(e call.Event) { t.box.Put(event{e, time.Now()}) }

// Counts returns how many events were told of, and how many were not.
func (t *Teller) Counts() (sent, dropped uint64) { return t.box.Counts() }

// Run tells of events until ctx ends.
func (t *Teller) Run(ctx context.Context) error {
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return fmt.Errorf("open a socket for DTMF events: %w", err)
	}
	defer conn.Close()
	trouble := outbox.Trouble{Log: t.cfg.Log, To: t.cfg.To.String(), What: "DTMF events cannot be sent"}
	for {
		var e event
		select {
		case <-ctx.Done():
			return nil
		case e = <-t.box.Waiting():
		}
		text := encode(&e.Event, e.at)
		to := t.cfg.To
		if e.LogTo.IsValid() {
			to = e.LogTo
		}
		if to.IsValid() {
			_, err = conn.WriteToUDPAddrPort(text, to)
			trouble.Note(err)
		}
		if t.cfg.Notify != nil {
			t.cfg.Notify(&e.Event, e.at)
		}
		if t.cfg.Line != nil {
			t.cfg.Line(string(text))
		}
		t.box.Done(err == nil)
		err = nil
	}
}

// document is an event as rtpengine writes it, with its keys in their order.
type document struct {
	CallID    string   `json:"callid"`
	Tag       string   `json:"source_tag"`
	Label     string   `json:"source_label,omitempty"`
	Tags      []string `json:"tags"`
	Type      string   `json:"type"`
	Timestamp int64    `json:"timestamp"` // Unix seconds
	Source    string   `json:"source_ip"`
	Code      uint8    `json:"event"`
	Duration  int64    `json:"duration"` // ms
	Volume    uint8    `json:"volume"`   // power below 0 dBm0
}

// encode returns the event as one line of JSON without its end.
func encode(e *call.Event, at time.Time) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(&document{ // it fails for kinds of values that are not there
		CallID: e.CallID, Tag: e.Tag, Label: e.Label, Tags: append([]string{}, e.Tags...), Type: "DTMF", Timestamp: at.Unix(),
		Source: e.Source.Addr().String(), Code: e.Code, Duration: e.Duration.Milliseconds(), Volume: e.Volume,
	})
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
