package rtpproxy

import (
	"errors"
	"strconv"

	"github.com/weir-media/weir/call"
)

// code is what a command fails with.
type code int

// The codes.
const (
	codeUnknown   code = 0 // no such command
	codeWords     code = 1 // too few or too many words
	codeModifiers code = 2 // the command has none
	codeSub       code = 3 // a subcommand that cannot be read, or is not for this command
	codeSyntax    code = 5
	codeSyntax2   code = 6
	codeSyntax3   code = 7
	codeDelete    code = 8 // modifier of D
	codeStats     code = 9 // modifier of G
	codeURL       code = 10
	codeExternal  code = 11
	codeInternal  code = 12
	codePtime     code = 13
	codeCodecs    code = 14
	codeLocal     code = 15
	codeRoute     code = 16
	codeCount     code = 17
	codeInfo      code = 18
	codeQuery     code = 19
	codeTooLong   code = 25
	codeNotLocal  code = 31
	codeNoRoute   code = 32
	codeModifier  code = 35 // unknown one of U or L; P without codecs
	codeFamily    code = 36
	codeRemote    code = 37
	codeSession   code = 50
	codePlayer    code = 60
	codeCounter   code = 62 // of Q
	codeRecord    code = 65
	codeStatistic code = 68 // of G
	codePorts     code = 71
	codeNotify    code = 75
	codeFault     code = 81 // a fault of ours; the log has the details
	codeOverload  code = 98
)

// Error makes a code an error; the text is the reply.
func (c code) Error() string { return "E" + strconv.Itoa(int(c)) }

// codeOf puts an error in the words of the protocol.
func codeOf(err error) code {
	var c code
	switch {
	case errors.As(err, &c):
		return c
	case errors.Is(err, call.ErrUnknownCall), errors.Is(err, call.ErrNoPair):
		return codeSession
	case errors.Is(err, call.ErrFamily):
		return codeFamily
	case errors.Is(err, call.ErrNoPorts):
		return codePorts
	case errors.Is(err, call.ErrSessionLimit), errors.Is(err, call.ErrDialogue):
		return codeOverload
	}
	return codeFault
}
