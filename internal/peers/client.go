package peers

import (
	"errors"
	"fmt"
)

// Endpoint is a party that only knows descriptions.
type Endpoint interface {
	Offer(restart bool) (offer string, err error)
	Answer(offer string) (answer string, err error)
	Accept(answer string) error
	Hear() (Sound, error)
	Tone() float64
	Close() error
}

// Client is an endpoint that can call and be called. Its methods must not be called at the same time.
type Client struct {
	Endpoint
	*Agent
}

// NewClient gives an endpoint on a side, which must have no other party, its SIP. It answers every call.
func NewClient(side Side, kind Kind, endpoint Endpoint) (*Client, error) {
	agent, err := NewAgent(side, kind, endpoint.Answer)
	return &Client{endpoint, agent}, err
}

// Close stops both.
func (c *Client) Close() error { return errors.Join(c.Agent.Close(), c.Endpoint.Close()) }

// Call calls somebody.
func (c *Client) Call(uri string) error {
	return c.negotiate(false, func(offer string) (string, error) { return c.Agent.Call(uri, offer) })
}

// Renew offers anew in the call, with restart for new ICE credentials.
func (c *Client) Renew(restart bool) error { return c.negotiate(restart, c.Agent.Reoffer) }

func (c *Client) negotiate(restart bool, send func(offer string) (string, error)) error {
	offer, err := c.Offer(restart)
	if err != nil {
		return err
	}
	answer, err := send(offer)
	if err != nil {
		return err
	}
	if err := c.Accept(answer); err != nil {
		return fmt.Errorf("%w; the offer was\n%s\nand the answer\n%s", err, offer, answer)
	}
	return nil
}
