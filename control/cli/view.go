package cli

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
)

// view puts a snapshot into the form of the tools.
func view(s *call.Snapshot, now time.Time) Call {
	c := Call{
		CallID: s.CallID, Language: s.Language.String(), State: string(s.State), Created: s.Created, AgeSeconds: int64(now.Sub(s.Created).Seconds()),
		EndsSeconds: int64(s.Ends.Sub(now).Seconds()), EndsBy: s.EndsBy.String(), Legs: []Leg{},
	}
	for _, p := range s.Parties {
		name := p.Party.Tag
		if name == "" {
			name = "untagged " + strconv.Itoa(int(p.Party.ID))
		}
		for i, m := range p.Media {
			for _, st := range m.Streams {
				c.Legs = append(c.Legs, leg(name, i+1, &m, &st))
			}
		}
	}
	return c
}

func leg(party string, index int, m *call.MediaSnapshot, s *call.StreamSnapshot) Leg {
	st := &s.Stats
	l := Leg{
		Party: party, Media: m.Media.Type, Index: index, Codec: m.Codec, Component: "RTP",
		Local: s.Local.String(), Signalled: text(s.Signalled), Source: text(st.Source), Dest: text(st.Destination),
		Plane: string(st.Plane), Why: st.Why,
		Packets: st.In.Packets + st.Kernel.Packets, Bytes: st.In.Bytes + st.Kernel.Bytes,
		KernelPackets: st.Kernel.Packets, UserPackets: st.In.Packets, LearningPackets: st.LearningPackets,
		PacketsOut: st.Out.Packets, Lost: st.Lost, Refused: st.Refused, Errors: st.Errors, LastPacketMS: -1,
	}
	if s.RTCP {
		l.Component = "RTCP"
	}
	if last := max(st.LastUser, st.LastKernel); last > 0 {
		l.LastPacketMS = (media.Now() - last).Milliseconds()
	}
	return l
}

func text(ap netip.AddrPort) string {
	if !ap.IsValid() {
		return ""
	}
	return ap.String()
}

// Rank turns counts by reason into a list, most frequent first.
func Rank(counts map[string]uint64) []ReasonCount {
	ranked := make([]ReasonCount, 0, len(counts))
	for reason, n := range counts {
		if n > 0 {
			ranked = append(ranked, ReasonCount{reason, n})
		}
	}
	slices.SortFunc(ranked, func(a, b ReasonCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return ranked
}
