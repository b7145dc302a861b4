package call

import "errors"

// What a request can fail with. Control languages translate them to their own words.
var (
	ErrUnknownCall   = errors.New("unknown call-id")
	ErrDialogue      = errors.New("invalid dialogue association")
	ErrIncompleteSDP = errors.New("incomplete SDP specification")
	ErrRewrite       = errors.New("cannot rewrite SDP")
	ErrNoPorts       = errors.New("ran out of ports")
	ErrSessionLimit  = errors.New("parallel session limit reached")
	ErrNoMatch       = errors.New("call-id not found or tags didn't match")

	ErrNoPair = errors.New("no such stream")
	ErrFamily = errors.New("address family of the party is not that of its port")

	ErrNoLabel    = errors.New("no party has the label")
	ErrBadAddress = errors.New("cannot parse the address")
	ErrNoAddress  = errors.New("no party has told the address")
	ErrNoTag      = errors.New("no party has the from-tag")

	ErrDocument = errors.New("no document of a call that can be restored")
	ErrForeign  = errors.New("another node owns the call")

	ErrNoMedia       = errors.New("no party with media is selected")
	ErrNoHearer      = errors.New("to-tag not found")
	ErrNoSource      = errors.New("from-tag not found")
	ErrSelf          = errors.New("source and destination are the same party")
	ErrMerge         = errors.New("a tag is in both calls")
	ErrConversion    = errors.New("conversion is not possible")
	ErrNotSubscribed = errors.New("no such subscription")
	ErrRefused       = errors.New("the answer does not fit the offer")

	ErrNoFlowTag       = errors.New("media flow not found: to-tag not found")
	ErrNoFlowLabel     = errors.New("media flow not found: to-label not found")
	ErrNoFlow          = errors.New("media flow not found: to-tag not subscribed")
	ErrNoSubscriptions = errors.New("no eligible media subscriptions found")
)
