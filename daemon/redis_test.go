package daemon

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/internal/redistest"
	"github.com/weir-media/weir/store/redis"
)

func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func TestAddressesOfRedis(t *testing.T) {
	for name, value := range map[string]string{redisPassword: "one", redisWritePassword: "two", redisSubscribePassword: "three"} {
		t.Setenv(name, value)
	}
	o, err := complete(t, "[weir]\nredis = 127.0.0.1:6379/1\nredis-write = hush@[::1]:6380/2\nredis-subscribe = 127.0.0.1:6381\nsubscribe-keyspace = 4;x;5;-1;-2\n")
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.Redis.plan()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		got  *redis.Address
		want redis.Address
	}{
		{p.main, redis.Address{Password: "one", Host: "127.0.0.1", Port: 6379, DB: 1}},
		{p.write, redis.Address{Password: "hush", Host: "::1", Port: 6380, DB: 2}},
		{p.subscribe, redis.Address{Password: "three", Host: "127.0.0.1", Port: 6381, DB: -1}},
	} {
		if *c.got != c.want {
			t.Errorf("got %+v, want %+v", *c.got, c.want)
		}
	}
	if !slices.Equal(p.keyspaces, []int{4, 5}) || !slices.Equal(p.skipped, []string{"x", "-2"}) {
		t.Errorf("keyspaces %v, left out %q", p.keyspaces, p.skipped)
	}
	var shown []string
	for _, p := range o.params() {
		if strings.Contains(p.Name, "redis_") && strings.HasSuffix(p.Name, "_ep") || strings.HasPrefix(p.Name, "keyspace") {
			shown = append(shown, p.Name+"="+p.Value)
		}
	}
	if want := []string{"redis_ep=127.0.0.1:6379/1", "redis_write_ep=[::1]:6380/2", "redis_subscribe_ep=127.0.0.1:6381", "keyspace[0]=4", "keyspace[1]=5"}; !slices.Equal(shown, want) {
		t.Errorf("shown are %q, want %q", shown, want)
	}
	if o, err = complete(t, "", "--redis-subscribe=127.0.0.1:6379/3"); err != nil || !slices.Equal(o.Redis.keyspaces(), []int{3}) {
		t.Errorf("without keyspaces: %v", err)
	}
	for _, c := range []struct{ option, want string }{
		{"--redis=127.0.0.1:6379", "--redis: the number of the database is missing"},
		{"--redis-write=hush@x/1", `--redis-write: "x" has no port`},
		{"--subscribe-keyspace=3", "--subscribe-keyspace needs a server"},
		{"--redis-format=xml", "none of native, bencode, JSON"},
		{"--redis-expires=5", "is less than 60"},
		{"--redis-disable-time=-1", "is negative"},
		{"--redis-connect-timeout=0", "is not above 0"},
		{"--redis-tcp-keepalive-time=-5", "is not negative"},
	} {
		if _, err := complete(t, "", c.option); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", c.option, err)
		}
	}
	for _, format := range []string{"native", "BENCODE", "JSON"} {
		if _, err := complete(t, "", "--redis-format="+format); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func TestARedisThatIsAwayIsRequiredAtTheStartUnlessItIsNot(t *testing.T) {
	opts, err := complete(t, "", "--interface=127.0.0.1", "--listen-ng="+freePort(t), "--fast-path=none", "--state-dir=none",
		"--control-socket="+t.TempDir()+"/s", "--redis=hush@"+freePort(t)+"/1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(opts, "test", io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "--no-redis-required") || strings.Contains(err.Error(), "hush") {
		t.Errorf("it starts, or does not say how it would: %v", err)
	}
	r := start(t, "", "--state-dir=none", "--redis="+freePort(t)+"/1", "--no-redis-required")
	r.offer(t, "one")
	soon(t, "it is said what is wrong", func() bool {
		status, text := r.get(t, "/readyz")
		return status == 200 && strings.Contains(text, "redis: ")
	})
}

func TestCallsGoOnWhileRedisIsAway(t *testing.T) {
	s := redistest.Start(t)
	c := s.Client(3)
	ctl := freePort(t)
	r := start(t, "", "--state-dir=none", "--redis="+s.URL(3), "--redis-connect-timeout=200", "--listen-cli="+ctl, "--delete-delay=0")
	keys := func(want int) {
		t.Helper()
		soon(t, strconv.Itoa(want)+" calls are in Redis", func() bool { return c.DBSize(t.Context()).Val() == int64(want) })
	}
	r.offer(t, "before")
	keys(1)
	soon(t, "its writing is told of", func() bool {
		return !strings.Contains(runCtl(t, ctl, "list sessions before"), "last redis update: 0\n")
	})
	if status, body := r.post(t, "/ng-plain", `{"command":"query","call-id":"before"}`); status != 200 || strings.Contains(body, `"last redis update":0`) ||
		!strings.Contains(body, `"last redis update":`) {
		t.Errorf("a query says %d %s", status, body)
	}
	s.Kill()
	for i := range 3 {
		r.offer(t, "meanwhile "+strconv.Itoa(i))
	}
	if status, text := r.get(t, "/healthz"); status != 200 || text != "ok\n" {
		t.Errorf("/healthz says %d %q", status, text)
	}
	soon(t, "/readyz tells how far Redis is behind", func() bool {
		status, text := r.get(t, "/readyz")
		return status == 200 && strings.HasPrefix(text, "ready\nredis: 3 changes wait")
	})
	lag := regexp.MustCompile(`weir_store_lag_seconds\{store="redis"\} [0-9.e-]*[1-9]`)
	soon(t, "metrics tell of it", func() bool {
		_, text := r.get(t, "/metrics")
		return lag.MatchString(text) && strings.Contains(text, `weir_store_pending_changes{store="redis"} 3`) &&
			!strings.Contains(text, `weir_store_errors_total{store="redis"} 0`)
	})
	if _, err := r.calls.Delete(&call.DeleteRequest{CallID: "meanwhile 0"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.calls.Delete(&call.DeleteRequest{CallID: "before"}); err != nil {
		t.Fatal(err)
	}
	s.Again()
	s.Await(c)
	keys(2)
	soon(t, "all is well", func() bool {
		_, text := r.get(t, "/readyz")
		return text == "ready\n"
	})
	if got := runCtl(t, ctl, "set redisdisable 1"); got != "Success disable redis write\n" {
		t.Errorf("disabling prints %q", got)
	}
	r.offer(t, "disabled")
	soon(t, "it is said that the operator does not want it", func() bool {
		_, text := r.get(t, "/readyz")
		return strings.Contains(text, "by the operator")
	})
	keys(2)
	if got := runCtl(t, ctl, "set redisdisable 0"); got != "Success re-enable redis write\n" {
		t.Errorf("enabling prints %q", got)
	}
	keys(3)
	r.calls.TerminateAll()
	keys(0)
}

// runCtl is ctl, whose name is that of an address in some tests.
func runCtl(t *testing.T, addr, line string) string {
	t.Helper()
	return ctl(t, addr, line)
}

func TestCallsAreRestoredFromRedis(t *testing.T) {
	s := redistest.Start(t)
	c := s.Client(3)
	r := start(t, "", "--state-dir=none", "--redis="+s.URL(3))
	for i := range 20 {
		r.offer(t, strconv.Itoa(i))
	}
	soon(t, "all are in Redis", func() bool { return c.DBSize(t.Context()).Val() == 20 })
	before, err := r.calls.Document("7")
	if err != nil {
		t.Fatal(err)
	}
	r.stop() // which leaves them to whoever comes
	if n := c.DBSize(t.Context()).Val(); n != 20 {
		t.Errorf("%d calls are left in Redis", n)
	}
	c.Set(t.Context(), "of a stranger", "d4:jsond7:created1:1ee", 0)
	c.Set(t.Context(), "8", `{"version":99,"call_id":"8"}`, 0)
	// A replica is read while writing goes elsewhere.
	replica := redistest.Start(t, "--replicaof", s.Host+" "+strconv.Itoa(s.Port))
	copied := replica.Client(3)
	soon(t, "the replica has them", func() bool { return copied.DBSize(t.Context()).Val() == 21 })
	written := s.Client(4)
	r = start(t, "", "--state-dir=none", "--redis="+replica.URL(3), "--redis-write="+s.URL(4), "--redis-num-threads=3")
	if st := r.calls.Stats(); st.Live != 19 || st.Foreign != 0 {
		t.Errorf("%d calls are restored, %d of them foreign", st.Live, st.Foreign)
	}
	after, err := r.calls.Document("7")
	if err != nil {
		t.Fatal(err)
	}
	if !after.Created.Equal(before.Created) || after.Ports[0].Local != before.Ports[0].Local {
		t.Errorf("it was %v at %v, and is %v at %v", before.Created, before.Ports[0].Local, after.Created, after.Ports[0].Local)
	}
	soon(t, "they are written where they belong now", func() bool { return written.DBSize(t.Context()).Val() == 19 })
}

func TestAReplicaIsWaitedFor(t *testing.T) {
	s := redistest.Start(t)
	s.Client(0)
	replica := redistest.Start(t, "--replicaof", s.Host+" "+strconv.Itoa(s.Port))
	c := replica.Client(0)
	started := make(chan *running, 1)
	go func() {
		defer close(started)
		started <- start(t, "", "--state-dir=none", "--redis="+replica.URL(0))
	}()
	select {
	case <-started:
		t.Fatal("it starts with a replica")
	case <-time.After(1500 * time.Millisecond):
	}
	if err := c.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-started:
		if r == nil {
			t.FailNow()
		}
	case <-time.After(60 * time.Second):
		t.Fatal("it does not start with the master")
	}
}

// TestTwoNodesHandCallsToEachOther has them on addresses of their own, so that interfaces are found by their names.
func TestTwoNodesHandCallsToEachOther(t *testing.T) {
	s := redistest.Start(t)
	one, two := s.Client(1), s.Client(2)
	ctls := []string{freePort(t), freePort(t)}
	a := start(t, "", "--state-dir=none", "--redis="+s.URL(1), "--subscribe-keyspace=2", "--listen-cli="+ctls[0], "--delete-delay=0")
	b := start(t, "", "--interface=127.0.0.2", "--state-dir=none", "--redis="+s.URL(2), "--subscribe-keyspace=-1", "--listen-cli="+ctls[1], "--delete-delay=0")
	foreign := func(r *running, own, foreign int) {
		t.Helper()
		soon(t, strconv.Itoa(own)+" calls of its own and "+strconv.Itoa(foreign)+" foreign", func() bool {
			st := r.calls.Stats()
			return int(st.Live-st.Foreign) == own && int(st.Foreign) == foreign
		})
	}
	say := func(node int, line, want string) {
		t.Helper()
		if got := ctl(t, ctls[node], line); !strings.Contains(got, want) {
			t.Errorf("%q prints\n%s\nwant in it\n%s", line, got, want)
		}
	}
	a.offer(t, "x")
	a.offer(t, "y")
	say(1, "ksadd 1", "Success adding keyspace 1 to redis notifications.\n")
	say(1, "kslist", "\nSubscribed-on keyspaces:\n1 \n")
	foreign(b, 0, 2)
	say(1, "list sessions foreign", "| redis: 1 | frgn:y |")
	say(1, "list sessions x", "redis_keyspace: 1\nlast redis update: 0\nforeign: yes\n")
	say(0, "list sessions own", "| redis: 1 | frgn:n |")
	if _, text := b.get(t, "/metrics"); !strings.Contains(text, `rtpengine_sessions{type="foreign"} 2`) || !strings.Contains(text, "weir_keyspaces_connected 1") {
		t.Error("metrics do not tell of foreign calls")
	}
	if _, err := a.calls.Delete(&call.DeleteRequest{CallID: "y"}); err != nil {
		t.Fatal(err)
	}
	foreign(b, 0, 1)
	say(0, "standby", "Ok, all calls set to 'foreign (standby)'\n")
	foreign(a, 0, 1)
	say(1, "active", "Ok, all calls set to 'owned (active)'\n")
	foreign(b, 1, 0)
	soon(t, "the call has moved to the other database", func() bool {
		return one.DBSize(t.Context()).Val() == 0 && two.DBSize(t.Context()).Val() == 1
	})
	foreign(a, 0, 1)
	soon(t, "it is of the other keyspace", func() bool { return strings.Contains(ctl(t, ctls[0], "list sessions x"), "redis_keyspace: 2\n") })
	say(0, "active", "Ok")
	foreign(b, 0, 1) // its own goes to who has taken it, though it was alive
	foreign(a, 1, 0)
	say(1, "ksrm 1", "Successfully removed all foreign calls for keyspace 1.\n")
	foreign(b, 0, 0)
	a.calls.TerminateAll()
	soon(t, "Redis is empty", func() bool { return one.DBSize(t.Context()).Val()+two.DBSize(t.Context()).Val() == 0 })
}

// post sends an ng request over HTTP.
func (r *running) post(t *testing.T, path, text string) (status int, body string) {
	t.Helper()
	resp, err := http.Post("http://"+r.http+path, "application/json", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(reply)
}
