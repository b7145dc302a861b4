package recording

import (
	"encoding/hex"
	"hash/fnv"
	"strings"
)

// maxName leaves room for what is appended to a name of a file, which may have 255 bytes.
const maxName = 200

// Safe makes a file name of a text that anybody may have sent, such as a call-id: letters, digits and a few marks stay, everything else
// becomes % and its code. Different texts have different names. It has no slash and does not begin with a dot.
func Safe(text string) string {
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("@_-=;,+~", c) >= 0, c == '.' && i > 0:
			b.WriteByte(c)
		default:
			b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	name := b.String()
	if len(name) > maxName {
		hash := fnv.New128a()
		hash.Write([]byte(text)) // never fails
		name = name[:maxName-40] + "~" + hex.EncodeToString(hash.Sum(nil))
	}
	if name == "" {
		return "%"
	}
	return name
}
