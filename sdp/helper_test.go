package sdp

import (
	"encoding/json"
	"net/netip"
)

func mustAddr(text string) netip.Addr { return netip.MustParseAddr(text) }

// dump shows the fields of a description in one line.
func dump(d *Description) string {
	text, err := json.Marshal(d)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
