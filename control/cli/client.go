package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// DefaultSocket is where the daemon listens unless told otherwise.
const DefaultSocket = "/run/weir/weir.sock"

// Client asks a running daemon. It is safe for concurrent use.
type Client struct {
	path   string
	http   http.Client
	stream http.Client // for what takes its time
}

// NewClient returns a client of the daemon whose control socket is at path. Nothing is opened before the first request.
func NewClient(path string) *Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}
	return &Client{path: path, http: http.Client{Timeout: 10 * time.Second, Transport: transport}, stream: http.Client{Transport: transport}}
}

// Status returns the daemon's status.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	st := new(Status)
	return st, c.get(ctx, "/v1/status", st)
}

// Calls returns at most limit calls.
func (c *Client) Calls(ctx context.Context, limit int) (*Calls, error) {
	calls := new(Calls)
	return calls, c.get(ctx, "/v1/calls?limit="+strconv.Itoa(limit), calls)
}

// Call returns one call.
func (c *Client) Call(ctx context.Context, id string) (*Call, error) {
	one := new(Call)
	return one, c.get(ctx, "/v1/calls/"+url.PathEscape(id), one)
}

// Reload has the daemon read its configuration again.
func (c *Client) Reload(ctx context.Context) (*Reloaded, error) {
	r := new(Reloaded)
	return r, c.do(ctx, http.MethodPost, "/v1/reload", r)
}

// Explain returns why a call has sound or has none.
func (c *Client) Explain(ctx context.Context, id string) (*Explanation, error) {
	e := new(Explanation)
	return e, c.get(ctx, "/v1/explain/"+url.PathEscape(id), e)
}

// Drain has the daemon refuse new calls, and end those that live after the limit unless it is 0. With failPing it refuses pings of
// proxies, too.
func (c *Client) Drain(ctx context.Context, limit time.Duration, failPing bool) (*Drain, error) {
	query := url.Values{"limit": {limit.String()}}
	if failPing {
		query.Set("fail-ping", "1")
	}
	d := new(Drain)
	return d, c.do(ctx, http.MethodPost, "/v1/drain?"+query.Encode(), d)
}

// Undrain has the daemon take new calls again.
func (c *Client) Undrain(ctx context.Context) (*Drain, error) {
	d := new(Drain)
	return d, c.do(ctx, http.MethodPost, "/v1/undrain", d)
}

// Terminate ends a call at once, or all for an empty id.
func (c *Client) Terminate(ctx context.Context, id string) (*Terminated, error) {
	path := "/v1/terminate-all"
	if id != "" {
		path = "/v1/terminate/" + url.PathEscape(id)
	}
	t := new(Terminated)
	return t, c.do(ctx, http.MethodPost, path, t)
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, into)
}

func (c *Client) do(ctx context.Context, method, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://weir"+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.answer(c.http.Do(req))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	return nil
}

// answer makes errors of what is no answer to a request.
func (c *Client) answer(resp *http.Response, err error) (*http.Response, error) {
	if err != nil {
		return nil, fmt.Errorf("no daemon answers at %s (is it running? --control-socket names another place): %w", c.path, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
	return nil, fmt.Errorf("the daemon says: %s", strings.TrimSpace(string(text)))
}
