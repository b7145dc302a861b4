package ng

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/cookie"
	"github.com/weir-media/weir/ngproto"
	"github.com/weir-media/weir/sdp"
)

// defaultListLimit is how many call-ids list returns when the request does not say.
const defaultListLimit = 32

// strangers caps how many unknown words are remembered so that each is logged only once.
const strangers = 1000

// reasonInternal answers a request whose execution failed by a fault of ours. The log has the details.
const reasonInternal = "Internal error"

// reasonDraining answers pings of a daemon that wants to be left.
const reasonDraining = "Draining"

// Dispatcher executes requests, whatever transport they came by. It is safe for concurrent use.
type Dispatcher struct {
	calls  *call.Manager
	cache  *cookie.Cache
	parser atomic.Pointer[ngproto.Parser]
	sdp    sdp.Options
	ssrc   SSRCReporting
	cli    CLI
	access Access
	sizes  sizer
	log    *slog.Logger

	faults   atomic.Uint64
	requests atomic.Uint64
	failed   atomic.Uint64
	refused  atomic.Uint64 // requests and connections of addresses that may not

	pingless atomic.Bool // pings are refused

	garbage atomic.Int64 // when a line that anybody who reaches the port can cause was last logged, in Unix seconds

	mirror    Mirror // nil: nobody wants to know
	notices   bool   // clients of streams are told of events
	listeners listeners
	missed    atomic.Uint64

	clients    clients
	extremes   extremes
	statistics func() ngproto.Dict
	lastUpdate func(id string) time.Time // nil: there is none
	pages      map[string]http.Handler

	mu    sync.Mutex
	known map[string]bool // words logged already
}

// Config are the settings of a Dispatcher.
type Config struct {
	Calls  *call.Manager
	Parser *ngproto.Parser // nil: no templates
	SDP    sdp.Options
	SSRC   SSRCReporting
	CLI    CLI // nil: no command lines
	Access Access
	// Statistics returns the tree of all counts; nil: none.
	Statistics func() ngproto.Dict
	// Updated tells when the document of a call was last written for other nodes, zero when it was not; nil: never.
	Updated func(id string) time.Time
	// Pages are what HTTP serves beside the languages, by the pattern of net/http that leads to them.
	Pages  map[string]http.Handler
	Mirror Mirror // nil: nobody wants copies
	// Notices has clients of streams be told of what happens (NotifyDTMF).
	Notices bool
	Log     *slog.Logger // nil: none
}

// CLI runs one line of the operator's command language, as the ng command "cli", HTTP and WebSocket bring it, and returns all
// that it prints. It must be safe for concurrent use.
type CLI interface {
	Run(line string) string
	// Changes tells whether a line may change anything.
	Changes(line string) bool
}

