package main

import (
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func calls(t *testing.T) int {
	n := 200
	if v := os.Getenv("WEIR_DEATH_CALLS"); v != "" {
		n = value(strconv.Atoi(v))(t)
	}
	return n
}

func TestKillAndRestartLoseNoPacketOfAnEstablishedCall(t *testing.T) {
	for _, c := range []struct {
		name   string
		end    syscall.Signal
		engine string
	}{
		{"killed, XDP", syscall.SIGKILL, "xdp"},
		{"killed, tc", syscall.SIGKILL, "tc"},
		{"handed over for another binary", syscall.SIGUSR2, "auto"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, "--fast-path="+c.engine)
			s.start()
			calls := s.connect(calls(t))
			traffic := s.talk(calls)
			s.inKernel(calls)
			s.kept(calls)
			traffic.end()
			from := marks(calls)
			before := s.status().Packets

			traffic = s.talk(calls)
			s.signal(c.end)
			time.Sleep(time.Second) // of death
			s.start()
			s.inKernel(calls)
			time.Sleep(time.Second)
			traffic.end()
			s.expectAll(calls, from)
			if st := s.status(); st.Calls.Live != uint64(len(calls)) || st.Packets.Userspace > before.Userspace || st.Packets.Kernel <= before.Kernel {
				t.Errorf("after the restart: %+v %+v, before it %+v", st.Calls, st.Packets, before)
			}

			// Commands on calls of the process before.
			first := calls[0]
			reply := s.do("command", "query", "call-id", first.id)
			if n, _ := reply.Dict("totals").Dict("RTP").Int("packets"); n < int64(first.caller.sent) {
				t.Errorf("the query tells of %d packets, and %d came from the caller alone", n, first.caller.sent)
			}
			again := s.do("command", "offer", "call-id", first.id, "from-tag", "caller", "to-tag", "callee", "sdp", first.caller.sdp()).Text("sdp")
			if got, want := told(t, again), told(t, first.offer); got != want {
				t.Errorf("a re-offer tells %v, before the restart it was %v", got, want)
			}
			for _, c := range calls {
				s.do("command", "delete", "call-id", c.id, "from-tag", "caller")
			}
			s.eventually("the kernel has no flow any more", func() bool { return s.status().Flows.Kernel == 0 })
			s.signal(syscall.SIGTERM)
			s.expectBare()
		})
	}
}

func TestTwoInstancesWithTablesOfTheirOwn(t *testing.T) {
	s := newScene(t, "--fast-path=tc")
	s.start("--table=1", "--port-min=30000", "--port-max=34999")
	mine := s.connect(5)
	// The second one has other ports, another control socket and the same devices.
	other := &scene{T: t, left: s.left, host: s.host, right: s.right, dir: t.TempDir(), bpffs: s.bpffs, options: s.options, log: s.log, ngAddr: "127.0.0.1:2224"}
	other.start("--table=2", "--port-min=35000", "--port-max=39999")
	theirs := other.connect(5)
	traffic, more := s.talk(mine), other.talk(theirs)
	s.inKernel(mine)
	other.inKernel(theirs)
	other.kept(theirs)
	traffic.end()
	more.end()
	from := marks(mine)
	traffic, more = s.talk(mine), other.talk(theirs)
	other.signal(syscall.SIGKILL)
	time.Sleep(200 * time.Millisecond)
	other.start("--table=2", "--port-min=35000", "--port-max=39999")
	other.inKernel(theirs)
	other.signal(syscall.SIGTERM)
	more.end()
	traffic.end()
	s.expectAll(mine, from)
	if st := s.status(); st.Calls.Live != 5 || st.Flows.Kernel != 10 {
		t.Errorf("the other instance is left with %+v %+v", st.Calls, st.Flows)
	}
	s.signal(syscall.SIGTERM)
	s.expectBare()
}
