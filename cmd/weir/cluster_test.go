package main

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/internal/netrig"
	"github.com/weir-media/weir/internal/redistest"
)

// The service address that moves, and where everybody is.
var (
	service    = netip.MustParsePrefix("10.0.1.1/24")
	phonesAddr = netip.MustParsePrefix("10.0.1.2/24")
)

// duo is two nodes on one network that keep their calls in one Redis server, and of which one has the service address.
type duo struct {
	*testing.T
	one, two *scene
	phones   *netrig.Host
	redis    *redistest.Server
	first    *redis.Client // the database of the first node
	second   *redis.Client
}

// newDuo starts the nodes, with a database each unless they share one.
func newDuo(t *testing.T, shared bool, options ...string) *duo {
	rig := netrig.Start(t)
	d := &duo{T: t, phones: value(rig.Host("phones"))(t)}
	sw := value(rig.Host("switch"))(t)
	end := func(h *netrig.Host, device string, addrs ...netip.Prefix) netrig.End {
		return netrig.End{Host: h, Device: device, Addrs: addrs, GRO: true}
	}
	node := func(name, own string) *scene {
		h := value(rig.Host(name))(t)
		must(t, rig.Link(end(sw, name), end(h, "eth0", netip.MustParsePrefix(own))))
		s := newNode(t, h)
		s.bpffs = value(rig.BPFFS())(t)
		s.interfaces = []string{"--interface=" + service.Addr().String()}
		s.options = append([]string{"--listen-cli=127.0.0.1:9900", "--redis-connect-timeout=5000"}, options...)
		return s
	}
	d.one, d.two = node("one", "10.0.1.11/24"), node("two", "10.0.1.12/24")
	must(t, rig.Link(end(sw, "phones"), end(d.phones, "eth0", phonesAddr)))
	must(t, sw.Bridge("br0", "one", "two", "phones"))
	must(t, d.one.host.Own("eth0", service))

	d.redis = redistest.StartAt(t, "0.0.0.0", 6379, func(cmd *exec.Cmd) error { return d.phones.Start(cmd) }, "--protected-mode", "no")
	d.first, d.second = d.client(1), d.client(2)
	at := phonesAddr.Addr().String() + ":6379/"
	if shared {
		d.one.options = append(d.one.options, "--redis="+at+"1", "--subscribe-keyspace=1")
		d.two.options = append(d.two.options, "--redis="+at+"1", "--subscribe-keyspace=1")
	} else {
		d.one.options = append(d.one.options, "--redis="+at+"1", "--subscribe-keyspace=2")
		d.two.options = append(d.two.options, "--redis="+at+"2", "--subscribe-keyspace=1")
	}
	d.one.start()
	d.two.start()
	return d
}

// client is one of a database, out of the namespace that the server is in.
func (d *duo) client(db int) *redis.Client {
	d.Helper()
	c := d.redis.ClientBy(db, func(dial func() error) error { return d.phones.Do(dial) })
	d.Cleanup(func() { c.Close() })
	return c
}

// ctl runs a command of rtpengine-ctl at a node.
func (s *scene) ctl(line string) string {
	s.Helper()
	var out strings.Builder
	must(s.T, s.host.Do(func() error {
		req, err := cli.ParseCtl(append([]string{"--ip", "127.0.0.1:9900"}, strings.Fields(line)...))
		if err != nil {
			return err
		}
		return req.Do(&out)
	}))
	return out.String()
}

// sessions tells how many calls a node has of its own, and of others.
func (s *scene) sessions() (own, foreign int) {
	s.Helper()
	if _, err := fmt.Sscanf(s.ctl("list numsessions"), "Current sessions own: %d\nCurrent sessions foreign: %d\n", &own, &foreign); err != nil {
		s.Fatal(err)
	}
	return own, foreign
}

func (s *scene) expectSessions(own, foreign int) {
	s.Helper()
	s.eventually(fmt.Sprintf("%d calls of its own, %d foreign", own, foreign), func() bool {
		a, b := s.sessions()
		return a == own && b == foreign
	})
}

// calls sets up calls at the first node, the last one with SRTP on the caller's side, whose packets are about to be numbered from 0
// again.
func (d *duo) calls(n int) []*testCall {
	d.Helper()
	all := make([]*testCall, n)
	for i := range all {
		c := d.call(fmt.Sprint("call ", i), uint32(2*i+1))
		if i == n-1 {
			c.caller.first = 1<<16 - 8
			must(d.T, c.caller.keys.renew(7, 0, c.caller.ssrc))
		}
		d.one.negotiate(c)
		c.callee.to, c.caller.to = told(d.T, c.offer), told(d.T, c.reply)
		if i == n-1 {
			must(d.T, c.caller.keys.take(c.reply, 0, c.callee.ssrc))
		}
		all[i] = c
	}
	return all
}

// call makes the phones of a call.
func (d *duo) call(id string, ssrc uint32) *testCall {
	at := phonesAddr.Addr().String()
	return &testCall{id: id, caller: d.one.phone(d.phones, at, ssrc), callee: d.one.phone(d.phones, at, ssrc+1)}
}

// negotiate has the caller offer, or offer again, and the callee, who speaks RTP, answer.
func (s *scene) negotiate(c *testCall) {
	s.Helper()
	c.offer = s.do("command", "offer", "call-id", c.id, "from-tag", "caller", "to-tag", "callee", "sdp", c.caller.sdp(), "transport-protocol", "RTP/AVP").Text("sdp")
	c.reply = s.do("command", "answer", "call-id", c.id, "from-tag", "caller", "to-tag", "callee", "sdp", c.callee.sdp()).Text("sdp")
}

