package codec

import (
	"slices"
	"strings"
)

// compareAMR compares parameters of AMR and AMR-WB (RFC 4867, section 8). Those that frame the payload must be the same; the set
// of modes decides whether one side can send what the other does not take. Others have no say.
func compareAMR(a, b string) Match {
	x, y := parseParams(a), parseParams(b)
	for _, key := range []string{"octet-align", "crc", "robust-sorting"} {
		if x.or(key, "0") != y.or(key, "0") {
			return Different
		}
	}
	if x.or("interleaving", "") != y.or("interleaving", "") {
		return Different
	}
	switch mine, other := modeSet(x), modeSet(y); {
	case slices.Equal(mine, other) && x.or("mode-change-period", "1") == y.or("mode-change-period", "1") &&
		x.or("mode-change-neighbor", "0") == y.or("mode-change-neighbor", "0"):
		return Same
	case mine == nil || other != nil && within(other, mine):
		return Within
	}
	return Compatible
}

// modeSet returns the allowed modes in order, nil for all of them.
func modeSet(p params) []string {
	text, ok := p.get("mode-set")
	if !ok {
		return nil
	}
	modes := strings.Split(text, ",")
	for i := range modes {
		modes[i] = strings.TrimSpace(modes[i])
	}
	slices.Sort(modes)
	return slices.Compact(modes)
}

func within(part, whole []string) bool {
	return !slices.ContainsFunc(part, func(m string) bool { return !slices.Contains(whole, m) })
}
