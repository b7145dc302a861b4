package call

import (
	"crypto/rand"
	"encoding/hex"
)

// newID makes up a call-id or a tag that nobody else has or can guess.
func newID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
