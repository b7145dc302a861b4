package dtls

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pion/dtls/v3/pkg/protocol/alert"
)

// Limits and times of a session.
const (
	// DefaultMTU is the longest datagram that a session sends unless told otherwise; LeastMTU is the least that can be asked for.
	DefaultMTU = 1200
	LeastMTU   = 576
	// DefaultTimeout is how long one attempt may take.
	DefaultTimeout = 30 * time.Second
	// DefaultRetransmit is less than the second of RFC 6347, section 4.2.4.1, because media waits and the path is known
	// to be short. It doubles with each retransmission.
	DefaultRetransmit = 400 * time.Millisecond
	// helloPause is the longest pause between hellos to a peer that was never heard: it may become reachable any time.
	helloPause = 2 * time.Second
	// mostEarly is how many datagrams are kept while no handshake can begin. A hello has one or two.
	mostEarly = 8
	// mostAttempts bounds what a peer that never succeeds can cost.
	mostAttempts = 16
)

// State is where a session is.
type State uint8

// The states of a session.
const (
	// New sessions wait for signalling, or for the peer's hello.
	New State = iota
	// Connecting sessions are in a handshake, or wait for their turn.
	Connecting
	// Connected sessions have reported keys.
	Connected
	// Failed sessions will not try again.
	Failed
	// Closed sessions were closed by us or by the peer.
	Closed
)

func (s State) String() string {
	switch s {
	case New:
		return "new"
	case Connecting:
		return "connecting"
	case Connected:
		return "connected"
	case Failed:
		return "failed"
	}
	return "closed"
}

var (
	// ErrUnanswered says that an active session was not answered so far. It goes on, with the very same hello: a new one
	// could meet the answer to the one before.
	ErrUnanswered = errors.New("no answer")
	// ErrTimeout says that a handshake began and did not end in time.
	ErrTimeout = errors.New("handshake did not finish in time")
	// ErrProfile says that the sides have no SRTP profile in common.
	ErrProfile = errors.New("no common SRTP profile")
)

// Config is what a session is made from. The functions are called from goroutines of the session or from the one that
// calls its methods. They must not wait, and may call the session's methods.
type Config struct {
	// Role and Remote are as for SetRemote; both may be left for later.
	Role   Role
	Remote []Fingerprint
	// Certificate is ours, the one whose fingerprint is in our SDP. Required.
	Certificate *Certificate
	// Send sends a datagram to the peer. It may keep the slice but not change it. Required. It may be called from several
	// goroutines at the same time, and while one of the session's methods runs.
	Send func(datagram []byte)
	// OnKeys gets the keys of a finished handshake, once. Required.
	OnKeys func(Keys)
	// OnFail is told why an attempt failed. State tells whether the session goes on: a passive one waits for another
	// hello, so that a forged one does not lock out the peer; an active one goes on as long as it was never answered,
	// which is told once.
	OnFail func(error)
	// OnClose is told that the peer has ended a connected session: ErrClosed or an AlertError.
	OnClose func(error)
	// OnRestart is told, once for each, that the peer wants a new association while this one is connected. The caller
	// makes a new session and hands it the hello and what follows. Both get every datagram and the old one stays until the
	// new one has keys, since hellos can be forged (RFC 6347, section 4.2.8). The slice is only valid during the call.
	OnRestart func(hello []byte)
	// Profiles are the SRTP profiles in order of preference, DefaultProfiles when empty.
	Profiles []Profile
	// Ciphers are the cipher suites, DefaultCiphers when empty.
	Ciphers Ciphers
	// MTU is the length of the longest datagram to be sent, without IP and UDP headers. DefaultMTU when zero.
	MTU int
	// Verified tells, for a handshake that begins, whether the peer has shown that it receives what is sent to its address, as
	// ICE does. A passive session then does without the cookie and its round trip (RFC 6347, section 4.2.1). Nil: it has not.
	Verified func() bool
	// Timeout limits an attempt once the peer was heard, DefaultTimeout when zero. Retransmit is the time until a flight is first sent again,
	// DefaultRetransmit when zero.
	Timeout, Retransmit time.Duration
	// Pool limits how many handshakes run; nil is no limit.
	Pool *Pool
}

// Validate checks a configuration.
func (c Config) Validate() error {
	switch {
	case c.Certificate == nil:
		return errors.New("dtls: a session needs a certificate")
	case c.Send == nil || c.OnKeys == nil:
		return errors.New("dtls: a session needs Send and OnKeys")
	case c.MTU != 0 && c.MTU < LeastMTU:
		return fmt.Errorf("dtls: MTU %d is less than %d", c.MTU, LeastMTU)
	case c.Timeout < 0 || c.Retransmit < 0:
		return errors.New("dtls: negative time")
	}
	for _, p := range c.Profiles {
		if !p.valid() {
			return fmt.Errorf("dtls: %s is unknown", p)
		}
	}
	return nil
}

