package cli_test

import (
	"errors"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// tuner keeps settings as a daemon does.
type tuner struct {
	mu         sync.Mutex
	start, now cli.Settings
	refuses    bool
	calls      *call.Manager
	debugged   map[string]bool
}

func (u *tuner) Settings() cli.Settings {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.now
}

func (u *tuner) Started() cli.Settings { return u.start }

func (u *tuner) Change(edit func(*cli.Settings)) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.refuses {
		return errors.New("not now")
	}
	edit(&u.now)
	u.calls.SetLimits(u.now.Limits)
	return nil
}

// newCommands returns the command lines of a manager without calls.
func newCommands(t testing.TB) (*cli.Commands, *tuner) {
	t.Helper()
	plane, err := media.New(media.Config{
		Interfaces: []media.Interface{{Name: "default", Addresses: []media.Address{
			{IP: netip.MustParseAddr("127.0.0.1"), PortMin: 45000, PortMax: 45999},
		}}},
		Workers: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	m := call.NewManager(call.Config{Plane: plane, MaxSessions: 7, FinalTimeout: 9 * time.Second})
	t.Cleanup(func() {
		m.Close()
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	u := &tuner{calls: m, debugged: make(map[string]bool)}
	u.now = cli.Settings{
		Limits: m.Limits(), MaxCPU: 80, MaxLoad: 3.5, MaxBandwidth: 1000, ControlTOS: 16,
		Redis: cli.RedisSettings{AllowedErrors: -1, DisableTime: 10, CommandTimeout: 5, ConnectTimeout: 1000},
	}
	for i := range u.now.LogLevels {
		u.now.LogLevels[i] = 6
	}
	u.start = u.now
	return &cli.Commands{
		Calls: m, Tuner: u, JSON: func() string { return "{}\n" },
		Debug:   func(id string, on bool) { u.debugged[id] = on },
		Cluster: &cluster{calls: m},
		Params:  func() []cli.Param { return []cli.Param{{Name: "port_min", Value: "45000"}} },
		Counts: func() *counts.Snapshot {
			return &counts.Snapshot{
				Calls: m.Stats(), Media: plane.Totals(), Commands: []string{"ping"}, Short: map[string]string{"ping": "Ping"},
				Clients: []counts.Client{{Address: "192.0.2.9", Requests: map[string]counts.Requests{"ping": {Count: 3}}, Errors: 1}},
				Rates:   counts.Rates{Userspace: counts.Rate{Packets: 5, Bytes: 6, Errors: 7}, Kernel: counts.Rate{Packets: 50, Bytes: 60}},
				Interfaces: []counts.Interface{
					{Name: "pub", Address: netip.MustParseAddr("192.0.2.1"), PortMin: 30000, PortMax: 39999, Pool: media.PoolStats{
						Used: 50, Quality: media.Figures{MOS: media.Sums{Samples: 2, Sum: 86}},
					}},
					{Name: "pub", Address: netip.MustParseAddr("2001:db8::1"), PortMin: 30000, PortMax: 30001},
				},
			}
		},
	}, u
}

// cluster is one that keeps nothing, unless it is configured.
type cluster struct {
	calls      *call.Manager
	configured bool
	keyspaces  []int
	disabled   bool
}

func (c *cluster) Keyspaces() ([]int, bool) { return c.keyspaces, c.configured }

func (c *cluster) Follow(n int) bool {
	if slices.Contains(c.keyspaces, n) {
		return false
	}
	c.keyspaces = append(c.keyspaces, n)
	return true
}

func (c *cluster) Unfollow(n int) bool {
	before := len(c.keyspaces)
	c.keyspaces = slices.DeleteFunc(c.keyspaces, func(have int) bool { return have == n })
	return len(c.keyspaces) < before
}

func (c *cluster) StandBy() error {
	if !c.configured {
		return errors.New("there is no store")
	}
	c.calls.StandBy(3)
	return nil
}

func (c *cluster) DisableRedis(yes bool) bool {
	c.disabled = yes
	return c.configured
}

func (c *cluster) Keyspace(s *call.Snapshot) int { return s.Keyspace }

func (c *cluster) Updated(string) time.Time {
	if !c.configured {
		return time.Time{}
	}
	return time.UnixMicro(1234567)
}

// TestCommandsAboutOtherNodes has those whose answers depend on there being other nodes.
func TestCommandsAboutOtherNodes(t *testing.T) {
	commands, _ := newCommands(t)
	other := commands.Cluster.(*cluster)
	other.configured = true
	offered(t, commands, "one")
	for _, c := range []struct{ line, want string }{
		{"ksadd 5", "Success adding keyspace 5 to redis notifications.\n"},
		{"ksadd 5", "Keyspace 5 is already among redis notifications.\n"},
		{"ksadd x", "Fail adding keyspace x to redis notifications; no digits found\n"},
		{"ksadd", "More parameters required.\n"},
		{"ksadd 7", "Success adding keyspace 7 to redis notifications.\n"},
		{"kslist", "\nSubscribed-on keyspaces:\n5 7 \n"},
		{"ksrm 5", "Successfully unsubscribed from keyspace 5.\nSuccessfully removed all foreign calls for keyspace 5.\n"},
		{"ksrm 5", "Keyspace 5 is not among redis notifications.\n"},
		{"ksrm y", "Fail removing keyspace y from redis notifications; no digits found\n"},
		{"set redisdisable 1", "Success disable redis write\n"},
		{"set redisdisable 0", "Success re-enable redis write\n"},
		{"set rediscmdtimeout 0", "Setting redis-cmd-timeout to 0 needs new connections to redis\nSuccess setting redis-cmd-timeout to 0\n"},
		{"list sessions foreign", "No foreign sessions on this media relay.\n"},
		{"standby", "Ok, all calls set to 'foreign (standby)'\n"},
		{"list sessions own", "No own sessions on this media relay.\n"},
		{"list sessions one", "redis_keyspace: 3\nlast redis update: 1234567\nforeign: yes\n"},
		{"list sessions foreign", " | redis: 3 | frgn:y | rec:n\n"},
		{"list numsessions", "Current sessions own: 0\nCurrent sessions foreign: 1\nCurrent sessions total: 1\n"},
		{"terminate own", "All own calls terminated by operator.\n"},
		{"active", "Ok, all calls set to 'owned (active)'\n"},
		{"list sessions own", " | frgn:n | rec:n\n"},
		{"standby", "Ok, all calls set to 'foreign (standby)'\n"},
		{"terminate foreign", "All foreign calls terminated by operator.\n"},
		{"list numsessions", "Current sessions own: 0\nCurrent sessions foreign: 0\nCurrent sessions total: 0\n"},
	} {
		if got := commands.Run(c.line); !strings.Contains(got, c.want) {
			t.Errorf("%q prints\n%s\nwant in it\n%s", c.line, got, c.want)
		}
	}
	if other.disabled {
		t.Error("writing is still disabled")
	}
}

func offered(t testing.TB, c *cli.Commands, id string) {
	t.Helper()
	desc, err := sdp.Parse(offer)
	if err != nil {
		t.Fatal(err)
	}
	req := &call.Request{CallID: id, FromTag: "a", SDP: desc, Options: call.Options{Client: netip.MustParseAddr("192.0.2.9")}}
	if _, err := c.Calls.Offer(req); err != nil {
		t.Fatal(err)
	}
}

// TestEveryCommand has a case for each row of the list of rtpengine-ctl's commands, by the number of the row. Those of a number are
// run one after the other, in a daemon with the call "one".
func TestEveryCommand(t *testing.T) {
	cases := []struct{ row, line, want string }{
		{"CTL-003", "help", "Available sub-commands at this level:\n\tlist [help|<subcommand>]                          : get information"},
		{"CTL-003", "list help", "\tnumsessions                                       : number of calls\n"},
		{"CTL-003", "media evict help", "\tplayers "},
		{"CTL-004", "usage", "    Supported commands are:\n\n    list "},
		{"CTL-004", "usage", "\n        numsessions                                       : "},
		{"CTL-004", "usage", "\n            files "},
		{"CTL-005", "dance", "Unknown command: dance\n"},
		{"CTL-005", "list dances", "Unknown command: dances\n"},
		{"CTL-005", "LIST totals", "Unknown command: LIST\n"},
		{"CTL-006", "", "Incomplete command: \n"},
		{"CTL-006", "list", "Incomplete command: \n"},
		{"CTL-006", "set timeout", "More parameters required.\n"},
		{"CTL-007", "get maxsessions", "Maximum sessions configured on rtpengine: 7\n"},
		{"CTL-007", "  list   maxsessions   ", "Maximum sessions configured on rtpengine: 7\n"},
		{"CTL-008", "list numsessions", "Current sessions own: 1\nCurrent sessions foreign: 0\nCurrent sessions total: 1\nCurrent transcoded media: 0\n" +
			"Current sessions ipv4 only media: 1\nCurrent sessions ipv6 only media: 0\nCurrent sessions ip mixed  media: 0\n"},
		{"CTL-009", "list sessions all", "ID: " + strings.Repeat(" ", 57) + "one | del:n | creat:"},
		{"CTL-009", "list sessions own", " | prx:192.0.2.9 | redis: 0 | frgn:n | rec:n\n"},
		{"CTL-009", "list sessions foreign", "No foreign sessions on this media relay.\n"},
		{"CTL-009", "list sessions recording", "No recording sessions on this media relay.\n"},
		{"CTL-010", "list sessions none", "\nCall ID not found (none).\n\n"},
		{"CTL-010", "list sessions one", "\ncallid: one\ndeletionmark: no\ncreated: "},
		{"CTL-010", "list sessions one", "\nproxy: 192.0.2.9\ntos: 0\nlast_signal: "},
		{"CTL-010", "list sessions one", "\nredis_keyspace: 0\nlast redis update: 0\nforeign: no\nrecording: no\n\n--- Tag 'a'"},
		{"CTL-011", "list sessions one", "--- Tag 'a', type: FROM_TAG, label '', branch '', callduration 0."},
		{"CTL-011", "list sessions one", "\n---     subscription of media with monologue tag '' (index: 1)\n"},
		{"CTL-011", "list sessions one", "\n------ Media #1 (audio over RTP/AVP) using PCMU/8000\n-------- Port       127.0.0.1:45"},
		{"CTL-011", "list sessions one", " <>       192.0.2.1:4000 , SSRC 0, 0 p, 0 b, 0 e, 0 uts 0 kts\n"},
		{"CTL-011", "list sessions one", ":4001  (RTCP), SSRC "},
		{"CTL-012", "list totals", "\nStatistics over currently running sessions:\n\n Owned sessions                                  :1\n"},
		{"CTL-012", "list totals", "\nTotal statistics (does not include current running sessions):\n\n Uptime of rtpengine                             :0 seconds\n"},
		{"CTL-012", "list totals", "\nMOS statistics:\n\n"},
		{"CTL-012", "list totals", "\nVoIP metrics:\n\n"},
		{"CTL-012", "list totals", "\nControl statistics:\n\n Proxy                |       Ping |     Errors\n 192.0.2.9            |          3 |          1\n"},
		{"CTL-012", "list totals", "\nVoIP metrics for interface pub/192.0.2.1:\n\n Sum of all MOS values sampled                   :8.600000\n"},
		{"CTL-013", "list counters", "\nCurrent per-second counters:\n\n Packets per second (userspace)                  :5\n"},
		{"CTL-013", "list counters", " Errors per second (total)                       :7\n"},
		{"CTL-014", "list maxopenfiles", "Maximum open-files configured on rtpengine: "},
		{"CTL-015", "list maxsessions", "Maximum sessions configured on rtpengine: 7\n"},
		{"CTL-016", "list maxcpu", "Maximum CPU usage configured on rtpengine: 80.0\n"},
		{"CTL-017", "list maxload", "Maximum load average configured on rtpengine: 3.50\n"},
		{"CTL-018", "list maxbw", "Maximum bandwidth configured on rtpengine: 1000\n"},
		{"CTL-019", "list timeout", "TIMEOUT=60\n"},
		{"CTL-020", "list silenttimeout", "SILENT_TIMEOUT=3600\n"},
		{"CTL-021", "list offertimeout", "OFFER_TIMEOUT=3600\n"},
		{"CTL-022", "list finaltimeout", "FINAL_TIMEOUT=9\n"},
		{"CTL-023", "list loglevels", "core - everything"},
		{"CTL-024", "list loglevel", "core = 6\nffmpeg = 6\n"},
		{"CTL-024", "list loglevel http", "6\n"},
		{"CTL-025", "list redisallowederrors", "-1\n"},
		{"CTL-026", "list redisdisabletime", "10\n"},
		{"CTL-027", "list redisconnecttimeout", "1000\n"},
		{"CTL-028", "list rediscmdtimeout", "5\n"},
		{"CTL-029", "list controltos", "16\n"},
		{"CTL-030", "list deletedelay", "0\n"},
		{"CTL-031", "list interfaces", "Interface 'pub' address '192.0.2.1' (IPv4)\n Port range: 30000 - 39999\n Ports used:   100 / 10000 (  1.0%)\n Packets/bytes/errors:\n"},
		{"CTL-031", "list interfaces", " MOS:    avg 4.3, packet loss avg nan%\n Jitter: avg nan (measured nan)\n RTT:    e2e nan, dsct nan\n\n"},
		{"CTL-031", "list interfaces", "Interface 'pub' address '2001:db8::1' (IPv6)\n"},
		{"CTL-032", "list jsonstats", "{}\n"},
		{"CTL-033", "list transcoders", "No stats entries\n"},
		{"CTL-034", "terminate", "More parameters required.\n"},
		{"CTL-034", "terminate none", "\nCall Id not found (none).\n\n"},
		{"CTL-034", "terminate foreign", "All foreign calls terminated by operator.\n"},
		{"CTL-034", "terminate one", "\nCall Id (one) successfully terminated by operator.\n\n"},
		{"CTL-034", "terminate own", "All own calls terminated by operator.\n"},
		{"CTL-034", "terminate all", "All calls terminated by operator.\n"},
		{"CTL-035", "set", "Incomplete command: \n"},
		{"CTL-035", "set maxcpu", "More parameters required.\n"},
		{"CTL-036", "set maxopenfiles 5", "Fail setting open_files to 5; can't set it under 65536\n"},
		{"CTL-036", "set maxopenfiles x", "Fail setting open_files to x; no digits found\n"},
		{"CTL-037", "set maxsessions -1", "Success setting maxsessions to -1; disable feature\n"},
		{"CTL-037", "set maxsessions -2", "Fail setting maxsessions to -2; either positive or -1 values allowed\n"},
		{"CTL-037", "set maxsessions 9", "Success setting maxsessions to 9\n"},
		{"CTL-037", "list maxsessions", "Maximum sessions configured on rtpengine: 9\n"},
		{"CTL-037", "set maxsessions 99999999999999999999", "Fail setting maxsessions to 99999999999999999999; errno=34\n"},
		{"CTL-038", "set maxcpu 55.55", "Success setting maxcpu to 55.5"},
		{"CTL-038", "set maxcpu much", "Fail setting maxcpu to much; no digits found\n"},
		{"CTL-039", "set maxload 2.5", "Success setting maxload to 2.50\n"},
		{"CTL-040", "set maxbw 5000", "Success setting maxbw to 5000\n"},
		{"CTL-040", "set maxbw -1", "Fail setting maxbw to -1; errno=34\n"},
		{"CTL-041", "set timeout 61", "Success setting timeout to 61\n"},
		{"CTL-041", "list timeout", "TIMEOUT=61\n"},
		{"CTL-041", "set timeout soon", "Fail setting timeout to soon; no digits found\n"},
		{"CTL-042", "set silenttimeout 62", "Success setting timeout to 62\n"},
		{"CTL-042", "list silenttimeout", "SILENT_TIMEOUT=62\n"},
		{"CTL-043", "set offertimeout 63", "Success setting timeout to 63\n"},
		{"CTL-043", "list offertimeout", "OFFER_TIMEOUT=63\n"},
		{"CTL-044", "set finaltimeout 64", "Success setting timeout to 64\n"},
		{"CTL-044", "list finaltimeout", "FINAL_TIMEOUT=64\n"},
		{"CTL-045", "set loglevel 7", "Success setting loglevel to 7\n"},
		{"CTL-045", "set loglevel http 4", "Success setting loglevel to 4\n"},
		{"CTL-045", "list loglevel", "http = 4\ncontrol = 7\n"},
		{"CTL-045", "set loglevel 8", "Fail setting loglevel to 8"},
		{"CTL-045", "set loglevel opera 4", "Unknown log level facility: opera\n"},
		{"CTL-046", "set redisallowederrors 3", "Success setting redis-allowed-errors to 3\n"},
		{"CTL-047", "set redisdisabletime 20", "Success setting redis-disable-time to 20\n"},
		{"CTL-047", "set redisdisabletime -1", "Invalid redis-disable-time value -1, must be >= 0\n"},
		{"CTL-048", "set redisdisable 1", "No redis write to disable\n"},
		{"CTL-048", "set redisdisable 0", "No redis write to re-enable\n"},
		{"CTL-048", "set redisdisable -1", "Invalid redis-disable value -1, must be >= 0\n"},
		{"CTL-049", "set redisconnecttimeout 500", "Success setting redis-connect-timeout to 500\n"},
		{"CTL-049", "set redisconnecttimeout 0", "Invalid redis-connect-timeout value 0, must be > 0\n"},
		{"CTL-050", "set rediscmdtimeout 50", "Success setting redis-cmd-timeout to 50\n"},
		{"CTL-051", "set controltos 184", "Success setting control-tos to 184\n"},
		{"CTL-051", "set controltos 256", "Invalid control-tos value 256, must be between 0 and 255\n"},
		{"CTL-052", "set deletedelay 5", "Success setting delete-delay to 5\n"},
		{"CTL-052", "set deletedelay later", "Invalid delete-delay value\n"},
		{"CTL-053", "set maxsessions 9", ""},
		{"CTL-053", "params start", "log-level-core = 6\n"},
		{"CTL-053", "params start", "\nmax_sessions = 7\ntimeout_us = 60000000\n"},
		{"CTL-053", "params start", "\nport_min = 45000\n"},
		{"CTL-054", "set maxsessions 9", ""},
		{"CTL-054", "params current", "\nmax_sessions = 9\n"},
		{"CTL-055", "params diff", "^$"},
		{"CTL-055", "set maxsessions 9", ""},
		{"CTL-055", "set maxload 2", ""},
		{"CTL-055", "set timeout 61", ""},
		{"CTL-055", "params diff", "^max-sessions: 7 => 9\nmax-load: 350 => 200\ntimeout: 60000000 => 61000000\n$"},
		{"CTL-056", "set maxsessions 9", ""},
		{"CTL-056", "params revert", "^$"},
		{"CTL-056", "params diff", "^$"},
		{"CTL-056", "list maxsessions", "Maximum sessions configured on rtpengine: 7\n"},
		{"CTL-057", "ksadd 1", "Keyspace notification feature has not been configured.\n"},
		{"CTL-058", "ksrm 1", "Keyspace notification feature has not been configured.\n"},
		{"CTL-059", "kslist", "^\nSubscribed-on keyspaces:\n\n$"},
		{"CTL-060", "active", "Ok, all calls set to 'owned (active)'\n"},
		{"CTL-061", "standby", "Calls cannot be set to 'foreign (standby)'"},
		{"CTL-062", "debug", "No call ID specified\n"},
		{"CTL-062", "debug none", "Call ID 'none' not found\n"},
		{"CTL-062", "debug one maybe", "Invalid on/off flag ('maybe') specified\n"},
		{"CTL-062", "debug one", "Enabled debugging for call 'one'\n"},
		{"CTL-062", "debug one disable", "Disabled debugging for call 'one'\n"},
		{"CTL-063", "call", "No call ID specified\n"},
		{"CTL-063", "call one", "More parameters required.\n"},
		{"CTL-063", "call none info", "No such call 'none'\n"},
		{"CTL-063", "call one dance", "Unknown command: dance\n"},
		{"CTL-063", "call one info", "\ncallid: one\n"},
		{"CTL-064", "call one terminate", "\nCall 'one' terminated.\n\n"},
		{"CTL-064", "call one info", "No such call 'one'\n"},
		{"CTL-065", "call one debug on", "Enabled debugging for call 'one'\n"},
		{"CTL-065", "call one debug off", "Disabled debugging for call 'one'\n"},
		{"CTL-066", "call one tag", "No tag specified\n"},
		{"CTL-066", "call one tag b info", "No such tag 'b'\n"},
		{"CTL-066", "call one tag a info", "--- Tag 'a', type: FROM_TAG"},
		{"CTL-067", "call one tag a delay 20", "there is no buffer to delay\n"},
		{"CTL-068", "call one tag a detect-dtmf 1", "not detected yet\n"},
		{"CTL-069", "media list files", "^$"},
		{"CTL-070", "media list dbs", "^$"},
		{"CTL-071", "media list caches", "^$"},
		{"CTL-072", "media list players", "^$"},
		{"CTL-073", "media add file /a.wav", "Failed to reload '/a.wav'\n"},
		{"CTL-074", "media add db x", "Invalid ID 'x'\n"},
		{"CTL-074", "media add db 5", "Failed to reload '5'\n"},
		{"CTL-075", "media add cache 5", "Failed to reload '5'\n"},
		{"CTL-076", "media reload file /a.wav", "Failed to reload '/a.wav'\n"},
		{"CTL-077", "media reload files", "0 media files reloaded\n"},
		{"CTL-078", "media reload db 5", "Failed to reload '5'\n"},
		{"CTL-079", "media reload dbs", "0 media entries reloaded\n"},
		{"CTL-080", "media reload cache x", "Invalid ID 'x'\n"},
		{"CTL-081", "media reload caches", "0 media entries reloaded\n"},
		{"CTL-082", "media evict file /a.wav", "^Failed to evict '/a.wav'$"},
		{"CTL-083", "media evict files", "0 media files evicted\n"},
		{"CTL-084", "media evict db 5 x", "Failed to evict 5\nInvalid ID 'x'\n"},
		{"CTL-085", "media evict dbs", "0 DB media entries evicted\n"},
		{"CTL-086", "media evict cache 5", "Failed to evict 5\n"},
		{"CTL-087", "media evict caches", "0 DB cache entries evicted\n"},
		{"CTL-088", "media evict players", "0 DB cache entries evicted\n"},
	}
	covered := map[string]bool{"CTL-001": true, "CTL-002": true} // the ways to get here: see ctl_test.go
	for i, c := range cases {
		covered[c.row] = true
		if i > 0 && cases[i-1].row == c.row {
			continue // run with the first of its number
		}
		t.Run(c.row+" "+c.line, func(t *testing.T) {
			commands, _ := newCommands(t)
			offered(t, commands, "one")
			for _, c := range cases[i:] {
				if c.row != cases[i].row {
					break
				}
				got := commands.Run(c.line)
				if pattern, whole := strings.CutPrefix(c.want, "^"); whole {
					if want := strings.TrimSuffix(pattern, "$"); got != want {
						t.Errorf("%q prints\n%q\nwant\n%q", c.line, got, want)
					}
				} else if !strings.Contains(got, c.want) {
					t.Errorf("%q prints\n%s\nwant in it\n%s", c.line, got, c.want)
				}
			}
		})
	}
	rows, err := os.ReadFile("testdata/commands.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(string(rows)) {
		if id, name, _ := strings.Cut(strings.TrimSpace(row), "\t"); !covered[id] {
			t.Errorf("%s %s has no case", id, name)
		}
	}
}

func TestLinesThatChangeSomething(t *testing.T) {
	c, _ := newCommands(t)
	for line, want := range map[string]bool{
		"": false, "help": false, "list totals": false, "get timeout": false, "params": false, "params diff": false, "params revert": true,
		"terminate one": true, "set timeout 5": true, "set help": false, "ksadd 1": true, "kslist": false, "active": true, "debug one": true,
		"call one info": false, "call one terminate": true, "call one debug on": true, "call one tag a info": false, "call one tag a delay 5": true,
		"media list files": false, "media evict files": true, "something new": true,
	} {
		if got := c.Changes(line); got != want {
			t.Errorf("%q changes something: %v, want %v", line, got, want)
		}
	}
}

func TestNoCalls(t *testing.T) {
	c, _ := newCommands(t)
	for line, want := range map[string]string{
		"list sessions all": "No sessions on this media relay.\n", "list sessions own": "No own sessions on this media relay.\n",
	} {
		if got := c.Run(line); got != want {
			t.Errorf("%q prints %q, want %q", line, got, want)
		}
	}
}

func TestSettingsReachTheirPlaces(t *testing.T) {
	c, u := newCommands(t)
	offered(t, c, "one")
	c.Run("set maxsessions 1")
	c.Run("debug one")
	if got := c.Calls.Limits().MaxSessions; got != 1 || !u.debugged["one"] {
		t.Errorf("the limit is %d, want 1; debugged %v", got, u.debugged)
	}
	u.refuses = true
	if got := c.Run("set maxsessions 5"); got != "Fail: not now\n" {
		t.Errorf("a change that cannot be prints %q", got)
	}
}

// TestTerminateCountsAsForced tells the two ways in which calls end apart.
func TestTerminateCountsAsForced(t *testing.T) {
	c, _ := newCommands(t)
	offered(t, c, "one")
	offered(t, c, "two")
	c.Run("terminate one")
	c.Run("terminate all")
	if got := c.Run("list totals"); !regexp.MustCompile(`Total forced terminated sessions +:2\n`).MatchString(got) {
		t.Errorf("totals after two forced ends:\n%s", got)
	}
}

func FuzzCommandLine(f *testing.F) {
	for _, line := range []string{
		"", "list", "list sessions one", "call one tag a info", "set timeout 5", "set loglevel core 7", "media evict db 1 2 x", "usage",
		"set maxcpu NaN", "set maxsessions -", "params diff", "terminate one", "debug one off", "list loglevel \x00", "set maxbw 1e9",
	} {
		f.Add(line)
	}
	c, _ := newCommands(f)
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Contains(line, "maxopenfiles") {
			return // is about this process
		}
		if _, err := c.Calls.Look("one"); err != nil {
			offeredAgain(t, c)
		}
		if got := c.Run(line); strings.Contains(got, "%!") && !strings.Contains(line, "%!") {
			t.Errorf("%q prints a broken format: %q", line, got)
		}
	})
}

// offeredAgain makes the call of the fuzzer, whatever limits it has set.
func offeredAgain(t *testing.T, c *cli.Commands) {
	t.Helper()
	if err := c.Tuner.Change(func(s *cli.Settings) { *s = c.Tuner.Started() }); err == nil {
		offered(t, c, "one")
	}
}
