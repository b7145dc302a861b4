package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/store"
	"github.com/weir-media/weir/store/redis"
)

const (
	// redisDelay is how long a change of a call stays unwritten: what a node that dies has not written is lost to the others.
	redisDelay = 200 * time.Millisecond
	// roleEvery is how often a replica is asked whether it has become the master.
	roleEvery = time.Second
	// roleLog is how often it is said that this is waited for.
	roleLog = 10 * time.Second
)

// cluster is what has to do with other nodes. The zero value is a node alone.
type cluster struct {
	plan     redisPlan
	main     *redis.Server // to restore from; nil: nothing is restored
	write    *redis.Server // nil: nothing is written
	backend  *redis.Backend
	follower *redis.Follower // nil: there is none
	servers  []*redis.Server
	ready    bool // main answers

	stop context.CancelFunc // of the follower
	done chan struct{}
}

// openRedis makes sure that the servers answer, before anything of the host is touched.
func (d *Daemon) openRedis() error {
	o := &d.opts.Redis
	c := &d.cluster
	var err error
	if c.plan, err = o.plan(); err != nil || !o.on() {
		return err
	}
	if len(c.plan.skipped) > 0 {
		d.log.Warn("keyspaces that are no numbers are left out", "subscribe_keyspace", c.plan.skipped)
	}
	settings := d.tuner.Settings()
	dial := func(a redis.Address) *redis.Server {
		s := redis.Dial(redis.Config{
			Address: a, Tuning: redisTuning(&settings.Redis), Resolve: o.Resolve, Log: d.log,
			KeepAlive: redis.KeepAlive{Time: seconds(o.KeepAliveTime), Interval: seconds(o.KeepAliveInterval), Probes: o.KeepAliveProbes},
		})
		c.servers = append(c.servers, s)
		return s
	}
	if c.plan.main != nil {
		c.main = dial(*c.plan.main)
		c.write = c.main
	}
	if c.plan.write != nil {
		c.write = dial(*c.plan.write)
	}
	if o.follows() {
		from := c.plan.subscribe
		if from == nil {
			from = c.plan.main
		}
		c.follower = redis.NewFollower(dial(*from), d, c.plan.keyspaces, d.log)
	}
	for _, s := range c.servers {
		if err := d.awaitRedis(s, s == c.main && c.plan.write == nil); err != nil {
			return err
		}
	}
	return nil
}

// awaitRedis waits until a server answers, and has the role of the master if that is needed.
func (d *Daemon) awaitRedis(s *redis.Server, master bool) error {
	ctx := context.Background()
	if err := s.Check(ctx); err != nil {
		if !d.opts.Redis.NotRequired {
			return fmt.Errorf("%w; start it, or give --no-redis-required to start without the calls that are there", err)
		}
		d.log.Error("Redis cannot be reached: what it has is not restored, and changes wait until it can", "err", err)
		return nil
	}
	var said time.Time
	for ; master && !d.opts.Redis.NotRequired; time.Sleep(roleEvery) {
		is, err := s.Master(ctx)
		if err != nil {
			return fmt.Errorf("ask for the role of the server: %w", err)
		}
		if is {
			break
		}
		_, _ = sd.SdNotify(false, "EXTEND_TIMEOUT_USEC=30000000")
		if time.Since(said) > roleLog {
			d.log.Warn("waiting until the Redis server is the master; with --redis-write it may be a replica", "server", s.Address().String())
			said = time.Now()
		}
	}
	if s == d.cluster.main {
		d.cluster.ready = true
	}
	return nil
}

// origins are where calls are found at the start: those of others first, since ours may have been taken over.
func (c *cluster) origins() []store.Origin {
	var all []store.Origin
	own := true
	if c.follower != nil {
		for _, n := range c.follower.State().Keyspaces {
			all = append(all, store.Origin{Source: c.follower.Source(n), Keyspace: n, Foreign: true})
		}
		own = !c.followsOwn()
	}
	if own && c.main != nil && c.ready {
		all = append(all, store.Origin{Source: redis.Source{Server: c.main, DB: c.plan.main.DB}, Keyspace: c.plan.main.DB})
	}
	return all
}

// followsOwn tells whether the database that is written to is followed, too, as that of nodes which stand by for each other.
func (c *cluster) followsOwn() bool {
	from := c.plan.subscribe
	return c.plan.main != nil && (from == nil || from.Host == c.plan.main.Host && from.Port == c.plan.main.Port) &&
		slices.Contains(c.plan.keyspaces, c.plan.main.DB)
}

