package ng

import (
	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/ngproto"
	"github.com/weir-media/weir/sdp"
)

// reasons puts errors in the words of the protocol. The first row that fits counts.
var reasons = []struct {
	err    error
	reason string
}{
	{sdp.ErrSyntax, ngproto.ReasonBadSDP},
	{sdp.ErrIncomplete, ngproto.ReasonIncompleteSDP},
	{call.ErrIncompleteSDP, ngproto.ReasonIncompleteSDP},
	{call.ErrUnknownCall, ngproto.ReasonUnknownCall},
	{call.ErrDialogue, ngproto.ReasonBadDialogue},
	{call.ErrRewrite, ngproto.ReasonRewriteSDP},
	{call.ErrNoPorts, ngproto.ReasonNoPorts},
	{call.ErrSessionLimit, ngproto.ReasonSessionLimit},
	{call.ErrNoMatch, ngproto.ReasonDeleteNotFound},
	{call.ErrNoLabel, ngproto.ReasonNoLabel},
	{call.ErrBadAddress, ngproto.ReasonBadAddress},
	{call.ErrNoAddress, ngproto.ReasonNoAddressMatch},
	{call.ErrNoTag, ngproto.ReasonNoSuchFromTag},
	{call.ErrNoMedia, ngproto.ReasonNoMedias},
	{call.ErrNoHearer, ngproto.ReasonToTagNotFound},
	{call.ErrNoSource, ngproto.ReasonFromTagNotFound},
	{call.ErrNotSubscribed, ngproto.ReasonUnsubscribe},
	{call.ErrNoFlowTag, ngproto.ReasonNoFlowToTag},
	{call.ErrNoFlowLabel, ngproto.ReasonNoFlowToLabel},
	{call.ErrNoFlow, ngproto.ReasonNoFlow},
	{call.ErrNoSubscriptions, ngproto.ReasonNoSubscriptions},
}
