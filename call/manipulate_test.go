package call_test

import (
	"errors"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
)

// established returns a manager with call "c" between alice and bob, who are phones, and the ports they send to.
func established(t *testing.T) (m *call.Manager, alice, bob phone, toBob, toAlice uint16) {
	t.Helper()
	m, _ = newManager(t, nil)
	alice, bob = newPhone(t), newPhone(t)
	offer := request(t, "c", "alice", "", describe("127.0.0.1", alice.port))
	offer.Label = "caller"
	toAlice = must(t)(m.Offer(offer)).Media()[0].Port
	answer := request(t, "c", "alice", "bob", describe("127.0.0.1", bob.port))
	answer.Label = "callee"
	toBob = must(t)(m.Answer(answer)).Media()[0].Port
	return m, alice, bob, toBob, toAlice
}

// wants checks that the phone hears something, or does not for a while.
func (p phone) wants(t *testing.T, something bool) {
	t.Helper()
	within := 100 * time.Millisecond
	if something {
		within = soon
	}
	if got := p.hears(t, within) != 0; got != something {
		t.Errorf("hears something: %v, want %v", got, something)
	}
}

func TestSelectionOfParties(t *testing.T) {
	for name, c := range map[string]struct {
		sel   call.Selection
		want  error
		onlyA bool
	}{
		"nothing is the whole call":              {},
		"all looks at nothing else":              {sel: call.Selection{All: true, Label: "nobody"}},
		"a label":                                {sel: call.Selection{Label: "caller"}, onlyA: true},
		"a label comes before an address":        {sel: call.Selection{Label: "caller", Address: "bad"}, onlyA: true},
		"an unknown label":                       {sel: call.Selection{Label: "nobody", FromTag: "alice"}, want: call.ErrNoLabel},
		"what is not an address":                 {sel: call.Selection{Address: "here"}, want: call.ErrBadAddress},
		"an address nobody told":                 {sel: call.Selection{Address: "192.0.2.77", FromTag: "alice"}, want: call.ErrNoAddress},
		"an address that both told":              {sel: call.Selection{Address: "127.0.0.1"}},
		"a tag":                                  {sel: call.Selection{FromTag: "alice"}, onlyA: true},
		"an unknown tag":                         {sel: call.Selection{FromTag: "nobody"}, want: call.ErrNoTag},
		"unknown ones in a list are passed over": {sel: call.Selection{FromTags: []string{"nobody", "alice", "alice"}}, onlyA: true},
	} {
		t.Run(name, func(t *testing.T) {
			m, alice, bob, toBob, toAlice := established(t)
			err := m.Manipulate(&call.ManipulateRequest{CallID: "c", Selection: c.sel, Verb: call.VerbBlockMedia, On: true})
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			alice.say(t, toBob, 1)
			bob.say(t, toAlice, 1)
			bob.wants(t, c.want != nil)
			alice.wants(t, c.want != nil || c.onlyA)
		})
	}
}

func TestReleaseOfTheCallLeavesWhatOnePartyAloneIsDenied(t *testing.T) {
	m, alice, bob, toBob, _ := established(t)
	set := func(on bool, sel call.Selection) {
		t.Helper()
		if err := m.Manipulate(&call.ManipulateRequest{CallID: "c", Selection: sel, Verb: call.VerbBlockMedia, On: on}); err != nil {
			t.Fatal(err)
		}
	}
	set(true, call.Selection{FromTag: "alice"})
	set(true, call.Selection{})
	set(false, call.Selection{})
	alice.say(t, toBob, 1)
	bob.wants(t, false) // the block of alice alone is still there
	set(false, call.Selection{All: true})
	alice.say(t, toBob, 2)
	bob.wants(t, true)
}

func TestBlockOfOneFlow(t *testing.T) {
	m, alice, bob, toBob, toAlice := established(t)
	for name, c := range map[string]struct {
		req  call.ManipulateRequest
		want error
	}{
		"no such tag":             {call.ManipulateRequest{ToTag: "nobody"}, call.ErrNoFlowTag},
		"no such label":           {call.ManipulateRequest{ToLabel: "nobody"}, call.ErrNoFlowLabel},
		"no such flow":            {call.ManipulateRequest{ToTag: "alice"}, call.ErrNoFlow},
		"no flows but by answers": {call.ManipulateRequest{Flows: call.FlowsExceptOfferAnswer}, call.ErrNoSubscriptions},
		"a flow":                  {call.ManipulateRequest{ToTag: "bob"}, nil},
	} {
		c.req.CallID, c.req.FromTag, c.req.Verb, c.req.On = "c", "alice", call.VerbBlockMedia, true
		if err := m.Manipulate(&c.req); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	alice.say(t, toBob, 1)
	bob.say(t, toAlice, 1)
	alice.wants(t, true)
	bob.wants(t, false)
	if err := m.Manipulate(&call.ManipulateRequest{CallID: "c", Verb: call.VerbBlockMedia, Flows: call.FlowsAll}); err != nil {
		t.Fatal(err)
	}
	alice.say(t, toBob, 2)
	bob.wants(t, true)
}

func TestEchoAndBlackhole(t *testing.T) {
	m, _ := newManager(t, nil)
	alice, bob := newPhone(t), newPhone(t)
	offer := request(t, "c", "alice", "", describe("127.0.0.1", alice.port))
	offer.MediaEcho = call.MediaEchoForward
	toAlice := must(t)(m.Offer(offer)).Media()[0].Port
	toBob := must(t)(m.Answer(request(t, "c", "alice", "bob", describe("127.0.0.1", bob.port)))).Media()[0].Port
	bob.say(t, toAlice, 1)
	if got := bob.hears(t, soon); got != toAlice {
		t.Errorf("bob hears from port %d, want an echo from %d", got, toAlice)
	}
	alice.say(t, toBob, 1)
	alice.wants(t, false)
	bob.wants(t, false)
}

func TestManipulationOfAnUnknownCall(t *testing.T) {
	m, _ := newManager(t, nil)
	if err := m.Manipulate(&call.ManipulateRequest{CallID: "nobody", Verb: call.VerbForward, On: true}); !errors.Is(err, call.ErrUnknownCall) {
		t.Errorf("got %v", err)
	}
}
