package call

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/weir-media/weir/media"
)

const (
	// attendEvery is how often it is looked whether packets have come to calls that wait for some.
	attendEvery = time.Second
	// reopenFor is how long ports of a foreign call that is renewed may take to be free again.
	reopenFor = 2 * time.Second
)

// Follow makes the foreign call of a document that its owner, another node, has written, or renews it. Its ports are open here, and
// packets that come are relayed, but it does not time out, has no document, makes no reports and does neither ICE nor DTLS, until it is
// taken over. Keyspace says where the document is found. Calls of our own are left alone, unless the document is of a
// later term: then somebody has taken the call over, and it is foreign from now on. It fails as Restore does.
func (m *Manager) Follow(doc *Document, keyspace int) error {
	renewed, stays := false, false
	if c := m.lookup(doc.CallID); c != nil {
		_, _ = c.own(func(c *Call) error {
			if c.id != doc.CallID || doc.Term < c.term || doc.Term == c.term && !c.foreign {
				if !c.foreign && doc.Term < c.term {
					m.changed(c.id) // who has lost it may have written over what we had
				}
				stays = true
				return nil
			}
			if c.foreign && doc.Term == c.term && m.cfg.Switchover && c.heard() {
				c.takeOver(false)
				stays = true
				return nil
			}
			renewed = true
			c.disown(keyspace)
			c.leave()
			return nil
		})
	}
	if stays {
		return nil
	}
	create := func(in Language) (*Call, error) { return m.createForeign(doc.CallID, in, keyspace) }
	err := m.restore(doc, create)
	for until := time.Now().Add(reopenFor); renewed && errors.Is(err, media.ErrPort) && time.Now().Before(until); {
		time.Sleep(time.Millisecond) // the ports it had are being closed
		err = m.restore(doc, create)
	}
	return err
}

// createForeign is create for a call of another node.
func (m *Manager) createForeign(id string, in Language, keyspace int) (*Call, error) {
	s := m.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls[id] != nil {
		return nil, ErrDocument // somebody has made it since it was looked up
	}
	c := newCall(m, strings.Clone(id))
	c.language, c.foreign, c.keyspace, c.serial = in, true, keyspace, m.serial.Add(1)
	s.calls[c.id] = c
	m.live.Add(1)
	m.foreign.Add(1)
	return c, nil
}

// Unfollow ends a foreign call of a keyspace here, since its owner has. The document of a call of our own is written again, should
// somebody who had the call before have deleted it.
func (m *Manager) Unfollow(id string, keyspace int) {
	_ = m.with(id, false, func(c *Call) error { // there may be none
		switch {
		case !c.foreign && c.term > 0:
			m.changed(c.id)
		case c.id == id && c.foreign && c.keyspace == keyspace:
			c.leave()
		}
		return nil
	})
}

// Foreign returns the ids of the foreign calls of a keyspace.
func (m *Manager) Foreign(keyspace int) []string {
	var ids []string
	m.each(func(c *Call) {
		if c.foreign && c.keyspace == keyspace {
			ids = append(ids, c.id)
		}
	})
	return ids
}

// TakeOver makes all foreign calls our own. Until packets come they end by the silent timeout. It returns how many there were.
func (m *Manager) TakeOver() (n int) {
	m.each(func(c *Call) {
		if c.foreign {
			c.takeOver(true)
			n++
		}
	})
	return n
}

// StandBy makes all calls of our own foreign, for another node to take over, and returns how many there were. Keyspace is where
// their documents are.
func (m *Manager) StandBy(keyspace int) (n int) {
	m.each(func(c *Call) {
		if c.foreign || len(c.plan.Parties) == 0 {
			return
		}
		c.disown(keyspace)
		d := c.draft()
		d.commit()
		m.changed(c.id)
		n++
	})
	return n
}

// Attend looks for packets of calls that wait for some until ctx ends: foreign ones become our own by them if
// Config.Switchover says so, and such as were taken over get back their timeout.
func (m *Manager) Attend(ctx context.Context) {
	tick := time.NewTicker(attendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if m.foreign.Load() > 0 && m.cfg.Switchover || m.awaiting.Load() > 0 {
			m.each((*Call).attend)
		}
	}
}

func (c *Call) attend() {
	switch {
	case c.foreign && c.manager.cfg.Switchover && c.heard():
		c.takeOver(false)
	case c.awaiting && c.heard():
		c.await(false)
		c.schedule(time.Now())
	}
}

// heard tells whether a packet has come here since the call was another node's.
func (c *Call) heard() bool { return c.lastHeard() > c.heardUntil }

// await notes whether the call waits for its first packet.
func (c *Call) await(yes bool) {
	switch {
	case yes && !c.awaiting:
		c.manager.awaiting.Add(1)
	case !yes && c.awaiting:
		c.manager.awaiting.Add(-1)
	}
	c.awaiting = yes
}

// claim makes a foreign call our own because of signalling, if that is wanted.
func (c *Call) claim() {
	if c.foreign && c.manager.cfg.Switchover {
		c.takeOver(true)
	}
}

// takeOver makes a foreign call our own. Silent tells that no packets have come yet.
func (c *Call) takeOver(silent bool) {
	m := c.manager
	c.foreign = false
	c.term++
	c.revived, c.heardUntil = time.Now(), media.Now()
	m.foreign.Add(-1)
	m.countOwn(c)
	c.await(silent)
	d := c.draft()
	d.commit() // with what foreign calls do without
	if m.cfg.TakenOver != nil {
		m.cfg.TakenOver(c.id, c.keyspace)
	}
	c.schedule(c.revived)
	m.cfg.Log.Info("call taken over", "call", c.id, "keyspace", c.keyspace, "term", c.term)
}

// disown makes the call another node's.
func (c *Call) disown(keyspace int) {
	if !c.foreign {
		c.manager.foreign.Add(1)
		c.manager.byLanguage[c.language].live.Add(-1)
		c.await(false)
		if c.timer != nil {
			c.timer.Stop()
		}
	}
	c.foreign, c.keyspace, c.heardUntil = true, keyspace, media.Now()
}

// leave takes a foreign call off this node, which is no end that anybody is told of.
func (c *Call) leave() {
	if c.gone {
		return
	}
	c.gone = true
	defer c.manager.forget(c)
	c.manager.foreign.Add(-1)
	c.plan.links(func(m *Media) { m.Link.Close() })
	c.plan.legs((*media.Leg).Close)
	closeTaps(c.plan.taps())
	c.endCaptures()
}

// Lives tells whether there is a call of that id.
func (m *Manager) Lives(id string) bool { return m.lookup(id) != nil }

// TerminateOwned ends every call at once that is our own, or that is foreign.
func (m *Manager) TerminateOwned(foreign bool) {
	m.each(func(c *Call) {
		if c.foreign == foreign {
			c.end(ReasonForced)
		}
	})
}
