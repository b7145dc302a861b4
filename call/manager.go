package call

import (
	"cmp"
	crand "crypto/rand"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// Defaults of the time limits, as operators know them from rtpengine.
const (
	DefaultTimeout       = 60 * time.Second
	DefaultSilentTimeout = time.Hour
	DefaultOfferTimeout  = time.Hour
	DefaultDeleteDelay   = 30 * time.Second
)

// shards spreads look-ups, so that commands on different calls hardly ever meet at the same lock.
const shards = 64

// Config are the settings of a Manager. Zero durations mean what their comments say.
type Config struct {
	Plane *media.Plane
	Log   *slog.Logger

	Timeout       time.Duration // a call without packets ends after this; 0: DefaultTimeout
	SilentTimeout time.Duration // the same while all its media are held; 0: DefaultSilentTimeout
	OfferTimeout  time.Duration // a call that is never answered ends after this; 0: DefaultOfferTimeout
	FinalTimeout  time.Duration // no call lives longer; 0: no limit
	DeleteDelay   time.Duration // between a delete without a delay of its own and the end; 0: at once
	MaxSessions   int           // new calls above this are refused; negative: no limit
	Admit         func() error  // why there may be no new call now, an ErrSessionLimit; nil: nobody asks

	Learning media.Learning // default for parties whose request does not say
	// PortLatching keeps the ports told to a party whatever the other side does, in all calls.
	PortLatching bool
	// RelayForeign relays packets of sources other than the learnt one, too, unless a message asks for strict source.
	RelayForeign bool
	TOS          uint8              // of relayed packets, unless the request says otherwise
	Certificates *dtls.Certificates // for DTLS-SRTP; nil: there is none
	DTLSPassive  bool               // prefer to be the server
	OneAddress   bool               // no ports on further addresses of an interface for ICE

	// Software names this proxy in descriptions that have no other source.
	Software string

	// Ended is told of the ends of pairs, and of calls that time out. It is called by the holder of the call: it must not wait, and
	// not use the Manager. Nil: nobody.
	Ended func(*Ended)

	// Finished is told of calls that have ended, by the holder of the call: it must not wait, and not use the Manager. Nil: nobody.
	Finished func(*Finished)

	// Event is told of telephone events: of those of all calls with AllEvents, else of calls whose messages want them logged
	// (Options.EventLog). Like Ended it must not wait. Nil: nobody.
	Event     func(Event)
	AllEvents bool
	// DigitGap is how long a digit may come after the one before and still belong to the same trigger; 0: DefaultDigitGap.
	DigitGap time.Duration
	// Report is given the RTCP that parties send, as it came. It must neither wait nor keep anything of p. Nil: nobody.
	Report func(callID string, p *media.TapPacket)

	SIPSource bool // take the signalling source for the media address by default

	// Changed is called with the id of a call whenever its Document would be another one, also when there is none any more. It
	// must return at once, and may not call the Manager. Nil: nobody wants to know.
	Changed func(id string)

	// Switchover has the first sign of a foreign call's life here, by signalling or media, make it our own.
	Switchover bool
	// TakenOver is told of each foreign call that becomes our own, and where its document was found, as Changed is. Nil: nobody.
	TakenOver func(id string, keyspace int)

	CodecPreferences []CodecPreference // where there is a choice of codecs to convert to; the first that matches counts
}

// Manager owns all calls. Its methods are safe for concurrent use.
type Manager struct {
	cfg    Config
	seed   maphash.Seed
	secret [16]byte // of ICE foundations
	loopID string   // marks descriptions that have passed here
	shards [shards]shard
	live   atomic.Int64
	// foreign counts those of them that other nodes own, awaiting those taken over that have no packets yet.
	foreign, awaiting atomic.Int64
	serial            atomic.Uint64

	limits   atomic.Pointer[Limits]
	draining atomic.Pointer[time.Time] // the deadline, zero for none; nil: new calls are taken
	past     tally

	created, ended, timedOut, rejected, faults atomic.Uint64
	byReason                                   [reasonCount]atomic.Uint64
	byLanguage                                 [languageCount]languageCounts
}

type shard struct {
	mu    sync.RWMutex
	calls map[string]*Call
}

// NewManager returns a Manager that carries calls out on cfg.Plane.
func NewManager(cfg Config) *Manager {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := &Manager{cfg: cfg, seed: maphash.MakeSeed(), loopID: fmt.Sprintf("%012x", rand.Uint64()>>16)}
	crand.Read(m.secret[:]) // never fails
	limits := Limits{
		Timeout: cfg.Timeout, SilentTimeout: cfg.SilentTimeout, OfferTimeout: cfg.OfferTimeout, FinalTimeout: cfg.FinalTimeout,
		DeleteDelay: cfg.DeleteDelay, MaxSessions: cfg.MaxSessions,
	}.filled()
	m.limits.Store(&limits)
	for i := range m.shards {
		m.shards[i].calls = make(map[string]*Call)
	}
	if cfg.Changed != nil {
		cfg.Plane.Watch(cfg.Changed)
	}
	return m
}

func (m *Manager) changed(id string) {
	if m.cfg.Changed != nil {
		m.cfg.Changed(id)
	}
}

func (m *Manager) shard(id string) *shard {
	return &m.shards[maphash.String(m.seed, id)%shards]
}

func (m *Manager) lookup(id string) *Call {
	s := m.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.calls[id]
}

// create makes the call of that id, or returns the one somebody else has made since it was looked up.
func (m *Manager) create(id string, in Language, limited bool) (*Call, error) {
	s := m.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.calls[id]; c != nil {
		return c, nil
	}
	if err := m.admit(limited); err != nil {
		m.rejected.Add(1)
		return nil, err
	}
	id = strings.Clone(id) // it outlives the request, whose memory it is part of
	c := newCall(m, id)
	c.language = in
	c.serial = m.serial.Add(1)
	s.calls[id] = c
	m.live.Add(1)
	m.countOwn(c)
	return c, nil
}

// countOwn counts a call that has come to be our own.
func (m *Manager) countOwn(c *Call) {
	m.created.Add(1)
	m.byLanguage[c.language].live.Add(1)
	m.byLanguage[c.language].created.Add(1)
}

// remove takes the call out of the table. The caller holds c.mu and has marked the call as gone.
func (m *Manager) remove(c *Call, why Reason) {
	m.forget(c)
	if c.awaiting {
		m.awaiting.Add(-1)
	}
	m.ended.Add(1)
	m.byReason[why].Add(1)
	m.byLanguage[c.language].live.Add(-1)
	m.changed(c.id)
}

// forget takes the ids of a call out of the table.
func (m *Manager) forget(c *Call) {
	for _, id := range append([]string{c.id}, c.aliases...) {
		s := m.shard(id)
		s.mu.Lock()
		if s.calls[id] == c {
			delete(s.calls, id)
		}
		s.mu.Unlock()
	}
	m.live.Add(-1)
}

// with runs fn as the owner of the call named id. A call that ended between look-up and lock is looked up again, so
// that an offer which meets the end of its predecessor starts a new call rather than joining a dead one.
func (m *Manager) with(id string, create bool, fn func(*Call) error) error {
	return m.find(id, func() (*Call, error) {
		if !create {
			return nil, ErrUnknownCall
		}
		return m.create(id, NG, true)
	}, fn)
}

// find is with for any way to make a call.
func (m *Manager) find(id string, create func() (*Call, error), fn func(*Call) error) error {
	for {
		c := m.lookup(id)
		if c == nil {
			var err error
			if c, err = create(); err != nil {
				return err
			}
		}
		gone, err := c.own(fn)
		if !gone {
			return err
		}
	}
}

// Config returns the settings the manager was made with. Those of Limits may have changed since.
func (m *Manager) Config() Config { return m.cfg }

// Instance returns the name of this process among others. It changes with every start.
func (m *Manager) Instance() string { return m.loopID }

// Looped tells whether every session of a description carries the mark of this process, so that it has been here before.
func (m *Manager) Looped(desc *sdp.Description) bool {
	for _, s := range desc.Sessions {
		if s.LoopProtect != m.loopID {
			return false
		}
	}
	return len(desc.Sessions) > 0
}

// List returns the ids of at most limit calls, in no order.
func (m *Manager) List(limit int) []string {
	ids := make([]string, 0, min(limit, int(m.live.Load())))
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		for id := range s.calls {
			if len(ids) == limit {
				break
			}
			ids = append(ids, id)
		}
		s.mu.RUnlock()
	}
	return ids
}