// A Session is one DTLS association, from before its handshake to its end. All methods may be called at the same time
// and none waits for the peer.
type Session struct {
	cfg Config

	mu     sync.Mutex
	state  State
	role   Role
	remote []Fingerprint
	// hello is the random of the peer's newest hello, early the datagrams of it while no handshake is under way.
	hello   [helloRandomSize]byte
	helloed bool
	early   [][]byte
	// attempts counts handshakes.
	attempts int
	// place is that in the pool's queue while waiting, attempt the handshake under way.
	place   *list.Element
	attempt *attempt
	// association is that of a connected session.
	association *association
}

// NewSession makes a session. An active one that knows the peer's fingerprints begins at once.
func NewSession(cfg Config) (*Session, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if len(cfg.Profiles) == 0 {
		cfg.Profiles = DefaultProfiles()
	}
	if len(cfg.Ciphers.list) == 0 {
		cfg.Ciphers = DefaultCiphers()
	}
	if cfg.MTU == 0 {
		cfg.MTU = DefaultMTU
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Retransmit == 0 {
		cfg.Retransmit = DefaultRetransmit
	}
	for _, f := range []*func(error){&cfg.OnFail, &cfg.OnClose} {
		if *f == nil {
			*f = func(error) {}
		}
	}
	if cfg.OnRestart == nil {
		cfg.OnRestart = func([]byte) {}
	}
	s := &Session{cfg: cfg}
	return s, s.SetRemote(cfg.Role, cfg.Remote)
}

// State tells where the session is.
func (s *Session) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// SetRemote tells a session its role and the fingerprints of the peer's certificate. An active session then begins, a
// passive one takes up the hello that it has kept or waits for one. Both can change until the session is connected; a
// change of role begins anew.
//
// A connected session keeps its association whatever the role. If the peer's certificate is none of those announced
// now, the error wraps ErrFingerprint and nothing changes: the peer wants a new association.
func (s *Session) SetRemote(role Role, remote []Fingerprint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.association != nil {
		return match(s.association.peer, remote)
	}
	s.remote = slices.Clone(remote)
	if role != s.role {
		s.abandon()
		s.role = role
		if role == Active {
			s.early, s.helloed = nil, false
		}
	}
	s.begin()
	return nil
}

// Handle takes a datagram from the peer. It is copied if it is kept.
func (s *Session) Handle(datagram []byte) {
	s.mu.Lock()
	switch s.state {
	case Connected:
		s.connected(datagram)
		return
	case New, Connecting:
		if s.forRole(datagram) {
			s.take(datagram)
		}
	}
	s.mu.Unlock()
}

// forRole tells whether a datagram can be from a peer in the role opposite to ours. The messages that open the other
// side's part would be taken for an answer to ours.
func (s *Session) forRole(datagram []byte) bool {
	switch m := message(datagram); s.role {
	case Active:
		return m != clientHello
	case Passive:
		return m != serverHello && m != helloVerifyRequest
	default:
		return m == clientHello
	}
}

// take hands a datagram to the handshake, or keeps it for the one to come. The hello of another association takes the
// place of the one before.
func (s *Session) take(datagram []byte) {
	if s.role != Active {
		if random, ok := helloRandom(datagram); ok && (!s.helloed || random != s.hello) {
			if s.attempt != nil && s.attempts >= mostAttempts {
				return
			}
			s.abandon()
			s.hello, s.helloed, s.early = random, true, nil
		}
	}
	switch {
	case s.attempt != nil:
		s.attempt.pipe.deliver(datagram)
	case s.role != Active && s.helloed && message(datagram) == clientHello && len(datagram) <= mostBytes:
		again := func(kept []byte) bool { return bytes.Equal(kept[recordHeaderSize:], datagram[recordHeaderSize:]) }
		if len(s.early) < mostEarly && !slices.ContainsFunc(s.early, again) {
			s.early = append(s.early, slices.Clone(datagram))
		}
		s.begin()
	}
}

// begin starts a handshake if all is known that it needs.
func (s *Session) begin() {
	if s.state != New || s.role == Unknown || len(s.remote) == 0 || s.role == Passive && len(s.early) == 0 {
		return
	}
	s.state = Connecting
	var ok bool
	if ok, s.place = s.cfg.Pool.enter(s); ok {
		s.start()
	}
}

// admitted is called by the pool when a waiting session may start. It is false when the session does not want to any more.
func (s *Session) admitted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.place == nil {
		return false
	}
	s.place = nil
	s.start()
	return true
}

