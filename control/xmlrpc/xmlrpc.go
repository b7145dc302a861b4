package xmlrpc

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/weir-media/weir/call"
)

// Format is what is called, with what.
type Format int

// The formats.
const (
	SEMS     Format = iota // di("sbc", "postControlCmd", tag, "teardown") for each party
	CallID                 // teardown(call-id)
	Kamailio               // dlg.terminate_dlg(call-id, from-tag, to-tag)
	formats
)

// Valid tells whether there is such a format.
func (f Format) Valid() bool { return f >= 0 && f < formats }

const (
	timeout    = 5 * time.Second
	attempts   = 3
	maxWaiting = 4096 // calls that are to be told of; more are dropped
	workers    = 4
	maxReply   = 64 << 10
)

// Caller tells of calls that have timed out. It is safe for concurrent use.
type Caller struct {
	url     string
	format  Format
	log     *slog.Logger
	client  http.Client
	waiting chan *call.Ended
}

// New returns a Caller. Where the URL has %% for its host, the address that was told with the call stands in, or else that of who made it.
func New(address string, format Format, log *slog.Logger) (*Caller, error) {
	u, err := url.Parse(strings.Replace(address, "%%", "192.0.2.1", 1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q is no URL: %w", address, err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%q is no URL of HTTP; write http://HOST:PORT/PATH", address)
	case !format.Valid():
		return nil, fmt.Errorf("XML-RPC format %d is none of 0, 1, 2", format)
	}
	return &Caller{
		url: address, format: format, log: log, client: http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}},
		waiting: make(chan *call.Ended, maxWaiting),
	}, nil
}

// Ended queues what has ended if that is a call, and by a timeout. It does not wait. It is for call.Config.Ended.
func (c *Caller) Ended(e *call.Ended) {
	if !e.Whole || !e.Why.TimedOut() {
		return
	}
	select {
	case c.waiting <- e:
	default:
		c.log.Warn("nobody is told of a call that has timed out: too many wait for it", "call", e.CallID, "most", maxWaiting)
	}
}

// Run makes the calls until ctx ends.
func (c *Caller) Run(ctx context.Context) {
	done := make(chan struct{})
	for range workers {
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				select {
				case <-ctx.Done():
					return
				case e := <-c.waiting:
					c.tell(ctx, e)
				}
			}
		}()
	}
	for range workers {
		<-done
	}
}

// tell makes the calls about one call.
func (c *Caller) tell(ctx context.Context, e *call.Ended) {
	address, err := c.address(e)
	if err != nil {
		c.log.Warn("nobody is told of a call that has timed out", "call", e.CallID, "err", err)
		return
	}
	for _, body := range c.bodies(e) {
		for range attempts {
			if err = c.post(ctx, address, body); err == nil || ctx.Err() != nil {
				break
			}
		}
		if err != nil {
			c.log.Warn("a call that has timed out could not be told of", "call", e.CallID, "url", address, "err", err)
		}
	}
}

// address returns the URL for a call.
func (c *Caller) address(e *call.Ended) (string, error) {
	if !strings.Contains(c.url, "%%") {
		return c.url, nil
	}
	for _, a := range []netip.Addr{e.Callback, e.Client} {
		if a.IsValid() {
			host := a.Unmap().String()
			if a.Unmap().Is6() {
				host = "[" + host + "]"
			}
			return strings.Replace(c.url, "%%", host, 1), nil
		}
	}
	return "", errors.New("the URL has %% for its host, and it is not known who made the call")
}

// bodies returns the requests about a call.
func (c *Caller) bodies(e *call.Ended) [][]byte {
	switch c.format {
	case SEMS:
		var all [][]byte
		for _, tag := range e.Tags {
			all = append(all, request("di", "sbc", "postControlCmd", tag, "teardown"))
		}
		return all
	case CallID:
		return [][]byte{request("teardown", e.CallID)}
	}
	var tags [2]string
	copy(tags[:], e.Tags)
	return [][]byte{request("dlg.terminate_dlg", e.CallID, tags[0], tags[1])}
}

// request writes a method call whose parameters are strings.
func request(method string, params ...string) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header + "<methodCall><methodName>" + method + "</methodName><params>")
	for _, p := range params {
		b.WriteString("<param><value><string>")
		_ = xml.EscapeText(&b, []byte(p)) // a buffer takes everything
		b.WriteString("</string></value></param>")
	}
	b.WriteString("</params></methodCall>\n")
	return b.Bytes()
}

func (c *Caller) post(ctx context.Context, address string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/xml")
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return err
	}
	text := strings.ToLower(string(reply))
	switch {
	case resp.StatusCode/100 != 2:
		return fmt.Errorf("answered with %s", resp.Status)
	case strings.Contains(text, "<fault>") && !strings.Contains(text, "dialog not found"):
		return errors.New("answered with a fault")
	}
	return nil
}
