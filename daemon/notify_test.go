package daemon

import (
	"net"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/weir-media/weir/ngproto"
)

// manager is a service manager, as sd_notify(3) has it: it remembers what it is told.
type manager struct {
	mu   sync.Mutex
	told []string
}

// newManager has the daemons of this test take it for theirs, which wants a sign of life every so often.
func newManager(t *testing.T, watchdog time.Duration) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt(watchdog.Microseconds(), 10))
	t.Setenv("WATCHDOG_PID", "")
	m, done := new(manager), make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 4096); ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.told = append(m.told, string(b[:n]))
			m.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return m
}

// count tells how many messages begin with a text.
func (m *manager) count(text string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, told := range m.told {
		if strings.HasPrefix(told, text) {
			n++
		}
	}
	return n
}

// until waits for n messages that begin with a text, and returns the last of them.
func (m *manager) until(t *testing.T, n int, text string) string {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); m.count(text) < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %d times %q; told was %q", n, text, m.told)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	last := ""
	for _, told := range m.told {
		if strings.HasPrefix(told, text) {
			last = told
		}
	}
	return last
}

func TestServiceManagerIsTold(t *testing.T) {
	m := newManager(t, 60*time.Millisecond)
	r := start(t, "", "--drain-deadline=300")
	m.until(t, 1, "READY=1\nSTATUS=0 calls, 0 packets/s")
	r.offer(t, "one")
	m.until(t, 2, "WATCHDOG=1\nSTATUS=1 calls, 0 packets/s")

	if _, err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	reloading := m.until(t, 1, "RELOADING=1\nMONOTONIC_USEC=")
	if at, err := strconv.ParseUint(strings.TrimSpace(strings.TrimPrefix(reloading, "RELOADING=1\nMONOTONIC_USEC=")), 10, 64); err != nil || at == 0 {
		t.Errorf("the time of the reload is in %q", reloading)
	}
	m.until(t, 2, "READY=1\n")

	r.End()
	// The deadline of the drain, and time for the end itself.
	m.until(t, 1, "STOPPING=1\nEXTEND_TIMEOUT_USEC=330000000\nSTATUS=draining: 1 calls")
	m.until(t, 1, "WATCHDOG=1\nSTATUS=draining: 1 calls")
	if err := r.calls.Terminate("one"); err != nil {
		t.Fatal(err)
	}
	m.until(t, 1, "STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000\nSTATUS=draining: 0 calls")
}

// TestStuckDispatcherGivesNoSignOfLife takes the locks of the table of calls for good, so that no request of a call gets through any more.
func TestStuckDispatcherGivesNoSignOfLife(t *testing.T) {
	m := newManager(t, 60*time.Millisecond)
	r := start(t, "")
	m.until(t, 3, "WATCHDOG=1\n")
	release := lockShards(r)
	defer release()
	client, err := ngproto.Dial(r.udp)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	query := ngproto.Dict{{Key: "command", Value: ngproto.String("query")}, {Key: "call-id", Value: ngproto.String("one")}}
	answered := make(chan error, 1)
	go func() {
		_, err := client.Do(t.Context(), query)
		answered <- err
	}()

	// A pass that was under way may still end.
	time.Sleep(200 * time.Millisecond)
	before := m.count("WATCHDOG=1\n")
	time.Sleep(time.Second) // of which a living one says something every 20 ms
	if after := m.count("WATCHDOG=1\n"); after != before {
		t.Errorf("%d signs of life of a daemon that is stuck", after-before)
	}
	select {
	case err := <-answered:
		t.Errorf("it is not stuck: the request ends with %v", err)
	default:
	}
	if status, body := r.get(t, "/healthz"); status != 200 {
		t.Errorf("/healthz says %d %q before its patience is over", status, body)
	}
	r.passed.Store(time.Now().Add(-patience - time.Second).UnixNano())
	if status, body := r.get(t, "/healthz"); status != 503 {
		t.Errorf("/healthz says %d %q of a daemon that is stuck", status, body)
	}

	release()
	m.until(t, before+1, "WATCHDOG=1\n")
	if err := <-answered; err != nil {
		t.Errorf("the request that was held up: %v", err)
	}
	if status, body := r.get(t, "/healthz"); status != 200 {
		t.Errorf("/healthz says %d %q once requests get through", status, body)
	}
}

// lockShards takes every lock of the table of calls, which is nobody's business but the manager's, until release is called.
func lockShards(r *running) (release func()) {
	shards := reflect.ValueOf(r.calls).Elem().FieldByName("shards")
	locks := make([]*sync.RWMutex, shards.Len())
	for i := range locks {
		locks[i] = (*sync.RWMutex)(unsafe.Pointer(shards.Index(i).FieldByName("mu").UnsafeAddr()))
		locks[i].Lock()
	}
	return sync.OnceFunc(func() {
		for _, l := range locks {
			l.Unlock()
		}
	})
}

func TestServiceManagerThatIsGone(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	r := start(t, "")
	for deadline := time.Now().Add(30 * time.Second); !r.untold.Load(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is said about it")
		}
	}
	if status, _ := r.get(t, "/healthz"); status != 200 {
		t.Errorf("/healthz says %d", status)
	}
}
