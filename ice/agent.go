package ice

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Components of a media section (RFC 8445, section 4).
const (
	RTP  = 1
	RTCP = 2

	components = 2
)

// State is how far an agent has come.
type State uint8

const (
	New          State = iota // nothing is known of the peer
	Checking                  // some component has no pair that works
	Connected                 // each component has one
	Completed                 // each component has a nominated one
	Disconnected              // the peer's consent was lost (RFC 7675); media flows until the caller stops it
	Failed                    // no pair works and none is left to try; a check from the peer may still change that
	Closed
)

// String returns the state in one word.
func (s State) String() string {
	words := [...]string{"new", "checking", "connected", "completed", "disconnected", "failed", "closed"}
	if int(s) >= len(words) {
		return "unknown"
	}
	return words[s]
}

// ErrConfig is wrapped by errors about what the caller has set.
var ErrConfig = errors.New("ice: invalid configuration")

// Config says what an agent works with. Send is required, the other functions may be nil.
type Config struct {
	// Local lists the bases in the order of preference, component 1 on all addresses first, then component 2 likewise.
	Local       []Base
	Credentials Credentials
	Lite        bool
	Controlling bool   // the role to begin with: true for the offerer (RFC 8445, section 6.1.1)
	Software    string // SOFTWARE of our messages; none when empty

	// Send puts a packet on the wire. It is called with the agent locked: it must neither block nor call the agent, and
	// pkt is valid only until it returns.
	Send func(socket int, pkt []byte, to netip.AddrPort)

	// The functions below are called one at a time, in the order of what happened, by whatever goroutine is in the
	// agent; the agent is not locked, so that they may call it.

	// Selected tells of a new pair to send media on, and of its nomination.
	Selected func(Pair)
	State    func(State)
	// Authenticated tells, once for each and session, of an address whose owner knows our password, or answers a check with the
	// peer's: media from there is the peer's.
	Authenticated func(component, socket int, remote netip.AddrPort)
	// Wake asks for a Tick earlier than what the last one returned.
	Wake func(at time.Time)

	Now func() time.Time // time.Now when nil
}

// Pair is a local and a remote address that media can use.
type Pair struct {
	Component int
	Socket    int
	Local     netip.AddrPort // as advertised
	Remote    netip.AddrPort
	Nominated bool // false: the best so far
}

// Remote is what the peer's description says.
type Remote struct {
	Credentials Credentials `json:",omitzero"`
	Candidates  []Candidate `json:",omitzero"`
	Lite        bool        `json:",omitzero"`
	// EndOfCandidates says that no more will be trickled. Without it, nomination leaves better candidates time to come.
	EndOfCandidates bool `json:",omitzero"`
}

// Agent is the ICE agent of one media section of one party. It is safe for concurrent use.
type Agent struct {
	mu  sync.Mutex
	cfg Config

	local       []*base
	state       State
	controlling bool
	tieBreaker  uint64

	key *integrityKey // by our password
	old *generation   // answered without consequence until the restart is through

	remote     Remote        // Candidates is not used
	remoteKey  *integrityKey // nil until the peer's credentials are known
	username   string        // of our checks
	started    time.Time
	switches   int // of the role, by refusals of the peer
	remotes    []*remote
	pairs      []*pair // by priority, highest first
	triggered  []*pair // first in, first out
	nextCheck  time.Time
	regular    bool // the peer checks before it nominates (see nominated)
	connecting [components]progress
	consentAt  time.Time // of the next consent check or keepalive; zero while there is no pair to keep

	armed      time.Time // what the caller knows of the next Tick
	stale      bool      // the deadline may have changed
	events     []func()
	delivering bool

	out      writer
	refused  limiter
	counters Counters
	before   Counters // of sessions that were restarted
	impostor netip.AddrPort
}

// base is a Base with what follows from it.
type base struct {
	Base
	preference uint16
}

// progress is how far one component has come.
type progress struct {
	selected Pair      // what the caller knows; outlives a restart
	pair     *pair     // the same, among the pairs of now
	since    time.Time // when the first pair worked
	nominee  *pair     // nominated by whoever controls
	value    uint32
	consent  consent
}

// generation is what an ICE restart has replaced.
type generation struct {
	ufrag string
	key   *integrityKey
}

// remote is a candidate of the peer.
type remote struct {
	Candidate
	ufrag string // of the peer, of a peer-reflexive one that came before the peer's credentials
}