// hear waits until every phone hears packets that are sent from now on.
func (d *duo) hear(calls []*testCall) {
	d.Helper()
	before := make(map[*testPhone]uint64)
	for _, c := range calls {
		before[c.caller], before[c.callee] = c.caller.got.Load(), c.callee.got.Load()
	}
	traffic := d.one.talk(calls)
	defer traffic.end()
	d.one.eventually("all phones hear", func() bool {
		for phone, n := range before {
			if phone.got.Load() < n+20 {
				return false
			}
		}
		return true
	})
}

// move gives the service address to another node.
func (d *duo) move(from, to *scene) {
	d.Helper()
	must(d.T, from.host.Disown("eth0", service))
	must(d.T, to.host.Own("eth0", service))
	must(d.T, d.phones.Forget("eth0", service.Addr()))
}

// known waits until the second node knows all about the calls of the first.
func (d *duo) known(calls []*testCall) {
	d.Helper()
	d.one.eventually("the first node has written all", func() bool {
		for _, s := range d.one.status().Stores {
			if s.Name == "redis" {
				return s.Kept == len(calls) && s.Pending == 0
			}
		}
		return false
	})
	d.two.expectSessions(0, len(calls))
}

func TestASecondNodeGoesOnWithTheCallsOfOneThatIsKilled(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []string
		active  bool // an operator takes the calls over
	}{
		{"by the first packets", []string{"--active-switchover"}, false},
		{"by the first packets, all in userspace by a socket each", []string{"--active-switchover", "--table=-1", "--userspace-io=sockets"}, false},
		{"by an operator", nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			const n = 4
			d := newDuo(t, false, c.options...)
			calls := d.calls(n)
			secure := calls[n-1]
			d.hear(calls)
			if secure.caller.first+secure.caller.sent <= 1<<16 {
				t.Fatal("the packets with SRTP have not come round to 0")
			}
			d.one.negotiate(secure) // so that what is kept is of a time after that
			d.known(calls)
			d.hear(calls)
			d.known(calls)

			d.one.signal(syscall.SIGKILL)
			d.move(d.one, d.two)
			d.hear(calls)
			if c.active {
				d.two.expectSessions(0, n)
				if got := d.two.ctl("active"); got != "Ok, all calls set to 'owned (active)'\n" {
					t.Errorf("active prints %q", got)
				}
			}
			d.two.expectSessions(n, 0)
			d.hear(calls)
			if c.name == "by the first packets" {
				// Plain calls and their like are in the kernel here, too.
				traffic := d.one.talk(calls)
				d.two.eventually("calls are in the kernel", func() bool { return d.two.status().Flows.Kernel >= 2*(n-1) })
				traffic.end()
			}
			d.two.eventually("the calls are in the database of the second node alone", func() bool {
				return d.first.DBSize(t.Context()).Val() == 0 && d.second.DBSize(t.Context()).Val() == n
			})
			for _, call := range calls {
				d.two.negotiate(call)
				if a, b := told(t, call.offer), told(t, call.reply); a != call.callee.to || b != call.caller.to {
					t.Errorf("%s: told are %v and %v, before it were %v and %v", call.id, a, b, call.callee.to, call.caller.to)
				}
			}
			d.hear(calls)
			for _, call := range calls {
				d.two.do("command", "delete", "call-id", call.id, "from-tag", "caller")
			}
			d.two.expectSessions(0, 0)
			d.two.eventually("Redis is empty", func() bool {
				return d.first.DBSize(t.Context()).Val()+d.second.DBSize(t.Context()).Val() == 0
			})
			d.two.signal(syscall.SIGTERM)
		})
	}
}

// TestTheAddressGoesThereAndBack has both nodes alive, with one database, and the server of that die on the way.
func TestTheAddressGoesThereAndBack(t *testing.T) {
	const n = 3
	d := newDuo(t, true, "--active-switchover", "--state-dir=none")
	calls := d.calls(n)
	d.hear(calls)
	d.known(calls)

	d.redis.Kill()
	d.hear(calls)
	more := d.call("without Redis", 101)
	d.one.negotiate(more)
	more.callee.to, more.caller.to = told(t, more.offer), told(t, more.reply)
	calls = append([]*testCall{more}, calls...)
	d.hear(calls)
	d.redis.Again()
	d.redis.Await(d.first)
	d.one.eventually("all calls are in Redis again", func() bool { return d.first.DBSize(t.Context()).Val() == n+1 })
	d.two.expectSessions(0, n+1)

	d.move(d.one, d.two)
	d.hear(calls)
	d.two.expectSessions(n+1, 0)
	d.one.expectSessions(0, n+1) // they are not what it times out, or deletes
	d.move(d.two, d.one)
	d.hear(calls)
	d.one.expectSessions(n+1, 0)
	d.two.expectSessions(0, n+1)
	for _, call := range calls {
		d.one.do("command", "delete", "call-id", call.id, "from-tag", "caller")
	}
	d.one.expectSessions(0, 0)
	d.two.expectSessions(0, 0)
	d.one.eventually("Redis is empty", func() bool { return d.first.DBSize(t.Context()).Val() == 0 })
	for _, s := range []*scene{d.one, d.two} {
		s.signal(syscall.SIGTERM)
	}
}
