// Package mqtt publishes statistics to an MQTT broker, in the JSON that rtpengine has for it.
package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/weir-media/weir/control/outbox"
)

const (
	// window is how many messages are under way; more wait for the broker to take these.
	window     = 64
	dialTime   = 5 * time.Second
	writeTime  = 5 * time.Second
	retryFirst = 100 * time.Millisecond // grows to retryMost
	retryMost  = 10 * time.Second
)

var (
	errSlow = errors.New("the broker takes too long")
	errLost = errors.New("the broker has ended the connection")
)

// Config says what is published, and where.
type Config struct {
	Address        string // HOST:PORT; a name is resolved at every connection
	TLS            *tls.Config
	ClientID       string // empty: a random one
	User, Password string
	KeepAlive      time.Duration
	Topic          string
	QoS            byte
	Interval       time.Duration
	Messages       func() iter.Seq[[]byte] // those of one moment
	Log            *slog.Logger
}

// Publisher publishes. Run is to be called once.
type Publisher struct {
	cfg           Config
	client        paho.Client // nil: there is no connection
	trouble       outbox.Trouble
	sent, dropped atomic.Uint64
}

// New returns a publisher that does nothing before Run.
func New(cfg Config) *Publisher {
	if cfg.ClientID == "" {
		cfg.ClientID = fmt.Sprintf("weir-%016x", rand.Uint64())
	}
	return &Publisher{cfg: cfg, trouble: outbox.Trouble{Log: cfg.Log, To: cfg.Address, What: "nothing can be published to MQTT"}}
}

// Counts returns how many messages were published, and how many were not. Those of moments without a connection count as one each.
func (p *Publisher) Counts() (sent, dropped uint64) { return p.sent.Load(), p.dropped.Load() }

// Run publishes once an interval until ctx ends. Nothing is kept for a broker that is away.
func (p *Publisher) Run(ctx context.Context) {
	tick := time.NewTicker(max(p.cfg.Interval, time.Millisecond))
	defer tick.Stop()
	defer p.hangUp()
	wait, again := retryFirst, time.Time{} // when to connect, if there is no connection
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if p.client == nil && time.Now().Before(again) {
			p.dropped.Add(1)
			continue
		}
		err := p.connect()
		if err == nil {
			err = p.publish()
		} else {
			p.dropped.Add(1)
		}
		if p.trouble.Note(err); err == nil {
			wait = retryFirst
			continue
		}
		p.hangUp()
		again, wait = time.Now().Add(wait), min(2*wait, retryMost)
	}
}

// connect makes a connection if there is none.
func (p *Publisher) connect() error {
	if p.client != nil {
		if p.client.IsConnectionOpen() {
			return nil
		}
		p.hangUp()
	}
	scheme := "tcp://"
	if p.cfg.TLS != nil {
		scheme = "ssl://"
	}
	o := paho.NewClientOptions().AddBroker(scheme + p.cfg.Address).SetClientID(p.cfg.ClientID).SetKeepAlive(p.cfg.KeepAlive).
		SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(dialTime).SetWriteTimeout(writeTime)
	if p.cfg.TLS != nil {
		o.SetTLSConfig(p.cfg.TLS)
	}
	if p.cfg.User != "" {
		o.SetUsername(p.cfg.User).SetPassword(p.cfg.Password)
	}
	client := paho.NewClient(o)
	if token := client.Connect(); !token.WaitTimeout(2 * dialTime) {
		client.Disconnect(0)
		return errSlow
	} else if err := token.Error(); err != nil {
		return err
	}
	p.client = client
	return nil
}

// publish sends the messages of this moment.
func (p *Publisher) publish() error {
	var under []paho.Token
	settle := func() (err error) {
		deadline := time.Now().Add(writeTime)
		for _, token := range under {
			e := error(nil)
			switch {
			case !token.WaitTimeout(time.Until(deadline)):
				e = errSlow
			default:
				e = token.Error()
			}
			if e != nil {
				p.dropped.Add(1)
				err = e
				continue
			}
			p.sent.Add(1)
		}
		under = under[:0]
		return err
	}
	for message := range p.cfg.Messages() {
		if !p.client.IsConnectionOpen() {
			return errors.Join(errLost, settle())
		}
		under = append(under, p.client.Publish(p.cfg.Topic, p.cfg.QoS, false, message))
		if len(under) == window {
			if err := settle(); err != nil {
				return err
			}
		}
	}
	return settle()
}

func (p *Publisher) hangUp() {
	if p.client != nil {
		const quiesce = 100 // ms
		p.client.Disconnect(quiesce)
		p.client = nil
	}
}