// NewAgent returns an agent that knows nothing of its peer and does nothing but answer.
func NewAgent(cfg Config) (*Agent, error) {
	if cfg.Send == nil {
		return nil, fmt.Errorf("%w: no way to send", ErrConfig)
	}
	if !cfg.Credentials.valid() {
		return nil, fmt.Errorf("%w: fragment or password is empty or too long", ErrConfig)
	}
	if len(cfg.Software) > 127 { // RFC 8489, section 14.14
		return nil, fmt.Errorf("%w: software of more than 127 bytes", ErrConfig)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	local, err := bases(cfg.Local)
	if err != nil {
		return nil, err
	}
	cfg.Local = nil
	return &Agent{cfg: cfg, local: local, controlling: cfg.Controlling && !cfg.Lite, tieBreaker: randomUint64()}, nil
}

// bases checks what the caller gave and numbers the local addresses of each component.
func bases(given []Base) ([]*base, error) {
	if len(given) == 0 {
		return nil, fmt.Errorf("%w: no local address", ErrConfig)
	}
	local := make([]*base, 0, len(given))
	var next [components]uint16
	for _, b := range given {
		if b.Component != RTP && b.Component != RTCP {
			return nil, fmt.Errorf("%w: component %d is neither 1 nor 2", ErrConfig, b.Component)
		}
		b.Addr, b.Advertised = unmapped(b.Addr), unmapped(b.Advertised)
		if !b.Addr.IsValid() {
			return nil, fmt.Errorf("%w: a base of component %d has no address", ErrConfig, b.Component)
		}
		if !b.Advertised.IsValid() {
			b.Advertised = b.Addr
		}
		if slices.ContainsFunc(local, func(o *base) bool { return o.Socket == b.Socket }) {
			return nil, fmt.Errorf("%w: socket %d is given twice", ErrConfig, b.Socket)
		}
		local = append(local, &base{b, FirstLocalPreference - next[b.Component-1]})
		next[b.Component-1]++
	}
	return local, nil
}

func randomUint64() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}

func (a *Agent) lock() { a.mu.Lock() }

// unlock settles when the next Tick is due and tells the caller what has happened. Whoever finds another goroutine
// telling leaves the news to it, which keeps them in order without a lock being held.
func (a *Agent) unlock() {
	if a.stale {
		a.stale = false
		if at := a.deadline(); !at.IsZero() && (a.armed.IsZero() || at.Before(a.armed)) {
			a.armed = at
			if wake := a.cfg.Wake; wake != nil {
				a.events = append(a.events, func() { wake(at) })
			}
		}
	}
	if len(a.events) == 0 || a.delivering {
		a.mu.Unlock()
		return
	}
	a.delivering = true
	for len(a.events) > 0 {
		events := a.events
		a.events = nil
		a.mu.Unlock()
		for _, tell := range events {
			tell()
		}
		a.mu.Lock()
	}
	a.delivering = false
	a.mu.Unlock()
}

// State returns how far the agent has come.
func (a *Agent) State() State {
	a.lock()
	defer a.unlock()
	return a.state
}

// Controlling returns the role.
func (a *Agent) Controlling() bool {
	a.lock()
	defer a.unlock()
	return a.controlling
}

// Credentials returns our own credentials, for our description.
func (a *Agent) Credentials() Credentials {
	a.lock()
	defer a.unlock()
	return a.cfg.Credentials
}

// Selected returns the pair that media of a component should use, if there is one.
func (a *Agent) Selected(component int) (Pair, bool) {
	a.lock()
	defer a.unlock()
	if component != RTP && component != RTCP {
		return Pair{}, false
	}
	p := a.connecting[component-1].selected
	return p, p.Remote.IsValid()
}

// LocalCandidates returns the candidates of our description, in the order of the bases: all, or once ICE has completed,
// the selected ones only (RFC 8839, section 4.4.1.1.2). Without a nominated pair a component keeps all of its own.
func (a *Agent) LocalCandidates() []Candidate {
	a.lock()
	defer a.unlock()
	list := make([]Candidate, 0, len(a.local))
	for _, b := range a.local {
		if n := a.connecting[b.Component-1].nominee; n != nil && n.base.Socket != b.Socket && a.settled() {
			continue
		}
		list = append(list, b.candidate())
	}
	return list
}

// RemoteCandidates returns what a controlling agent lists in a=remote-candidates of its offers: the nominated pairs'
// remote candidates once ICE has completed (RFC 8839, section 5.2); nothing otherwise.
func (a *Agent) RemoteCandidates() []Candidate {
	a.lock()
	defer a.unlock()
	if !a.controlling || !a.settled() {
		return nil
	}
	var list []Candidate
	for c := range a.connecting {
		if n := a.connecting[c].nominee; n != nil {
			list = append(list, n.remote.Candidate)
		}
	}
	return list
}

// settled reports whether ICE has completed, consent or not.
func (a *Agent) settled() bool { return a.state == Completed || a.state == Disconnected }

func (b *base) candidate() Candidate {
	return Candidate{
		Foundation: b.Foundation,
		Component:  b.Component,
		Priority:   Priority(Host, b.preference, b.Component),
		Addr:       b.Advertised,
		Type:       Host,
	}
}
