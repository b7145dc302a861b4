package call

import (
	"cmp"
	"slices"
	"strings"

	"github.com/weir-media/weir/sdp"
	"github.com/weir-media/weir/srtp"
)

// SDES is what a message asks for in the a=crypto lines (RFC 4568).
type SDES struct {
	Off    bool // neither offered nor accepted
	Static bool // an answer keeps the keys agreed before
	Prefer bool // of an offer with SDES and DTLS, SDES is taken
	NoNew  bool // suites the sender did not offer are not added; No and Only then do not count

	No, Only []srtp.Suite // not offered and not accepted; nothing else is. Only beats No.
	Order    []srtp.Suite // first in the list told to the receiver
	Pick     []srtp.Suite // what the sender of an offer is answered with, if it offers one of them, the best first

	Pad      bool // base64 with padding
	Lifetime bool // each key with a lifetime of 2^31 packets

	// Session parameters: added to what is told, or taken out of what is passed on.
	UnencryptedRTP, UnencryptedRTCP, UnauthenticatedRTP bool
	EncryptedRTP, EncryptedRTCP, AuthenticatedRTP       bool
}

// Suites reads the names of suites; those that nobody knows are left out.
func Suites(names []string) []srtp.Suite {
	var suites []srtp.Suite
	for _, name := range names {
		if s := srtp.SuiteByName(name); s.Valid() {
			suites = append(suites, s)
		}
	}
	return suites
}

func (w *SDES) allows(s srtp.Suite) bool {
	switch {
	case w.NoNew:
		return true
	case len(w.Only) > 0:
		return slices.Contains(w.Only, s)
	}
	return !slices.Contains(w.No, s)
}

// session applies the wishes for session parameters.
func (w *SDES) session(p srtp.Params) srtp.Params {
	p.UnencryptedRTP = (p.UnencryptedRTP || w.UnencryptedRTP) && !w.EncryptedRTP
	p.UnencryptedRTCP = (p.UnencryptedRTCP || w.UnencryptedRTCP) && !w.EncryptedRTCP
	p.UnauthenticatedRTP = (p.UnauthenticatedRTP || w.UnauthenticatedRTP) && !w.AuthenticatedRTP
	return p
}

// cryptoLine is one a=crypto line.
type cryptoLine struct {
	tag    uint32
	params srtp.Params
	own    bool // we made the key
}

// cryptoLines reads the lines that this proxy can use. Others are as good as not there: the party has to live with an answer
// that takes none of them anyway.
func cryptoLines(said []sdp.Crypto) []cryptoLine {
	var lines []cryptoLine
	for _, c := range said {
		keys, err := c.Keys()
		if err != nil {
			continue
		}
		p, err := srtp.ParseKeySalt(srtp.SuiteByName(c.Suite), keys[0].KeySalt)
		if err != nil {
			continue
		}
		p.MKI = keys[0].MKI
		if sessionParams(&p, c.SessionParams) && p.Validate() == nil {
			lines = append(lines, cryptoLine{tag: c.Tag, params: p})
		}
	}
	return lines
}

// sessionParams reads the session parameters and reports whether all of them can be met. One that is not understood makes
// the line unusable, unless it is marked as optional (RFC 4568, section 6.3.8).
func sessionParams(p *srtp.Params, text string) bool {
	for _, word := range strings.Fields(text) {
		switch {
		case word == "UNENCRYPTED_SRTP":
			p.UnencryptedRTP = true
		case word == "UNENCRYPTED_SRTCP":
			p.UnencryptedRTCP = true
		case word == "UNAUTHENTICATED_SRTP":
			p.UnauthenticatedRTP = true
		case word == "KDR=0", strings.HasPrefix(word, "WSH="), word[0] == '-':
		default:
			return false
		}
	}
	return true
}

