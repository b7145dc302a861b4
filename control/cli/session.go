package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
)

// describe shows one call.
func (c *Commands) describe(snap *call.Snapshot) string {
	word := func(yes bool) string {
		if yes {
			return "yes"
		}
		return "no"
	}
	deleted := word(snap.State == call.StateDeleted)
	var b strings.Builder
	fmt.Fprintf(&b, "\ncallid: %s\n", snap.CallID)
	for _, alias := range snap.Aliases {
		fmt.Fprintf(&b, "alias: %s\n", alias)
	}
	fmt.Fprintf(&b, "deletionmark: %s\ncreated: %d\nproxy: %s\ntos: %d\nlast_signal: %d\nredis_keyspace: %d\nlast redis update: %d\n"+
		"foreign: %s\nrecording: no\n\n", deleted, snap.Created.Unix(), creator(snap), snap.TOS, snap.LastSignal.Unix(),
		c.Cluster.Keyspace(snap), c.updated(snap.CallID), word(snap.Foreign))
	for i := range snap.Parties {
		writeParty(&b, snap, &snap.Parties[i])
	}
	return b.String() + "\n"
}

func writeParty(b *strings.Builder, snap *call.Snapshot, p *call.PartySnapshot) {
	side := "UNKNOWN"
	switch {
	case p.Party.OfferedBy != 0:
		side = "TO_TAG"
	case p.Party.Role == call.RoleDialogue:
		side = "FROM_TAG"
	}
	fmt.Fprintf(b, "--- Tag '%s', type: %s, label '%s', branch '%s', callduration %.6f\n", p.Party.Tag, side, p.Party.Label,
		p.Party.ViaBranch, time.Since(p.Party.Created).Seconds())
	if len(p.Party.Aliases) > 0 {
		fmt.Fprintf(b, "---     Aliases: '%s'\n", strings.Join(p.Party.Aliases, "', '"))
	}
	for _, m := range p.Media {
		for _, s := range m.Media.Hears {
			fmt.Fprintf(b, "---     subscribed to media with monologue tag '%s' (index: %d)\n", tagOf(snap, s.Party), s.Media+1)
		}
	}
	for i := range snap.Parties {
		other := &snap.Parties[i]
		for j, m := range other.Media {
			for _, s := range m.Media.Hears {
				if s.Party == p.Party.ID {
					fmt.Fprintf(b, "---     subscription of media with monologue tag '%s' (index: %d)\n", other.Party.Tag, j+1)
				}
			}
		}
	}
	for i := range p.Media {
		writeMedia(b, i, &p.Media[i])
	}
}

// tagOf returns the tag of a party; empty when it has none yet.
func tagOf(snap *call.Snapshot, id call.PartyID) string {
	for i := range snap.Parties {
		if snap.Parties[i].Party.ID == id {
			return snap.Parties[i].Party.Tag
		}
	}
	return ""
}

func writeMedia(b *strings.Builder, index int, m *call.MediaSnapshot) {
	protocol, codec := string(m.Media.Protocol), m.Codec
	if protocol == "" {
		protocol = "(unknown)"
	}
	if codec == "" {
		codec = "unknown codec"
	}
	fmt.Fprintf(b, "------ Media #%d (%s over %s) using %s\n", index+1, m.Media.Type, protocol, codec)
	for _, s := range m.Streams {
		kind := ""
		if s.RTCP {
			kind = " (RTCP)"
		}
		to := s.Stats.Destination
		address, port := "", uint16(0)
		if to.IsValid() {
			address, port = to.Addr().String(), to.Port()
		}
		fmt.Fprintf(b, "-------- Port %15s:%-5d <> %15s:%-5d%s, SSRC %x, %d p, %d b, %d e, %d uts %d kts\n",
			s.Local.Addr(), s.Local.Port(), address, port, kind, s.Stats.SSRC,
			s.Stats.In.Packets+s.Stats.Kernel.Packets, s.Stats.In.Bytes+s.Stats.Kernel.Bytes, s.Stats.Errors,
			epoch(s.Stats.LastUser), epoch(s.Stats.LastKernel))
	}
}

// epoch turns a time on the media plane's clock into seconds of the epoch; 0 stays 0.
func epoch(at time.Duration) int64 {
	if at == 0 {
		return 0
	}
	return time.Now().Add(at - media.Now()).Unix()
}
