package rtpproxy

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/recording"
)

// recordOptions are the modifiers of R and C.
type recordOptions struct{ single, tellPort bool }

func (c *Command) recordOptions() (o recordOptions, err error) {
	for _, letter := range []byte(c.Modifiers) {
		switch upper(letter) {
		case 'S':
			o.single = true
		case 'P':
			if o.tellPort = true; c.Op == Record {
				return o, codeSyntax2
			}
		default:
			return o, codeSyntax3
		}
	}
	return o, nil
}

// The two sides in names of files: who opened the session, and who answered.
var sideNames = [2]string{".o", ".a"}

// record carries out R.
func (d *Dispatcher) record(c *Command) (string, error) {
	o, err := c.recordOptions()
	if err != nil {
		return "", err
	}
	key := c.key()
	if err := d.calls.TapPairs(&key, d.recorder(o, "")); err != nil {
		if errors.Is(err, codeRecord) {
			err = codeSession // as RTPproxy says it
		}
		return "", err
	}
	return "0", nil
}

// recorder returns what makes a recording of a side, under a name or that of the session.
func (d *Dispatcher) recorder(o recordOptions, name string) func(call.TapTarget) (call.Tap, error) {
	return func(t call.TapTarget) (call.Tap, error) {
		if d.cfg.Recordings == nil {
			d.log.Warn("a recording is asked for and there is no directory for it; name one with --rtpproxy-recording-dir", "call", t.CallID)
			return nil, codeRecord
		}
		if both, ok := t.Other.(*single); ok && o.single {
			return both, nil
		}
		text := name
		if text == "" {
			text = t.CallID + "=" + t.Opener
			if t.Number > 0 {
				text += ";" + strconv.Itoa(t.Number)
			}
		}
		end := sideNames[t.Side]
		if o.single {
			end = ""
		}
		r, err := d.cfg.Recordings.Record(text, end)
		if err != nil {
			d.log.Error("a call is not recorded", "call", t.CallID, "err", err)
			return nil, codeRecord
		}
		if o.single {
			return &single{r}, nil
		}
		return r, nil
	}
}

// single is a recording of both sides in one file.
type single struct{ *recording.Recording }

// copyTo carries out C.
func (d *Dispatcher) copyTo(c *Command) (string, error) {
	o, err := c.recordOptions()
	if err != nil {
		return "", err
	}
	key, target := c.key(), c.Words[2]
	to, remote := strings.CutPrefix(target, "udp:")
	if key.Number == 0 {
		// Unlike R it is about one medium, so that all must not be taken for it.
		if _, _, err := d.calls.QueryPair(&key); err != nil {
			return "", err
		}
	}
	if !remote {
		if o.tellPort {
			return "", codeRecord
		}
		return "0", d.calls.TapPairs(&key, d.recorder(o, target))
	}
	var sending string
	err = d.calls.TapPairs(&key, func(t call.TapTarget) (call.Tap, error) {
		address, err := netip.ParseAddrPort(to)
		if err != nil {
			host, port, _ := strings.Cut(to, ":")
			if address, err = d.remote(host, port, false); err != nil {
				return nil, codeRecord
			}
		}
		f, err := recording.NewForward(address, d.log)
		if err != nil {
			d.log.Warn("a call cannot be passed on", "call", t.CallID, "to", to, "err", err)
			return nil, codeRecord
		}
		sending = port(f.Local())
		return f, nil
	})
	switch {
	case err != nil:
		return "", err
	case o.tellPort && sending == "":
		return "", codeRecord // it is being copied elsewhere
	case o.tellPort:
		return sending, nil
	}
	return "0", nil
}

// noRecord carries out N.
func (d *Dispatcher) noRecord(c *Command) (string, error) {
	both := false
	switch m := c.Modifiers; {
	case m == "":
	case upper(m[0]) != 'A':
		return "", codeSyntax3
	case len(m) > 1:
		return "", codeSyntax2
	default:
		both = true
	}
	key := c.key()
	return "0", d.calls.UntapPairs(&key, both)
}
