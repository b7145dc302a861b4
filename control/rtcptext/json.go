// Package rtcptext says in text what RTCP packets say: as JSON the way Homer takes it, and as the lines of rtpengine's log.
package rtcptext

import (
	"bytes"
	"encoding/json"

	"github.com/weir-media/weir/rtp"
)

// document is a compound packet in the keys that Homer knows, in rtpengine's order.
type document struct {
	Sender *sender `json:"sender_information,omitempty"`
	*report
	*described
}

type sender struct {
	Seconds   uint32 `json:"ntp_timestamp_sec"`
	Fraction  uint32 `json:"ntp_timestamp_usec"` // of 2^32, whatever the key says
	Octets    uint32 `json:"octets"`
	Timestamp uint32 `json:"rtp_timestamp"`
	Packets   uint32 `json:"packets"`
}

type report struct {
	SSRC   uint32  `json:"ssrc"`
	Type   uint8   `json:"type"`
	Count  int     `json:"report_count"`
	Blocks []block `json:"report_blocks"`
}

type block struct {
	SSRC     uint32 `json:"source_ssrc"`
	Highest  uint32 `json:"highest_seq_no"`
	Fraction uint8  `json:"fraction_lost"`
	Jitter   uint32 `json:"ia_jitter"`
	Lost     int32  `json:"packets_lost"`
	LastSR   uint32 `json:"lsr"`
	Delay    uint32 `json:"dlsr"`
}

type described struct {
	Count int    `json:"sdes_report_count"`
	Items []item `json:"sdes_information"`
}

type item struct {
	SSRC uint32 `json:"sdes_chunk_ssrc"`
	Type uint8  `json:"type"`
	Text string `json:"text"`
}

// JSON returns what a compound packet reports and whom it describes; nil when it does neither.
func JSON(data []byte) []byte {
	var doc document
	var c rtp.Compound
	var p rtp.Packet
	var r rtp.Report
	for c.Reset(data); c.Next(&p); {
		switch p.Type {
		case rtp.TypeSenderReport, rtp.TypeReceiverReport:
			if r.Parse(p) == nil {
				doc.report = doc.add(&r, p.Type)
			}
		case rtp.TypeSourceDescription:
			if doc.described == nil {
				doc.described = &described{Items: []item{}}
			}
			doc.described.Count += int(p.Count)
			for i := range p.SourceItems {
				doc.Items = append(doc.Items, item{i.SSRC, i.Type, printable(i.Text)})
			}
		}
	}
	if doc.report == nil && doc.described == nil {
		return nil
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(&doc) // it fails for kinds of values that are not there
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// add returns the reports so far and r. Several in one packet are those of one sender, which had more to say than fits into one.
func (d *document) add(r *rtp.Report, packetType uint8) *report {
	all := d.report
	if all == nil {
		all = &report{SSRC: r.SSRC, Type: packetType, Blocks: []block{}}
	}
	if r.Sender && d.Sender == nil {
		d.Sender = &sender{
			Seconds: uint32(r.Info.NTP >> 32), Fraction: uint32(r.Info.NTP), Octets: r.Info.Bytes, Timestamp: r.Info.Timestamp, Packets: r.Info.Packets,
		}
	}
	for i := range r.Reports {
		b := &r.Reports[i]
		all.Blocks = append(all.Blocks, block{b.SSRC, b.HighestSeq, b.FractionLost, b.Jitter, b.Lost, b.LastSR, b.Delay})
	}
	all.Count = len(all.Blocks)
	return all
}

// printable replaces what is not ASCII, as nobody says what it would be.
func printable(text []byte) string {
	return string(bytes.Map(func(r rune) rune {
		if r > 0x7e {
			return '_'
		}
		return r
	}, text))
}
