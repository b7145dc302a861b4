package call_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
)

// camera is a Capture that notes what passes where.
type camera struct {
	mu    sync.Mutex
	taps  map[call.CapturedMedia]*lens
	saw   []string
	ended int
}

// lens is the tap of a media.
type lens struct {
	camera *camera
	of     string
}

func newCamera() *camera { return &camera{taps: make(map[call.CapturedMedia]*lens)} }

func (c *camera) Media(m call.CapturedMedia) media.Tap {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taps[m] == nil {
		c.taps[m] = &lens{c, fmt.Sprintf("%s %s %d", m.Tag, m.Type, m.Number)}
	}
	return c.taps[m]
}

func (c *camera) Over(uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended++
}

func (c *camera) ends() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

func (l *lens) Packet(p *media.TapPacket) {
	l.camera.mu.Lock()
	defer l.camera.mu.Unlock()
	direction := "from"
	if p.Sent {
		direction = "to"
	}
	l.camera.saw = append(l.camera.saw, direction+" "+l.of)
}

// wants expects packets since it was last asked, in any order.
func (c *camera) wants(t *testing.T, want ...string) {
	t.Helper()
	slices.Sort(want)
	var got []string
	if !eventually(func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		got = slices.Sorted(slices.Values(c.saw))
		return len(got) >= len(want)
	}) || !slices.Equal(got, want) {
		t.Errorf("saw %q, want %q", got, want)
	}
	c.mu.Lock()
	c.saw = nil
	c.mu.Unlock()
}

func TestCaptureSeesWhoComesLater(t *testing.T) {
	m, alice, bob, toBob, toAlice := established(t)
	first, second := newCamera(), newCamera()
	if err := m.Capture("nobody", first); !errors.Is(err, call.ErrUnknownCall) {
		t.Errorf("a call that is not there: %v", err)
	}
	for _, c := range []*camera{first, second} {
		if err := m.Capture("c", c); err != nil {
			t.Fatal(err)
		}
	}
	alice.say(t, toBob, 1)
	bob.wants(t, true)
	bob.say(t, toAlice, 1)
	alice.wants(t, true)
	want := []string{"from alice audio 1", "to bob audio 1", "from bob audio 1", "to alice audio 1"}
	first.wants(t, slices.Clone(want)...)
	second.wants(t, want...)
	m.EndCapture("c", second)
	m.EndCapture("c", second) // once is enough
	if second.ends() != 1 || first.ends() != 0 {
		t.Errorf("the captures have ended %d and %d times", first.ends(), second.ends())
	}

	carol := newPhone(t)
	subscribe(t, m, carol, func(r *call.SubscribeRequest) { r.Sources.FromTag = "alice" })
	alice.say(t, toBob, 2)
	bob.wants(t, true)
	carol.hears(t, soon)
	first.wants(t, "from alice audio 1", "to bob audio 1", "to carol audio 1")

	// A re-offer from another place.
	moved := newPhone(t)
	must(t)(m.Offer(request(t, "c", "alice", "bob", describe("127.0.0.1", moved.port))))
	answer := must(t)(m.Answer(request(t, "c", "alice", "bob", describe("127.0.0.1", bob.port))))
	moved.say(t, answer.Media()[0].Port, 3)
	bob.wants(t, true)
	carol.hears(t, soon)
	first.wants(t, "from alice audio 1", "to bob audio 1", "to carol audio 1")
	second.wants(t)
	if err := m.Terminate("c"); err != nil || first.ends() != 1 {
		t.Errorf("with the call the capture ends: %v, %d times", err, first.ends())
	}
}

func TestCaptureGoesOnInTheCallThatTwoBecome(t *testing.T) {
	m, _ := newManager(t, nil)
	a, _ := dial(t, m, "one", "a", "b")
	c, _ := dial(t, m, "two", "c", "d")
	camera := newCamera()
	if err := m.Capture("two", camera); err != nil {
		t.Fatal(err)
	}
	if err := m.Connect(&call.ConnectRequest{CallID: "one", Sources: call.Selection{FromTag: "a"}, ToTag: "c", ToCallID: "two"}); err != nil {
		t.Fatal(err)
	}
	reach(t, a, []party{c})
	camera.wants(t, "from a audio 1", "to c audio 1")
	m.EndCapture("two", camera)
	if camera.ends() != 1 {
		t.Errorf("it has ended %d times", camera.ends())
	}
	reach(t, a, []party{c})
	camera.wants(t)
}
