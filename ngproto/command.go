package ngproto

// Command is the name of an ng command as it stands under the key "command". Names are case-sensitive.
type Command string

// The commands.
const (
	Ping             Command = "ping"
	Offer            Command = "offer"
	Answer           Command = "answer"
	Delete           Command = "delete"
	Query            Command = "query"
	ListCalls        Command = "list"
	StartRecording   Command = "start recording"
	StopRecording    Command = "stop recording"
	PauseRecording   Command = "pause recording"
	StartForwarding  Command = "start forwarding"
	StopForwarding   Command = "stop forwarding"
	BlockDTMF        Command = "block DTMF"
	UnblockDTMF      Command = "unblock DTMF"
	BlockMedia       Command = "block media"
	UnblockMedia     Command = "unblock media"
	SilenceMedia     Command = "silence media"
	UnsilenceMedia   Command = "unsilence media"
	PlayMedia        Command = "play media"
	StopMedia        Command = "stop media"
	PlayDTMF         Command = "play DTMF"
	Statistics       Command = "statistics"
	Publish          Command = "publish"
	SubscribeRequest Command = "subscribe request"
	SubscribeAnswer  Command = "subscribe answer"
	Unsubscribe      Command = "unsubscribe"
	InjectStart      Command = "inject start"
	InjectStop       Command = "inject stop"
	Connect          Command = "connect"
	Create           Command = "create"
	CreateAnswer     Command = "create answer"
	Mesh             Command = "mesh"
	Transform        Command = "transform"
	CLI              Command = "cli"
)

// commands tells for each command which keys it cannot do without, in the order in which they are missed, and its short
// name, which statistics and metrics use.
var commands = map[Command]struct {
	short string
	needs []need
}{
	Ping:             {short: "Ping"},
	Offer:            {"Offer", []need{needSDP, needCallID, needFromTag}},
	Answer:           {"Answer", []need{needSDP, needCallID, needFromTag, needToTag}},
	Delete:           {"Delete", []need{needCallID}},
	Query:            {"Query", []need{needCallID}},
	ListCalls:        {short: "List"},
	StartRecording:   {"StartRec", []need{needCallID}},
	StopRecording:    {"StopRec", []need{needCallID}},
	PauseRecording:   {"PauseRec", []need{needCallID}},
	StartForwarding:  {"StartFwd", []need{needCallID}},
	StopForwarding:   {"StopFwd", []need{needCallID}},
	BlockDTMF:        {"BlkDTMF", []need{needCallID}},
	UnblockDTMF:      {"UnblkDTMF", []need{needCallID}},
	BlockMedia:       {"BlkMedia", []need{needCallID}},
	UnblockMedia:     {"UnblkMedia", []need{needCallID}},
	SilenceMedia:     {"SlnMedia", []need{needCallID}},
	UnsilenceMedia:   {"UnslnMedia", []need{needCallID}},
	PlayMedia:        {"PlayMedia", []need{needCallID}},
	StopMedia:        {"StopMedia", []need{needCallID}},
	PlayDTMF:         {"PlayDTMF", []need{needCallID}},
	Statistics:       {short: "Stats"},
	Publish:          {"Pub", []need{needFullSDP}},
	SubscribeRequest: {"SubReq", []need{needCallID}},
	SubscribeAnswer:  {"SubAns", []need{needCallID, needToTag, needFullSDP}},
	Unsubscribe:      {"Unsub", []need{needCallID, needToTag}},
	InjectStart:      {"InjStart", []need{needCallID, needToTag, needSourceTag}},
	InjectStop:       {"InjStop", []need{needCallID, needToTag, needSourceTag}},
	Connect:          {"Conn", []need{needCallID, needToTag}},
	Create:           {short: "Create"},
	CreateAnswer:     {"CrtAnsw", []need{needSDP, needCallID, needFromTag}},
	Mesh:             {short: "Mesh"},
	Transform:        {short: "Trnsfm"},
	CLI:              {"CLI", []need{needBody}},
}

// Commands returns all commands, in no particular order.
func Commands() []Command {
	all := make([]Command, 0, len(commands))
	for c := range commands {
		all = append(all, c)
	}
	return all
}

// Short returns the name of the command in statistics and metrics, "" for an unknown one.
func (c Command) Short() string { return commands[c].short }

func lookupCommand(name string) (Command, bool) {
	if name == "CLI" {
		return CLI, true
	}
	_, ok := commands[Command(name)]
	return Command(name), ok
}

// need is one key that a command cannot do without.
type need uint8

const (
	needSDP     need = iota // may be empty: that is for the SDP parser to refuse
	needFullSDP             // must not be empty
	needCallID              // must not be empty
	needFromTag
	needToTag
	needSourceTag
	needBody
)

// Check tests for the keys that the command of r cannot do without, in the documented order. The error is an *Error.
func Check(r *Request) error {
	for _, n := range commands[r.Command].needs {
		if reason := n.missing(r); reason != "" {
			return &Error{reason}
		}
	}
	return nil
}

// missing returns the reason of the error reply, "" if the key is there.
func (n need) missing(r *Request) string {
	switch {
	case n == needSDP && !r.HasSDP, n == needFullSDP && r.SDP == "":
		return ReasonNoSDP
	case n == needCallID && r.CallID == "":
		return ReasonNoCallID
	case n == needFromTag && !r.HasFromTag:
		return ReasonNoFromTag
	case n == needToTag && !r.HasToTag:
		return ReasonNoToTag
	case n == needSourceTag && r.SourceTag == "":
		return ReasonNoSourceTag
	case n == needBody && r.Body == "":
		return ReasonNoBody
	}
	return ""
}