// Stats are counts over the life of a Manager.
type Stats struct {
	Live, Created, Ended, TimedOut, Rejected uint64
	Foreign                                  uint64 // of those that live
	Faults                                   uint64 // at the end of a call's time; each cost that call only
	EndedBy                                  map[Reason]uint64
	ByLanguage                               map[Language]LanguageStats
	Past                                     Past
}

// Stats returns the counts so far.
func (m *Manager) Stats() Stats {
	st := Stats{
		Live: uint64(max(0, m.live.Load())), Foreign: uint64(max(0, m.foreign.Load())), Created: m.created.Load(), Ended: m.ended.Load(),
		TimedOut: m.timedOut.Load(), Rejected: m.rejected.Load(), Faults: m.faults.Load(), EndedBy: make(map[Reason]uint64), ByLanguage: m.languages(),
		Past: m.past.read(),
	}
	for r := range reasonCount {
		if n := m.byReason[r].Load(); n > 0 {
			st.EndedBy[r] = n
		}
	}
	return st
}

// Close ends every call at once and releases its ports.
func (m *Manager) Close() { m.endAll(ReasonShutdown) }

// Age is a call and when it was made.
type Age struct {
	CallID  string
	Created time.Time
}

// Ages returns at most limit calls, the newest first.
func (m *Manager) Ages(limit int) []Age {
	calls := m.all()
	slices.SortFunc(calls, func(a, b *Call) int { return cmp.Compare(b.serial, a.serial) })
	ages := make([]Age, 0, min(limit, len(calls)))
	for _, c := range calls[:min(limit, len(calls))] {
		_, _ = c.own(func(c *Call) error {
			ages = append(ages, Age{c.id, c.created})
			return nil
		})
	}
	return ages
}
