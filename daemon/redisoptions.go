package daemon

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/store/redis"
)

// redisOptions say where documents of calls are kept for other nodes. What may change while the daemon runs is in tuningOptions.
type redisOptions struct {
	Main, Write, Subscribe string
	Keyspaces              []string
	Resolve                bool
	Threads                int
	Expires                int // s
	NotRequired            bool
	Format                 string
	KeepAliveTime          int // s
	KeepAliveInterval      int // s
	KeepAliveProbes        int
	Switchover             bool
}

// The environment variables with passwords.
const (
	redisPassword          = "RTPENGINE_REDIS_AUTH_PW"
	redisWritePassword     = "RTPENGINE_REDIS_WRITE_AUTH_PW"
	redisSubscribePassword = "RTPENGINE_REDIS_SUBSCRIBE_AUTH_PW"
)

// leastExpires leaves time to write documents again before they expire.
const leastExpires = 60

func (o *redisOptions) register(fs *pflag.FlagSet) {
	fs.StringVarP(&o.Main, "redis", "r", "", "[PASSWORD@]HOST:PORT/DB of a Redis or Valkey database where calls are kept for other nodes, and taken from at the start (password also in $"+redisPassword+")")
	fs.StringVarP(&o.Write, "redis-write", "w", "", "the same, to write to; --redis is then only read, and may be a replica (password also in $"+redisWritePassword+")")
	fs.StringVar(&o.Subscribe, "redis-subscribe", "", "[PASSWORD@]HOST:PORT[/DB] of the server whose keyspaces are followed (default that of --redis; password also in $"+redisSubscribePassword+")")
	fs.StringArrayVarP(&o.Keyspaces, "subscribe-keyspace", "k", nil, "number of a database whose calls, another node's, are followed, to be taken over; repeatable; -1 lets rtpengine-ctl ksadd add some later")
	fs.BoolVar(&o.Resolve, "redis-resolve-on-reconnect", false, "look the name of the server up with each connection")
	fs.IntVar(&o.Threads, "redis-num-threads", 0, "calls that are restored at a time at the start (default one per CPU)")
	fs.IntVar(&o.Expires, "redis-expires", 86400, "seconds after which the server forgets a call that is not written again; at least "+strconv.Itoa(leastExpires))
	fs.BoolVarP(&o.NotRequired, "no-redis-required", "q", false, "start even if the server cannot be reached")
	fs.StringVar(&o.Format, "redis-format", "native", "native, bencode or JSON: all are Weir's own document (docs/ha.md)")
	fs.IntVar(&o.KeepAliveTime, "redis-tcp-keepalive-time", 0, "seconds of silence after which TCP looks whether the server lives; 0 does not")
	fs.IntVar(&o.KeepAliveInterval, "redis-tcp-keepalive-intvl", 1, "seconds between its looks")
	fs.IntVar(&o.KeepAliveProbes, "redis-tcp-keepalive-probes", 3, "looks without an answer that end the connection")
	fs.BoolVar(&o.Switchover, "active-switchover", false, "take a followed call over when signalling or media of it comes here; else rtpengine-ctl active does")
}

// on tells whether any server is used.
func (o *redisOptions) on() bool { return o.Main != "" || o.Write != "" || o.Subscribe != "" }

// follows tells whether calls of other nodes are followed, or may be.
func (o *redisOptions) follows() bool { return len(o.Keyspaces) > 0 || o.Subscribe != "" }

// redisPlan is what the options amount to.
type redisPlan struct {
	main, write, subscribe *redis.Address // nil: none
	keyspaces              []int
	skipped                []string // what was no number
}

func (o *redisOptions) plan() (p redisPlan, err error) {
	read := func(option, text, variable string, needDB bool) *redis.Address {
		if text == "" || err != nil {
			return nil
		}
		a, bad := redis.ParseAddress(text, os.Getenv(variable), needDB)
		if bad != nil {
			err = fmt.Errorf("--%s: %w", option, bad)
		}
		return &a
	}
	p.main = read("redis", o.Main, redisPassword, true)
	p.write = read("redis-write", o.Write, redisWritePassword, true)
	p.subscribe = read("redis-subscribe", o.Subscribe, redisSubscribePassword, false)
	for _, list := range o.Keyspaces {
		for item := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ';' || r == ' ' }) {
			n, bad := strconv.Atoi(item)
			switch {
			case bad != nil || n < -1 || n > 65535:
				p.skipped = append(p.skipped, item)
			case n >= 0:
				p.keyspaces = append(p.keyspaces, n)
			}
		}
	}
	if len(o.Keyspaces) == 0 && p.subscribe != nil && p.subscribe.DB >= 0 {
		p.keyspaces = []int{p.subscribe.DB}
	}
	return p, err
}

func (o *redisOptions) check() error {
	if _, err := o.plan(); err != nil {
		return err
	}
	switch strings.ToLower(o.Format) {
	case "native", "bencode", "json":
	default:
		return fmt.Errorf("--redis-format %q is none of native, bencode, JSON", o.Format)
	}
	switch {
	case o.Expires < leastExpires:
		return fmt.Errorf("--redis-expires %d is less than %d: calls would be forgotten before they are written again", o.Expires, leastExpires)
	case o.Threads < 0:
		return fmt.Errorf("--redis-num-threads %d is negative", o.Threads)
	case o.KeepAliveTime < 0 || o.KeepAliveTime > 0 && (o.KeepAliveInterval < 1 || o.KeepAliveProbes < 1):
		return fmt.Errorf("--redis-tcp-keepalive-time %d needs --redis-tcp-keepalive-intvl and --redis-tcp-keepalive-probes of at least 1, and is not negative", o.KeepAliveTime)
	case o.follows() && o.Main == "" && o.Subscribe == "":
		return fmt.Errorf("--subscribe-keyspace needs a server: name it with --redis or --redis-subscribe")
	}
	return nil
}

// redisTuning turns settings into those of a server.
func redisTuning(s *cli.RedisSettings) redis.Tuning {
	return redis.Tuning{
		AllowedErrors: s.AllowedErrors, DisableTime: seconds(s.DisableTime),
		CommandTimeout: time.Duration(s.CommandTimeout) * time.Millisecond, ConnectTimeout: time.Duration(s.ConnectTimeout) * time.Millisecond,
	}
}

// keyspaces are those that are followed from the start.
func (o *redisOptions) keyspaces() []int {
	p, _ := o.plan() // checked by Complete
	return p.keyspaces
}
