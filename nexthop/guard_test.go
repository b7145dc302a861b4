package nexthop

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// encode makes one netlink attribute.
func encode(kind uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofNlAttr+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, -len(b)&3)...)
}

// number is an attribute in network order.
func number(kind uint16, n uint32) []byte {
	return encode(kind, binary.BigEndian.AppendUint32(nil, n)...)
}

// chain is what nfnetlink says of a chain with a hook.
func chain(family byte, hook, policy, rules uint32) []byte {
	b := append([]byte{family, 0, 0, 0}, encode(3, 'c', 0)...)
	b = append(b, encode(nftChainHook|unix.NLA_F_NESTED, append(number(nftHookNumber, hook), number(2, 0)...)...)...)
	return append(append(b, number(nftChainPolicy, policy)...), number(nftChainUse, rules)...)
}

func TestChainsThatSeeWhatLeaves(t *testing.T) {
	const input, drop = 1, 0
	for _, c := range []struct {
		name  string
		chain []byte
		sees  bool
	}{
		{"output with rules", chain(unix.AF_INET, nfLocalOut, nftAccept, 2), true},
		{"postrouting with rules", chain(1, nfPostRouting, nftAccept, 1), true},
		{"output without rules", chain(unix.AF_INET6, nfLocalOut, nftAccept, 0), false},
		{"output without rules that drops", chain(unix.AF_INET, nfLocalOut, drop, 0), true},
		{"input", chain(unix.AF_INET, input, drop, 9), false},
		{"egress of a device", chain(nfFamilyNetdev, nfNetdevEgress, nftAccept, 1), true},
		{"ingress of a device", chain(nfFamilyNetdev, 0, nftAccept, 1), false},
		{"called by others only", append([]byte{unix.AF_INET, 0, 0, 0}, number(nftChainUse, 3)...), false},
		{"what cannot be read", []byte{unix.AF_INET, 0}, true},
	} {
		if got := seesLeaving(c.chain); got != c.sees {
			t.Errorf("%s: %v, want %v", c.name, got, c.sees)
		}
	}
}

func FuzzSeesLeaving(f *testing.F) {
	f.Fuzz(func(t *testing.T, chain []byte) {
		if len(chain) < nfgenHeaderSize && !seesLeaving(chain) {
			t.Error("what cannot be read may do something")
		}
		seesLeaving(chain)
	})
}
