package rtpproxy

import (
	"context"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/cookie"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/recording"
)

// Config are the settings of a Dispatcher.
type Config struct {
	Calls *call.Manager
	Plane *media.Plane
	// TTL is how long a session without packets or commands lives, and SetupTTL the same before it is answered; 0: as configured for
	// calls, and the former.
	TTL, SetupTTL time.Duration
	Notifier      *Notifier            // nil: nobody may be notified
	Recordings    *recording.Directory // nil: nothing is recorded
	Prompts       *Prompts             // nil: nothing is played
	Log           *slog.Logger         // nil: none
}

// Dispatcher executes commands, whatever socket they came by. It is safe for concurrent use.
type Dispatcher struct {
	cfg       Config
	calls     *call.Manager
	bridged   bool // there are interfaces for e and i
	cache     *cookie.Cache
	names     resolver
	counters  counters
	patience  patience
	log       *slog.Logger
	startedAt time.Time
	startTime time.Duration // of processors, for the process
}

// The logical interfaces that the modifiers e and i stand for.
const (
	external = "external"
	internal = "internal"
)

// New returns a Dispatcher for the calls of cfg.
func New(cfg Config) *Dispatcher {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.TTL <= 0 {
		cfg.TTL = cfg.Calls.Config().Timeout
	}
	if cfg.SetupTTL <= 0 {
		cfg.SetupTTL = cfg.TTL
	}
	has := func(name string) bool { return cfg.Plane.HasFamily(name, 4) || cfg.Plane.HasFamily(name, 6) }
	d := &Dispatcher{
		cfg: cfg, calls: cfg.Calls, bridged: has(external) && has(internal), cache: cookie.New(time.Now), names: newResolver(),
		log: cfg.Log, startedAt: time.Now(), startTime: processTime(),
		patience: patience{line: lineTimeout, write: writeTimeout},
	}
	d.counters.at = d.startedAt
	return d
}

// Run keeps the reply cache young until ctx ends.
func (d *Dispatcher) Run(ctx context.Context) {
	tick := time.NewTicker(cookie.Life)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.cache.Expire()
		}
	}
}

// Client is who sends a command, as far as the socket knows.
type Client struct {
	From netip.AddrPort // invalid on a unix socket
	Peer bool           // it is served what rtpengine serves, in its form
}

// Datagram answers one command that comes behind a cookie. A repeated cookie gets the reply of the first, and nothing is executed.
func (d *Dispatcher) Datagram(ctx context.Context, from Client, datagram []byte) []byte {
	text := strings.TrimLeftFunc(string(datagram), blank)
	word, command := text, ""
	if at := strings.IndexFunc(text, blank); at >= 0 {
		word, command = text[:at], text[at:]
	}
	if word == "" || strings.IndexByte(word, 0) >= 0 {
		d.counters.refused()
		return []byte(codeSyntax.Error() + "\n")
	}
	executed := false
	// Two proxies may well make up the same cookie.
	key := word + " " + from.From.Addr().String()
	reply, err := d.cache.Do(ctx, key, func() []byte {
		executed = true
		return []byte(word + " " + d.Execute(from, command))
	})
	if !executed {
		d.counters.add(countDuplicates, 1)
	}
	if err != nil {
		return nil
	}
	return reply
}

// Execute carries out one command and returns the reply, its line end included. A fault in it costs this command alone.
func (d *Dispatcher) Execute(from Client, text string) (reply string) {
	defer func() {
		if fault := recover(); fault != nil {
			d.log.Error("fault while executing a command", "fault", fault, "command", text, "stack", string(debug.Stack()))
			reply = d.failure(from, nil, codeFault, text)
		}
		d.counters.add(countReplied, 1)
		if d.log.Enabled(context.Background(), slog.LevelDebug) {
			d.log.Debug("command", "from", from.From, "text", strings.TrimSpace(text), "reply", strings.TrimSpace(reply))
		}
	}()
	d.counters.add(countReceived, 1)
	c, err := Parse(text)
	if err == nil {
		if from.Peer {
			reply, err = d.runPeer(from, c)
		} else {
			reply, err = d.run(from, c)
		}
	}
	switch {
	case err != nil:
		return d.failure(from, c, err, text)
	case len(reply) > maxReply:
		return d.failure(from, c, codeTooLong, text)
	}
	d.counters.add(countSucceeded, 1)
	if !strings.HasSuffix(reply, "\n") {
		reply += "\n"
	}
	return reply
}

// failure puts an error in the words of the protocol, and into the log with all it has to say.
func (d *Dispatcher) failure(from Client, c *Command, err error, text string) string {
	d.counters.add(countErrors, 1)
	code := codeOf(err)
	// That a session is gone is told to every proxy that ends a call twice, and anybody who reaches the port can send nonsense.
	if c != nil && c.CallID != "" && code != codeSession {
		d.log.Warn("command failed", "call", c.CallID, "code", code.Error(), "err", err, "command", strings.TrimSpace(text))
	}
	if from.Peer {
		code = peerError
	}
	return code.Error() + "\n"
}

// protocolDate is the version of the protocol.
const protocolDate = "20040107"

func (d *Dispatcher) run(from Client, c *Command) (string, error) {
	switch c.Op {
	case Version:
		return protocolDate, nil
	case Feature:
		return d.feature(c.Words[1]), nil
	case Update, Lookup:
		return d.signal(from, c)
	case Delete:
		return d.delete(c)
	case Query:
		return d.query(c)
	case Play:
		return d.play(c)
	case Stop:
		key := c.key()
		return "0", d.calls.StopPair(&key)
	case Record:
		return d.record(c)
	case Copy:
		return d.copyTo(c)
	case NoRecord:
		return d.noRecord(c)
	case Info:
		return d.info(c)
	case Stats:
		return d.stats(c)
	case Reset:
		d.calls.EndAll(call.RTPproxy)
		return "0", nil
	}
	return "", codeUnknown
}

// features are the dates of capabilities.
var features = map[string]bool{
	"20040107": true, "20050322": true, "20060704": true, "20071116": true, "20071218": true, "20080403": true, "20081102": true,
	"20090810": true, "20140323": true, "20140617": true, "20141004": true, "20150330": true, "20150420": true, "20150617": true,
	"20191015": true, "20200226": true, "20230205": true, "20230314": true, "20230424": true, "20250523": true, "20251015": true,
	"20260306": true, "20260308": true, "20260309": true,
}

func (d *Dispatcher) feature(date string) string {
	const notification = "20081224"
	if features[date] || date == notification && d.cfg.Notifier.enabled() {
		return "1"
	}
	return "0"
}

// key names the session of a command.
func (c *Command) key() call.PairKey {
	return call.PairKey{
		CallID: c.CallID, FromTag: c.From.Text, Number: c.From.Number, ToTag: c.To.Text, ToNumber: c.To.Number,
	}
}

func (d *Dispatcher) delete(c *Command) (string, error) {
	weak := false
	for _, letter := range []byte(c.Modifiers) {
		if upper(letter) != 'W' {
			return "", codeDelete
		}
		weak = true
	}
	key := c.key()
	if err := d.calls.ReleasePairs(&key, weak); err != nil {
		return "", err
	}
	return "0", nil
}

// port writes what U and L answer.
func port(told netip.AddrPort) string {
	reply := strconv.Itoa(int(told.Port())) + " " + told.Addr().String()
	if told.Addr().Is6() {
		reply += " 6"
	}
	return reply
}