// keyspace is the database that is written to; 0 without any.
func (c *cluster) keyspace() int {
	if c.write == nil {
		return 0
	}
	return c.write.Address().DB
}

// takenOver is told of calls that were another node's.
func (d *Daemon) takenOver(id string, keyspace int) {
	if d.cluster.backend != nil {
		d.cluster.backend.Moved(id, keyspace)
	}
}

// Take implements redis.Calls.
func (d *Daemon) Take(id string, text []byte, keyspace int) error {
	return store.Take(d.calls, id, text, keyspace)
}

// Drop implements redis.Calls.
func (d *Daemon) Drop(id string, keyspace int) { d.calls.Unfollow(id, keyspace) }

// Known implements redis.Calls.
func (d *Daemon) Known(keyspace int) []string { return d.calls.Foreign(keyspace) }

// start begins to follow, until close.
func (c *cluster) start() {
	if c.follower == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.stop, c.done = cancel, make(chan struct{})
	go func() {
		defer close(c.done)
		c.follower.Run(ctx)
	}()
}

// still ends following.
func (c *cluster) still() {
	if c.stop != nil {
		c.stop()
		<-c.done
		c.stop = nil
	}
}

// close ends the connections that no backend has.
func (c *cluster) close() error {
	c.still()
	var errs []error
	for _, s := range c.servers {
		if c.backend == nil || s != c.write {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// tuneRedis puts changed settings into force.
func (d *Daemon) tuneRedis(t redis.Tuning) {
	for _, s := range d.cluster.servers {
		s.Tune(t)
	}
}

// Keyspaces are the databases that are followed. Configured is false when none can be.
func (d *Daemon) Keyspaces() (all []int, configured bool) {
	if d.cluster.follower == nil {
		return nil, false
	}
	return d.cluster.follower.State().Keyspaces, true
}

// Follow begins to follow a database, and tells whether it was not followed before.
func (d *Daemon) Follow(keyspace int) bool {
	return d.cluster.follower.Add(context.Background(), keyspace)
}

// Unfollow ends that and removes its foreign calls, and tells whether it was followed.
func (d *Daemon) Unfollow(keyspace int) bool {
	return d.cluster.follower.Remove(context.Background(), keyspace)
}

// StandBy leaves all calls to other nodes, with what is known of them now. It fails when there is no database that they could be found in.
func (d *Daemon) StandBy() error {
	if d.cluster.write == nil {
		return errors.New("there is no store that another daemon could take them from")
	}
	if err := d.store.Flush(); err != nil {
		d.log.Warn("calls are left to others, though what is known of them could not be written", "err", err)
	}
	n := d.calls.StandBy(d.cluster.keyspace())
	d.log.Info("calls are left to other nodes", "calls", n)
	return nil
}

// DisableRedis stops writing, or goes on, and tells whether there is anything that could be.
func (d *Daemon) DisableRedis(yes bool) bool {
	if d.cluster.write == nil {
		return false
	}
	d.cluster.write.Disable(yes)
	return true
}

// Keyspace is the database that a call's document is in.
func (d *Daemon) Keyspace(s *call.Snapshot) int {
	if s.Foreign {
		return s.Keyspace
	}
	return d.cluster.keyspace()
}

// Updated is when the document of a call was last written for other nodes; zero: it was not.
func (d *Daemon) Updated(id string) time.Time {
	if d.store == nil {
		return time.Time{}
	}
	return d.store.Shared(id)
}

// storeCounts are those of the places where documents are kept, and of what is followed.
func (d *Daemon) storeCounts(s *counts.Snapshot) {
	if d.store != nil {
		for _, st := range d.store.States() {
			s.Stores = append(s.Stores, counts.Store{
				Name: st.Name, Kept: st.Kept, Pending: st.Pending, Lag: st.Lag, Written: st.Written, Failed: st.Failed, Dropped: st.Dropped,
			})
		}
	}
	if f := d.cluster.follower; f != nil {
		st := f.State()
		s.Followed = &counts.Followed{Connected: st.Connected, Taken: st.Taken, Refused: st.Refused, Pending: st.Pending}
	}
}

// shared tells how writing for other nodes goes, for who asks whether all is well.
func (d *Daemon) shared() string {
	text := ""
	if d.store != nil {
		for _, st := range d.store.States() {
			if st.Trouble != "" {
				text += fmt.Sprintf("%s: %d changes wait, the oldest for %d s: %s\n", st.Name, st.Pending, int(st.Lag.Seconds()), st.Trouble)
			}
		}
	}
	if f := d.cluster.follower; f != nil && !f.State().Connected {
		text += "keyspaces: not connected\n"
	}
	return text
}
