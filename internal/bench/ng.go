package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/weir-media/weir/internal/netrig"
)

// client speaks as much of the ng protocol as the benchmark needs: bencode over UDP. It is written apart from the proxy
// and does little work per message, so that the proxy is what is measured. It is not safe for concurrent use.
type client struct {
	conn    *net.UDPConn
	in, out []byte
	round   int // of pings and pipelines, in every cookie: a cookie that came before gets the reply of then
}

// dialNG opens a client inside host.
func dialNG(host *netrig.Host, to netip.AddrPort) (c *client, err error) {
	c = &client{in: make([]byte, 65536)}
	err = host.Do(func() error {
		c.conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		return err
	})
	return c, err
}

const (
	resendAfter = time.Second
	tries       = 5
)

// script is what is said in each of several calls: request gives the dictionary to send, reply takes the answer.
// An error of reply ends the pipeline.
type script struct {
	steps   int
	request func(call, step int) []byte
	reply   func(call, step int, dict []byte) error
}

// pipeline plays the script for n calls: in order within a call, and with up to inFlight calls at a time.
func (c *client) pipeline(n, inFlight int, s script) error {
	c.round++
	at := make([]int, n) // the step each call is at
	started, finished, silent := 0, 0, 0
	for ; started < min(n, inFlight); started++ {
		if err := c.send(started, 0, s.request); err != nil {
			return err
		}
	}
	for finished < n {
		call, step, dict, err := c.receive()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if silent++; silent == tries {
				return fmt.Errorf("no answer to %d requests", started-finished)
			}
			if err := c.resend(at[:started], s); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if call >= started || step != at[call] {
			continue // an answer to a request that was sent twice
		}
		if err := s.reply(call, step, dict); err != nil {
			return fmt.Errorf("call %d, exchange %d: %w", call, step, err)
		}
		silent = 0
		at[call]++
		next := call
		if at[call] == s.steps {
			if finished++; started == n {
				continue
			}
			next = started
			started++
		}
		if err := c.send(next, at[next], s.request); err != nil {
			return err
		}
	}
	return nil
}

// resend repeats the requests of the calls that are not through.
func (c *client) resend(at []int, s script) error {
	for call, step := range at {
		if step == s.steps {
			continue
		}
		if err := c.send(call, step, s.request); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) send(call, step int, request func(call, step int) []byte) error {
	b := strconv.AppendInt(c.out[:0], int64(c.round), 10)
	b = strconv.AppendInt(append(b, '.'), int64(call), 10)
	b = strconv.AppendInt(append(b, '.'), int64(step), 10)
	c.out = append(append(b, ' '), request(call, step)...)
	_, err := c.conn.Write(c.out)
	return err
}

// receive takes the next reply of this round; its cookie is the round, the number of the call and the step.
func (c *client) receive() (call, step int, dict []byte, err error) {
	return c.receiveBefore(time.Now().Add(resendAfter))
}

// receiveBefore is receive that waits until a given time.
func (c *client) receiveBefore(until time.Time) (call, step int, dict []byte, err error) {
	c.conn.SetReadDeadline(until)
	for {
		n, err := c.conn.Read(c.in)
		if err != nil {
			return 0, 0, nil, err
		}
		cookie, dict, _ := bytes.Cut(c.in[:n], []byte{' '})
		var id [3]int
		for i := range id {
			var digits []byte
			digits, cookie, _ = bytes.Cut(cookie, []byte{'.'})
			if id[i], err = strconv.Atoi(string(digits)); err != nil {
				return 0, 0, nil, fmt.Errorf("reply with a foreign cookie: %q", c.in[:n])
			}
		}
		if id[0] == c.round {
			return id[1], id[2], dict, nil
		}
	}
}

// ping waits until the proxy answers, for at most patience or until ended is closed.
func (c *client) ping(patience time.Duration, ended <-chan struct{}) error {
	request := func(int, int) []byte { return appendDict(nil, "command", "ping") }
	for end := time.Now().Add(patience); ; c.round++ {
		err := c.send(0, 0, request)
		if err == nil {
			c.conn.SetReadDeadline(time.Now().Add(resendAfter))
			var n int
			if n, err = c.conn.Read(c.in); err == nil && bytes.Contains(c.in[:n], []byte("pong")) {
				return nil
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("no pong within %v: %w", patience, err)
		}
		select {
		case <-ended:
			return errors.New("the proxy ended at once")
		case <-time.After(20 * time.Millisecond): // a refused connection comes back immediately
		}
	}
}

func (c *client) Close() error { return c.conn.Close() }

// appendDict appends a dictionary of keys, which must be sorted, and values, which are strings, numbers or lists of
// strings.
func appendDict(b []byte, pairs ...any) []byte {
	b = append(b, 'd')
	for _, item := range pairs {
		switch v := item.(type) {
		case string:
			b = appendString(b, v)
		case int:
			b = append(strconv.AppendInt(append(b, 'i'), int64(v), 10), 'e')
		case []string:
			b = append(b, 'l')
			for _, s := range v {
				b = appendString(b, s)
			}
			b = append(b, 'e')
		}
	}
	return append(b, 'e')
}

func appendString(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	return append(append(b, ':'), s...)
}

var errBencode = errors.New("malformed bencode dictionary")

// lookup finds the string under key in a dictionary; it is empty when there is none.
func lookup(dict []byte, key string) (string, error) {
	rest, ok := bytes.CutPrefix(dict, []byte{'d'})
	if !ok {
		return "", errBencode
	}
	for len(rest) > 0 && rest[0] != 'e' {
		name, after, err := cutString(rest)
		if err != nil {
			return "", err
		}
		if name == key {
			value, _, err := cutString(after)
			return value, err
		}
		if rest, err = skip(after); err != nil {
			return "", err
		}
	}
	if len(rest) == 0 {
		return "", errBencode
	}
	return "", nil
}

func cutString(b []byte) (s string, rest []byte, err error) {
	digits, after, ok := bytes.Cut(b, []byte{':'})
	n, err := strconv.Atoi(string(digits))
	if !ok || err != nil || n < 0 || n > len(after) {
		return "", nil, errBencode
	}
	return string(after[:n]), after[n:], nil
}

// skip gives what follows the first value in b.
func skip(b []byte) ([]byte, error) {
	depth := 0
	for len(b) > 0 {
		switch b[0] {
		case 'd', 'l':
			depth++
			b = b[1:]
		case 'e':
			depth--
			b = b[1:]
		case 'i':
			_, after, ok := bytes.Cut(b, []byte{'e'})
			if !ok {
				return nil, errBencode
			}
			b = after
		default:
			_, after, err := cutString(b)
			if err != nil {
				return nil, err
			}
			b = after
		}
		if depth <= 0 {
			break
		}
	}
	if depth != 0 {
		return nil, errBencode
	}
	return b, nil
}
