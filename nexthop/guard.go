package nexthop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// guard looks for what a frame would get around: it meets no firewall, no IPsec and no rule that asks for ports.
type guard struct {
	unfiltered bool
	xfrm       *netlink.Handle   // nil: the kernel has no IPsec
	netfilter  *nl.NetlinkSocket // nil: the kernel has no nftables
}

func newGuard(unfiltered bool) (*guard, error) {
	g := &guard{unfiltered: unfiltered}
	var err error
	if g.xfrm, err = netlink.NewHandle(unix.NETLINK_XFRM); err != nil && !errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, fmt.Errorf("look for IPsec: %w", err)
	}
	g.netfilter, err = nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_NETFILTER)
	if err != nil && !errors.Is(err, unix.EPROTONOSUPPORT) {
		g.close()
		return nil, fmt.Errorf("look for a firewall: %w", err)
	}
	return g, nil
}

func (g *guard) close() {
	if g.xfrm != nil {
		g.xfrm.Close()
	}
	if g.netfilter != nil {
		g.netfilter.Close()
	}
}

// verdict is what may be sent, and in words why nothing better.
type verdict struct {
	means Means
	why   string
}

// judge looks for all of it.
func (g *guard) judge(handle *netlink.Handle) verdict {
	for _, l := range []struct {
		look  func(*netlink.Handle) (string, error)
		means Means
	}{{g.ipsec, Datagrams}, {rules, Datagrams}, {g.firewall, Packets}} {
		why, err := l.look(handle)
		if err != nil {
			why = err.Error()
		}
		if why != "" {
			return verdict{l.means, why}
		}
	}
	return verdict{means: Frames}
}

func (g *guard) ipsec(*netlink.Handle) (string, error) {
	if g.xfrm == nil {
		return "", nil
	}
	policies, err := dump(func() ([]netlink.XfrmPolicy, error) { return g.xfrm.XfrmPolicyList(netlink.FAMILY_ALL) })
	switch {
	case err != nil:
		return "", fmt.Errorf("look for IPsec: %w", err)
	case len(policies) > 0:
		return "IPsec policies are in force (ip xfrm policy)", nil
	}
	return "", nil
}

// rules looks for routing rules that ask for more than addresses, which is all that a look-up here says.
func rules(handle *netlink.Handle) (string, error) {
	all, err := dump(func() ([]netlink.Rule, error) { return handle.RuleList(netlink.FAMILY_ALL) })
	if err != nil {
		return "", fmt.Errorf("list the routing rules: %w", err)
	}
	for _, r := range all {
		if r.Tos != 0 || r.Dport != nil || r.Sport != nil || r.IPProto != 0 || r.OifName != "" {
			return "routing rules look at ports, protocols or TOS (ip rule)", nil
		}
	}
	return "", nil
}

// firewall looks for rules of nftables or iptables that see packets which leave, and for connection tracking, which a
// firewall may need to let the answers in.
func (g *guard) firewall(*netlink.Handle) (string, error) {
	if g.unfiltered {
		return "", nil
	}
	for _, path := range []string{"/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names"} {
		// A kernel without iptables has no such file.
		if tables, err := os.ReadFile(path); err == nil && len(bytes.TrimSpace(tables)) > 0 {
			return "iptables may have rules for packets that leave (" + strings.Join(strings.Fields(string(tables)), ", ") + ")", nil
		}
	}
	if tracked, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count"); err == nil && string(bytes.TrimSpace(tracked)) != "0" {
		return "connections are tracked (nf_conntrack), for a firewall perhaps", nil
	}
	return g.nftables()
}

// Constants of nfnetlink (Linux uapi, nfnetlink.h and nf_tables.h).
const (
	nftSubsystem   = 10
	nftNewChain    = 3
	nftGetChain    = 4
	nftChainHook   = 4
	nftChainPolicy = 5
	nftChainUse    = 6
	nftHookNumber  = 1
	nftAccept      = 1

	nlaTypeMask = 0x3fff

	nfFamilyNetdev  = 5
	nfLocalOut      = 3
	nfPostRouting   = 4
	nfNetdevEgress  = 1
	nfgenHeaderSize = 4
)

// familyHeader is struct nfgenmsg for all families.
type familyHeader [nfgenHeaderSize]byte

func (h familyHeader) Len() int          { return len(h) }
func (h familyHeader) Serialize() []byte { return h[:] }

func (g *guard) nftables() (string, error) {
	if g.netfilter == nil {
		return "", nil
	}
	req := nl.NewNetlinkRequest(nftSubsystem<<8|nftGetChain, unix.NLM_F_DUMP)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_NETFILTER: {Socket: g.netfilter}}
	req.AddData(familyHeader{})
	chains, err := dump(func() ([][]byte, error) { return req.Execute(unix.NETLINK_NETFILTER, nftSubsystem<<8|nftNewChain) })
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOENT):
		return "", nil // no nftables in this kernel
	case err != nil:
		return "", fmt.Errorf("look for a firewall: %w", err)
	}
	for _, c := range chains {
		if seesLeaving(c) {
			return "nftables has rules for packets that leave (nft list ruleset)", nil
		}
	}
	return "", nil
}

// seesLeaving tells whether a chain, as nfnetlink describes it, does something to packets that leave. What cannot be read
// may.
func seesLeaving(chain []byte) bool {
	if len(chain) < nfgenHeaderSize {
		return true
	}
	hooked, idle, policy := false, false, uint32(nftAccept)
	for rest := chain[nfgenHeaderSize:]; len(rest) > 0; {
		a, next, ok := nextAttribute(rest)
		if !ok {
			return true
		}
		rest = next
		switch a.kind {
		case nftChainHook:
			number, ok := hookNumber(a.value)
			if !ok {
				return true
			}
			if chain[0] == nfFamilyNetdev {
				hooked = number == nfNetdevEgress
			} else {
				hooked = number == nfLocalOut || number == nfPostRouting
			}
		case nftChainPolicy:
			policy = a.number()
		case nftChainUse:
			idle = a.number() == 0
		}
	}
	return hooked && (!idle || policy != nftAccept)
}

// hookNumber finds the number in the description of a hook.
func hookNumber(hook []byte) (number uint32, ok bool) {
	for len(hook) > 0 {
		var a attribute
		if a, hook, ok = nextAttribute(hook); !ok {
			return 0, false
		}
		if a.kind == nftHookNumber {
			return a.number(), true
		}
	}
	return 0, false
}

// attribute is one of netlink's.
type attribute struct {
	kind  uint16
	value []byte
}

// number reads a number in network order, all ones when it is none.
func (a attribute) number() uint32 {
	if len(a.value) != 4 {
		return ^uint32(0)
	}
	return binary.BigEndian.Uint32(a.value)
}

// nextAttribute cuts the first attribute off. The library's own loop panics where the last one lacks its padding.
func nextAttribute(b []byte) (a attribute, rest []byte, ok bool) {
	if len(b) < unix.SizeofNlAttr {
		return a, nil, false
	}
	size := int(binary.NativeEndian.Uint16(b))
	if size < unix.SizeofNlAttr || size > len(b) {
		return a, nil, false
	}
	a = attribute{binary.NativeEndian.Uint16(b[2:]) & nlaTypeMask, b[unix.SizeofNlAttr:size]}
	return a, b[min(len(b), (size+3)&^3):], true
}