// NewDispatcher returns a Dispatcher for the calls of cfg.
func NewDispatcher(cfg Config) *Dispatcher {
	if cfg.Parser == nil {
		cfg.Parser = new(ngproto.Parser)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	d := &Dispatcher{
		calls: cfg.Calls, cache: cookie.New(time.Now), sdp: cfg.SDP, ssrc: cfg.SSRC, cli: cfg.CLI, access: cfg.Access, log: cfg.Log,
		mirror: cfg.Mirror, notices: cfg.Notices, known: make(map[string]bool), statistics: cfg.Statistics, lastUpdate: cfg.Updated, pages: cfg.Pages, clients: clients{all: make(map[netip.Addr]*Client)},
		extremes: extremes{all: make(map[ngproto.Command]Extreme)},
	}
	d.parser.Store(cfg.Parser)
	return d
}

// SetParser has requests from now on be read by another parser.
func (d *Dispatcher) SetParser(p *ngproto.Parser) { d.parser.Store(p) }

// Run keeps the retransmission cache young until ctx ends.
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

// Pass goes through what every request has to get through, the replies by cookie and the table of calls, and returns when it has. It
// changes and counts nothing. While something holds up all requests, or those of a part of the calls, it does not return.
func (d *Dispatcher) Pass() {
	d.cache.Expire()
	d.calls.List(0)
}

// Datagram is Client.Datagram for clients without an address.
func (d *Dispatcher) Datagram(ctx context.Context, datagram []byte) []byte {
	return d.From(netip.Addr{}).Datagram(ctx, datagram)
}

// Within is Client.Within for clients without an address.
func (d *Dispatcher) Within(ctx context.Context, datagram []byte, room func() int) []byte {
	return d.From(netip.Addr{}).Within(ctx, datagram, room)
}

// Plain is Client.Plain for clients without an address.
func (d *Dispatcher) Plain(payload []byte) []byte { return d.From(netip.Addr{}).Plain(payload) }

func (d *Dispatcher) within(ctx context.Context, from *Client, datagram []byte, room func() int) []byte {
	msg, err := ngproto.Parse(datagram)
	if errors.Is(err, ngproto.ErrNoCookie) {
		d.failed.Add(1)
		return nil
	}
	reply, ctxErr := d.cache.Do(ctx, msg.Cookie, func() []byte { return d.answer(from, msg, err, room) })
	if ctxErr != nil {
		return nil
	}
	return reply
}

// answer executes a message, or says why it could not be read.
func (d *Dispatcher) answer(from *Client, msg ngproto.Message, err error, room func() int) []byte {
	if err != nil {
		from.errors.Add(1)
		return d.failure(err, "", "").Encode(msg.Cookie, msg.Encoding)
	}
	reply := d.execute(from, msg.Dict)
	out := reply.Encode(msg.Cookie, msg.Encoding)
	if room == nil || len(out) <= safeReply {
		return out
	}
	return d.sizes.fit(d, msg, reply, out, room())
}

// CommandLine runs one line of the operator's language. A fault in it costs this line alone.
func (d *Dispatcher) CommandLine(line string) (printed string) {
	defer func() {
		if fault := recover(); fault != nil {
			d.faults.Add(1)
			d.log.Error("fault while executing a command line", "fault", fault, "line", line, "stack", string(debug.Stack()))
			printed = reasonInternal + "\n"
		}
	}()
	return d.cli.Run(strings.TrimSpace(line))
}

// execute runs one request. A fault in it costs this request alone.
func (d *Dispatcher) execute(from *Client, dict ngproto.Dict) (reply *ngproto.Reply) {
	d.requests.Add(1)
	began, command := time.Now(), ngproto.Command("")
	defer func() {
		if fault := recover(); fault != nil {
			d.faults.Add(1)
			d.log.Error("fault while executing a request", "fault", fault, "call", dict.Text("call-id"),
				"command", dict.Text("command"), "stack", string(debug.Stack()))
			reply = ngproto.Failure(reasonInternal)
		}
		from.count(command, began, reply.Result() == ngproto.ResultError)
	}()
	req, err := d.parser.Load().Parse(dict)
	if err != nil {
		return d.failure(err, dict.Text("call-id"), dict.Text("command"))
	}
	command, req.Client = req.Command, from.addr
	d.meetStrangers(req)
	if err := ngproto.Check(req); err != nil {
		return d.failure(err, req.CallID, string(req.Command))
	}
	reply, err = d.run(req)
	if err != nil {
		return d.failure(err, req.CallID, string(req.Command))
	}
	return reply
}

// logStranger tells once a second at most that somebody is kept out.
func (d *Dispatcher) logStranger(addr netip.Addr) {
	if now := time.Now().Unix(); d.garbage.Swap(now) != now {
		d.log.Warn("control request of an address that is not in --control-allow", "from", addr)
	}
}

// command is how the dispatcher carries out one command.
type command struct {
	run func(*Dispatcher, *ngproto.Request) (*ngproto.Reply, error)
	// unknownCall is what the command says of a call that does not exist; commands differ in it.
	unknownCall string
}

// commands are those the dispatcher knows.
var commands = map[ngproto.Command]command{
	ngproto.Ping:      {run: (*Dispatcher).ping},
	ngproto.Offer:     {run: (*Dispatcher).sdpOffer},
	ngproto.Answer:    {run: (*Dispatcher).sdpAnswer, unknownCall: ngproto.ReasonUnknownCall},
	ngproto.Delete:    {run: (*Dispatcher).delete},
	ngproto.Query:     {run: (*Dispatcher).query, unknownCall: ngproto.ReasonUnknownCall},
	ngproto.ListCalls: {run: (*Dispatcher).list},

	ngproto.Statistics: {run: (*Dispatcher).report},
	ngproto.CLI:        {run: (*Dispatcher).commandLine},

	ngproto.StartRecording: {(*Dispatcher).record, ngproto.ReasonUnknownCall},
	ngproto.StopRecording:  {(*Dispatcher).record, ngproto.ReasonUnknownCall},
	ngproto.PauseRecording: {(*Dispatcher).record, ngproto.ReasonUnknownCall},
	ngproto.PlayMedia:      {(*Dispatcher).play, ngproto.ReasonUnknownCallID},
	ngproto.StopMedia:      {(*Dispatcher).play, ngproto.ReasonUnknownCallID},
	ngproto.PlayDTMF:       {(*Dispatcher).play, ngproto.ReasonUnknownCallID},

	ngproto.SubscribeRequest: {(*Dispatcher).subscribeRequest, ngproto.ReasonUnknownCallIDs},
	ngproto.SubscribeAnswer:  {(*Dispatcher).subscribeAnswer, ngproto.ReasonUnknownCallID},
	ngproto.Unsubscribe:      {(*Dispatcher).unsubscribe, ngproto.ReasonUnknownCallID},

	ngproto.Publish:      {run: (*Dispatcher).publish},
	ngproto.Create:       {run: (*Dispatcher).create},
	ngproto.CreateAnswer: {(*Dispatcher).createAnswer, ngproto.ReasonUnknownCreated},
	ngproto.Transform:    {run: (*Dispatcher).transform},
	ngproto.Connect:      {(*Dispatcher).connect, ngproto.ReasonUnknownCallIDs},
	ngproto.InjectStart:  {(*Dispatcher).inject, ngproto.ReasonUnknownCallIDs},
	ngproto.InjectStop:   {(*Dispatcher).inject, ngproto.ReasonUnknownCallIDs},
	ngproto.Mesh:         {(*Dispatcher).mesh, ngproto.ReasonUnknownMesh},

	ngproto.BlockDTMF:       {(*Dispatcher).manipulate, ngproto.ReasonUnknownCallID},
	ngproto.UnblockDTMF:     {(*Dispatcher).manipulate, ngproto.ReasonUnknownCallID},
	ngproto.BlockMedia:      {(*Dispatcher).manipulate, ngproto.ReasonUnknownCallID},
	ngproto.UnblockMedia:    {(*Dispatcher).manipulate, ngproto.ReasonUnknownCallID},
	ngproto.SilenceMedia:    {(*Dispatcher).manipulate, ngproto.ReasonUnknownCallID},
	ngproto.UnsilenceMedia:  {(*Dispatcher).manipulate, ngproto.ReasonUnknownCallID},
	ngproto.StartForwarding: {(*Dispatcher).manipulate, ngproto.ReasonUnknownCallID},
	ngproto.StopForwarding:  {(*Dispatcher).manipulate, ngproto.ReasonUnknownCallID},
}

func (d *Dispatcher) run(req *ngproto.Request) (*ngproto.Reply, error) {
	c, ok := commands[req.Command]
	if !ok {
		return nil, &ngproto.Error{Reason: ngproto.ReasonNoHandler}
	}
	reply, err := c.run(d, req)
	if errors.Is(err, call.ErrUnknownCall) && c.unknownCall != "" {
		err = &ngproto.Error{Reason: c.unknownCall}
	}
	return reply, err
}

func (d *Dispatcher) ping(*ngproto.Request) (*ngproto.Reply, error) {
	if d.pingless.Load() {
		return nil, &ngproto.Error{Reason: reasonDraining}
	}
	return ngproto.Pong(), nil
}

// RefusePings has pings be answered with an error, so that proxies take this one for dead, or no longer.
func (d *Dispatcher) RefusePings(refuse bool) { d.pingless.Store(refuse) }

// PingsRefused tells whether they are.
func (d *Dispatcher) PingsRefused() bool { return d.pingless.Load() }

func (d *Dispatcher) sdpOffer(req *ngproto.Request) (*ngproto.Reply, error) {
	return d.describe(req, d.calls.Offer)
}

func (d *Dispatcher) sdpAnswer(req *ngproto.Request) (*ngproto.Reply, error) {
	return d.describe(req, d.calls.Answer)
}

func (d *Dispatcher) query(req *ngproto.Request) (*ngproto.Reply, error) {
	snap, err := d.calls.Query(req.CallID, req.FromTag, req.ToTag)
	if err != nil {
		return nil, err
	}
	reply := ngproto.OK()
	describeCall(reply, snap, d.ssrc)
	d.updated(reply, snap.CallID)
	return reply, nil
}

func (d *Dispatcher) list(req *ngproto.Request) (*ngproto.Reply, error) {
	limit := req.Limit.Or(defaultListLimit)
	if limit < 0 {
		return nil, &ngproto.Error{Reason: ngproto.ReasonBadLimit}
	}
	return ngproto.OK().Set("calls", ngproto.Strings(d.calls.List(limit)...)), nil
}

// describe carries out an offer or an answer.
func (d *Dispatcher) describe(req *ngproto.Request, step func(*call.Request) (string, error)) (*ngproto.Reply, error) {
	options := d.sdp
	options.Fragment = req.Flags.Fragment
	desc, err := options.Parse(req.SDP)
	if err != nil {
		return nil, err
	}
	if req.Flags.Fragment {
		if err := d.calls.Fragment(translate(req, desc), req.Command == ngproto.Answer); err != nil {
			return nil, err
		}
		return ngproto.OK(), nil
	}
	if req.Flags.LoopProtect && d.calls.Looped(desc) {
		return ngproto.OK().Set("sdp", ngproto.String(req.SDP)), nil
	}
	text, err := step(translate(req, desc))
	if err != nil {
		if errors.Is(err, call.ErrSessionLimit) && req.Flags.LoadLimit {
			return ngproto.LoadLimit(limitMessage(err)), nil
		}
		return nil, err
	}
	return ngproto.OK().Set("sdp", ngproto.String(text)), nil
}

// limitMessage says which limit a call is refused by. Clients that do not ask for that have one reason for all.
func limitMessage(err error) string {
	switch {
	case errors.Is(err, call.ErrCPULimit):
		return ngproto.ReasonCPULimit
	case errors.Is(err, call.ErrLoadLimit):
		return ngproto.ReasonLoadLimit
	case errors.Is(err, call.ErrBandwidthLimit):
		return ngproto.ReasonBandwidthLimit
	}
	return ngproto.ReasonSessionLimit
}

func (d *Dispatcher) delete(req *ngproto.Request) (*ngproto.Reply, error) {
	del := &call.DeleteRequest{CallID: req.CallID, FromTag: req.FromTag, ViaBranch: req.ViaBranch, Fast: req.Flags.Fast}
	if req.Flags.ToTag {
		del.ToTag = req.ToTag
	}
	if req.DeleteDelay >= 0 {
		delay := time.Duration(req.DeleteDelay) * time.Second
		del.Delay = &delay
	}
	snap, err := d.calls.Delete(del)
	if err != nil {
		if req.Flags.Fatal || !errors.Is(err, call.ErrNoMatch) {
			return nil, err
		}
		return ngproto.Warning(ngproto.ReasonDeleteNotFound), nil
	}
	reply := ngproto.OK()
	if !req.Flags.Fast {
		describeCall(reply, snap, d.ssrc)
		d.updated(reply, snap.CallID)
	}
	return reply, nil
}

// failure puts an error in the words of the protocol, and into the log with all it has to say.
func (d *Dispatcher) failure(err error, callID, command string) *ngproto.Reply {
	d.failed.Add(1)
	if now := time.Now().Unix(); callID != "" || d.garbage.Swap(now) != now {
		d.log.Warn("request failed", "call", callID, "command", command, "err", err)
	}
	var proto *ngproto.Error
	if errors.As(err, &proto) {
		return ngproto.Failure(proto.Reason)
	}
	for _, row := range reasons {
		if errors.Is(err, row.err) {
			return ngproto.Failure(row.reason)
		}
	}
	return ngproto.Failure(reasonInternal)
}

// meetStrangers logs words of a request that have no effect, each word once.
func (d *Dispatcher) meetStrangers(req *ngproto.Request) {
	idle := withoutEffect(req)
	if len(req.Warnings)+len(req.Unknown)+len(idle) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, group := range []struct {
		what  string
		words []string
	}{
		{"unknown key or flag is ignored", req.Unknown},
		{"odd value is ignored", req.Warnings},
		{"flag is understood and has no effect yet", idle},
	} {
		for _, w := range group.words {
			if !d.known[w] && len(d.known) < strangers {
				d.known[strings.Clone(w)] = true // and not the whole request with it
				d.log.Warn(group.what+"; this is not said again", "call", req.CallID, "command", string(req.Command), "word", w)
			}
		}
	}
}

// withoutEffect names the flags of a request that a relay acts on and this one does not yet.
func withoutEffect(req *ngproto.Request) []string {
	var words []string
	f := &req.Flags
	for _, flag := range []struct {
		name string
		set  bool
	}{
		{"NAT wait", f.NATWait}, {"pierce NAT", f.PierceNAT},
		{"record call", f.RecordCall == ngproto.RecordOn}, {"inject DTMF", f.InjectDTMF},
		{"detect DTMF", f.DetectDTMF}, {"DTMF-security of in-band tones", req.DTMFSecurity > ngproto.BlockDrop},
		{"DTMF-delay", req.DTMFDelay.Set},
		{"forwarding", req.Command == ngproto.StartForwarding}, {"T.38", f.T38.Decode || f.T38.Force},
	} {
		if flag.set {
			words = append(words, flag.name)
		}
	}
	for _, c := range req.Codec.Transcode {
		if spec := CodecSpec(c); !spec.Offerable() {
			words = append(words, "codec-transcode-"+c.Text)
		}
	}
	return words
}

// Stats are counts of requests.
type Stats struct {
	Requests, Failed, Faults uint64
	Refused                  uint64 // from addresses that may not
	Replies                  int    // that are remembered now
}

// Stats returns the counts so far.
func (d *Dispatcher) Stats() Stats {
	return Stats{Requests: d.requests.Load(), Failed: d.failed.Load(), Faults: d.faults.Load(), Refused: d.refused.Load(), Replies: d.cache.Len()}
}
