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
	path string
	http http.Client
}

// NewClient returns a client of the daemon whose control socket is at path. Nothing is opened before the first request.
func NewClient(path string) *Client {
	return &Client{path: path, http: http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}},
	}}
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

func (c *Client) get(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, into)
}

func (c *Client) do(ctx context.Context, method, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://weir"+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("no daemon answers at %s (is it running? --control-socket names another place): %w", c.path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return fmt.Errorf("the daemon says: %s", strings.TrimSpace(string(text)))
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	return nil
}
