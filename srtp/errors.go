package srtp

import "errors"

// Why a packet is not protected or unprotected. Contexts return these and the errors of the package rtp for broken
// headers, never wrapped, so that they can be compared and counted without cost.
var (
	ErrTooShort  = errors.New("packet has no room for its authentication tag")
	ErrAuth      = errors.New("authentication tag does not fit")
	ErrMKI       = errors.New("packet names another master key")
	ErrReplay    = errors.New("packet was received before, or is too old to tell")
	ErrEarly     = errors.New("packet is from before the first of its stream")
	ErrExhausted = errors.New("master key has protected as many packets as it may")
	ErrNoRoom    = errors.New("buffer has no room for what protection adds")
)

// What makes [Params] unusable.
var (
	ErrSuite = errors.New("unknown SRTP suite")
	ErrKey   = errors.New("master key or salt does not have the length of the suite")
	ErrParam = errors.New("session parameter does not fit the suite")
)