// text writes a line as it is told.
func (l *cryptoLine) text(w *SDES) sdp.Crypto {
	key := sdp.CryptoKey{KeySalt: l.params.KeySalt(), MKI: l.params.MKI}
	if w.Lifetime {
		key.Lifetime = "2^31"
	}
	var session []string
	for _, s := range []struct {
		set  bool
		name string
	}{
		{l.params.UnencryptedRTP, "UNENCRYPTED_SRTP"},
		{l.params.UnencryptedRTCP, "UNENCRYPTED_SRTCP"},
		{l.params.UnauthenticatedRTP, "UNAUTHENTICATED_SRTP"},
	} {
		if s.set {
			session = append(session, s.name)
		}
	}
	return sdp.Crypto{
		Tag: l.tag, Suite: l.params.Suite.String(), KeyParams: sdp.FormatKeys([]sdp.CryptoKey{key}, w.Pad),
		SessionParams: strings.Join(session, " "),
	}
}

// acceptable returns the lines of an offer that its sender may be answered with. When the wishes leave nothing, the best
// line stays: better an unwanted suite than no call.
func (w *SDES) acceptable(heard []cryptoLine) []cryptoLine {
	kept := w.allowed(heard)
	if len(kept) == 0 && len(heard) > 0 {
		kept = heard[:1]
	}
	return kept
}

func (w *SDES) allowed(lines []cryptoLine) []cryptoLine {
	var kept []cryptoLine
	for _, l := range lines {
		if w.allows(l.params.Suite) {
			kept = append(kept, l)
		}
	}
	return kept
}

// offer returns the lines for the receiver of an offer: those of the sender with tag and key, so that packets need not be
// encrypted anew if the receiver takes one of them; or else what is agreed with the receiver. All other suites follow. Keys
// told before are told again: who asks twice gets the same answer.
func (w *SDES) offer(heard, told []cryptoLine, agreed bool) []cryptoLine {
	var lines []cryptoLine
	switch {
	case len(heard) > 0:
		for _, l := range w.allowed(heard) {
			l.own, l.params = false, w.session(l.params)
			lines = append(lines, l)
		}
	case agreed:
		lines = slices.Clone(told)
	}
	if !w.NoNew || len(lines) == 0 {
		var session srtp.Params
		if len(heard) > 0 {
			session = heard[0].params
		}
		lines = w.complete(lines, told, session)
	}
	if len(w.Order) > 0 {
		place := func(l cryptoLine) int {
			if i := slices.Index(w.Order, l.params.Suite); i >= 0 {
				return i
			}
			return len(w.Order)
		}
		slices.SortStableFunc(lines, func(a, b cryptoLine) int { return cmp.Compare(place(a), place(b)) })
	}
	return lines
}

// complete adds every allowed suite that the list lacks, with a key of our own.
func (w *SDES) complete(lines, told []cryptoLine, session srtp.Params) []cryptoLine {
	tag := uint32(0)
	for _, l := range lines {
		tag = max(tag, l.tag)
	}
	for _, suite := range srtp.Suites() {
		if !w.allows(suite) || bySuite(lines, suite, false) != nil {
			continue
		}
		var params srtp.Params
		if before := bySuite(told, suite, true); before != nil {
			params = before.params
		} else {
			params = srtp.Generate(suite)
		}
		params.UnencryptedRTP, params.UnencryptedRTCP = session.UnencryptedRTP, session.UnencryptedRTCP
		params.UnauthenticatedRTP = session.UnauthenticatedRTP
		if params = w.session(params); params.Validate() != nil {
			continue // a suite for which the session parameters make no sense
		}
		tag++
		lines = append(lines, cryptoLine{tag: tag, params: params, own: true})
	}
	return lines
}

// bySuite returns the first line of a suite; with own, the first whose key we made.
func bySuite(lines []cryptoLine, suite srtp.Suite, own bool) *cryptoLine {
	for i := range lines {
		if l := &lines[i]; l.params.Suite == suite && (l.own || !own) {
			return l
		}
	}
	return nil
}

// taken finds the offered line that an answer takes up: by tag, and the suite has to be the one of that tag. Who gets the
// tag wrong but names an offered suite is understood, too. Nothing is taken without a usable key.
func taken(answer, offered []cryptoLine) (in, out *cryptoLine) {
	for _, strict := range []bool{true, false} {
		for i := range answer {
			for j := range offered {
				a, o := &answer[i], &offered[j]
				if a.params.Suite == o.params.Suite && (a.tag == o.tag || !strict) {
					return a, o
				}
			}
		}
	}
	return nil, nil
}
