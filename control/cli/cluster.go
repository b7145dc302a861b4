package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/weir-media/weir/call"
)

// Cluster is what commands reach of other nodes.
type Cluster interface {
	// Keyspaces are the databases that are followed. Configured is false when none can be.
	Keyspaces() (all []int, configured bool)
	// Follow and Unfollow tell whether anything has changed. They are called only if configured.
	Follow(keyspace int) bool
	Unfollow(keyspace int) bool
	// StandBy leaves all calls to other nodes, or says why it cannot.
	StandBy() error
	// DisableRedis stops writing, or goes on, and is false when nothing is written anyway.
	DisableRedis(yes bool) bool
	// Keyspace is the database that a call's document is in.
	Keyspace(*call.Snapshot) int
	// Updated is when the document of a call was last written for other nodes; zero: it was not.
	Updated(id string) time.Time
}

const noKeyspaces = "Keyspace notification feature has not been configured.\n"

// keyspace reads the parameter of a command, or says what is wrong with it, beginning with fail, which has a verb for it.
func (c *Commands) keyspace(words []string, fail string) (n int, trouble string) {
	if len(words) == 0 {
		return 0, moreParameters
	}
	if _, ok := c.Cluster.Keyspaces(); !ok {
		return 0, noKeyspaces
	}
	v, trouble := unsigned(words[0])
	if trouble != "" {
		return 0, fmt.Sprintf(fail, words[0]) + trouble + "\n"
	}
	return int(v), ""
}

func (c *Commands) addKeyspace(words []string) string {
	n, trouble := c.keyspace(words, "Fail adding keyspace %s to redis notifications")
	if trouble != "" {
		return trouble
	}
	if !c.Cluster.Follow(n) {
		return fmt.Sprintf("Keyspace %d is already among redis notifications.\n", n)
	}
	return fmt.Sprintf("Success adding keyspace %d to redis notifications.\n", n)
}

func (c *Commands) removeKeyspace(words []string) string {
	n, trouble := c.keyspace(words, "Fail removing keyspace %s from redis notifications")
	if trouble != "" {
		return trouble
	}
	if !c.Cluster.Unfollow(n) {
		return fmt.Sprintf("Keyspace %d is not among redis notifications.\n", n)
	}
	return fmt.Sprintf("Successfully unsubscribed from keyspace %d.\nSuccessfully removed all foreign calls for keyspace %d.\n", n, n)
}

func (c *Commands) listKeyspaces([]string) string {
	var b strings.Builder
	b.WriteString("\nSubscribed-on keyspaces:\n")
	all, _ := c.Cluster.Keyspaces()
	for _, n := range all {
		b.WriteString(strconv.Itoa(n) + " ")
	}
	return b.String() + "\n"
}

func (c *Commands) active([]string) string {
	c.Calls.TakeOver()
	return "Ok, all calls set to 'owned (active)'\n"
}

func (c *Commands) standby([]string) string {
	if err := c.Cluster.StandBy(); err != nil {
		return "Calls cannot be set to 'foreign (standby)': " + err.Error() + "\n"
	}
	return "Ok, all calls set to 'foreign (standby)'\n"
}

func (c *Commands) setRedisDisable(words []string) string {
	if len(words) == 0 {
		return moreParameters
	}
	n, trouble := number(words[0])
	if trouble != "" || n < 0 {
		return "Invalid redis-disable value " + words[0] + ", must be >= 0\n"
	}
	did, what := c.Cluster.DisableRedis(n > 0), "disable"
	if n == 0 {
		what = "re-enable"
	}
	if !did {
		return "No redis write to " + what + "\n"
	}
	return "Success " + what + " redis write\n"
}

// setCommandTimeout warns where connections have to be made anew.
func (c *Commands) setCommandTimeout(words []string) string {
	done := setRedis("redis-cmd-timeout", 0, func(r *RedisSettings) *int { return &r.CommandTimeout })(c, words)
	if len(words) > 0 && strings.HasSuffix(done, " to 0\n") {
		return "Setting redis-cmd-timeout to 0 needs new connections to redis\n" + done
	}
	return done
}

// updated is when the document of a call was last written for other nodes, in microseconds of the epoch; 0: it was not.
func (c *Commands) updated(id string) int64 {
	at := c.Cluster.Updated(id)
	if at.IsZero() {
		return 0
	}
	return at.UnixMicro()
}