// start runs a handshake in a goroutine. The session has a place in the pool.
func (s *Session) start() {
	s.attempts++
	ctx, cancel := context.WithCancelCause(context.Background())
	a := &attempt{role: s.role, cancel: cancel, leave: sync.OnceFunc(s.cfg.Pool.leave)}
	// Until the peer is heard, time is not what an attempt is judged by.
	unanswered := time.AfterFunc(s.cfg.Timeout, func() { s.unanswered(a) })
	context.AfterFunc(ctx, func() { unanswered.Stop() })
	a.pipe = newPipe(s.cfg.Send, func() {
		unanswered.Stop()
		limit := time.AfterFunc(s.cfg.Timeout, func() { cancel(ErrTimeout) })
		context.AfterFunc(ctx, func() { limit.Stop() })
	})
	s.attempt = a
	if len(s.early) > 0 {
		a.hello = s.early[0]
	}
	for _, datagram := range s.early {
		a.pipe.deliver(datagram)
	}
	s.early = nil
	go s.run(ctx, a)
}

// unanswered is called when a peer was not heard for long. The attempt goes on outside the pool, as it costs no work.
func (s *Session) unanswered(a *attempt) {
	s.mu.Lock()
	current := s.attempt == a
	s.mu.Unlock()
	a.leave()
	if current {
		s.cfg.OnFail(fmt.Errorf("dtls: %s: %w", a.role, ErrUnanswered))
	}
}

// run sees a handshake through.
func (s *Session) run(ctx context.Context, a *attempt) {
	done, err := a.handshake(ctx, &s.cfg, s.verify)
	a.cancel(nil)
	a.leave()

	s.mu.Lock()
	if s.attempt != a {
		s.mu.Unlock()
		return
	}
	s.attempt = nil
	if err == nil {
		// Signalling may have changed its mind since the certificate was seen.
		err = match(done.association.peer, s.remote)
	}
	if err != nil {
		s.failed(a, err)
		return
	}
	s.state, s.association, s.remote = Connected, done.association, nil
	s.hello = done.association.clientRandom
	s.mu.Unlock()
	s.cfg.OnKeys(done.keys)
	for _, datagram := range done.unread {
		s.Handle(datagram)
	}
}

// verify checks the peer's certificate during the handshake.
func (s *Session) verify(der []byte) error {
	s.mu.Lock()
	remote := s.remote
	s.mu.Unlock()
	return match(der, remote)
}

// failed decides whether to go on after an attempt. It unlocks the session.
func (s *Session) failed(a *attempt, err error) {
	s.state, s.helloed = New, false
	if a.role == Active || s.attempts >= mostAttempts {
		s.state = Failed
	}
	s.mu.Unlock()
	s.cfg.OnFail(fmt.Errorf("dtls: %s: %w", a.role, err))
}

// abandon ends what is under way without a word. The goroutine ends by itself.
func (s *Session) abandon() {
	if s.attempt != nil {
		s.attempt.pipe.detach()
		s.attempt.cancel(nil)
		s.attempt = nil
	}
	s.cfg.Pool.forget(s.place)
	s.place = nil
	if s.state == Connecting {
		s.state = New
	}
}

// connected handles a datagram of a connected session. It unlocks the session.
func (s *Session) connected(datagram []byte) {
	n := s.association.handle(datagram)
	restart := false
	if random, ok := helloRandom(datagram); ok && random != s.hello {
		restart, s.hello = true, random
	}
	if n.ended != nil {
		if errors.Is(n.ended, ErrClosed) {
			// To be answered with the same (RFC 5246, section 7.2.1).
			n.send = s.farewell()
		}
		s.state, s.association = Closed, nil
	}
	s.mu.Unlock()
	for _, d := range n.send {
		s.cfg.Send(d)
	}
	if n.ended != nil {
		s.cfg.OnClose(n.ended)
	}
	if restart {
		s.cfg.OnRestart(datagram)
	}
}

// farewell is the close_notify of a connected session (RFC 5246, section 7.2.1).
func (s *Session) farewell() [][]byte {
	if s.association == nil {
		return nil
	}
	datagram, err := s.association.alert(alert.Warning, alert.CloseNotify)
	if err != nil {
		// Without keys there is nothing to say it with, and the peer finds out by itself.
		return nil
	}
	return [][]byte{datagram}
}

// Close ends the session. A connected one tells the peer so. A callback that is under way may still run when Close
// returns; OnKeys is not called for a handshake that ends after it.
func (s *Session) Close() {
	for _, d := range s.end() {
		s.cfg.Send(d)
	}
}

// Detach is Close without a word to the peer, for an association that another one takes the place of: its keys stay in use until
// that has others, and a peer that was told of the end might stop its media.
func (s *Session) Detach() { s.end() }

// end returns what the peer should be told.
func (s *Session) end() (last [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last = s.farewell()
	s.abandon()
	s.state, s.association, s.early = Closed, nil, nil
	return last
}
