package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/call"
)

// Settings are those that can be changed while the daemon runs. They are comparable.
type Settings struct {
	Limits       call.Limits
	MaxCPU       float64 // percent; 0: no limit
	MaxLoad      float64 // load average; 0: no limit
	MaxBandwidth uint64  // bytes per second; 0: no limit
	LogLevels    LogLevels
	ControlTOS   int
	Redis        RedisSettings
}

// RedisSettings are those of all Redis servers.
type RedisSettings struct {
	AllowedErrors  int
	DisableTime    int // s
	CommandTimeout int // ms
	ConnectTimeout int // ms
}

// LogLevels are syslog levels by the number of the subsystem in LogSystems.
type LogLevels [len(logSystemNames)]int

// logSystemNames are rtpengine's subsystems of the log. Lines of others than core tell theirs by the attribute "system".
var logSystemNames = [...]struct{ name, about string }{
	{"core", "everything that is in no other subsystem"}, {"ffmpeg", "messages of ffmpeg; there are none"},
	{"internals", "noisy internals; there are none"}, {"spandsp", "messages of SpanDSP; there are none"},
	{"transcoding", "conversion of audio"}, {"codec", "negotiation of codecs"}, {"rtcp", "RTCP"}, {"ice", "ICE"},
	{"crypto", "negotiation of keys, DTLS"}, {"srtp", "SRTP packets"}, {"http", "HTTP and WebSocket"}, {"control", "control protocols"}, {"dtx", "gaps in audio; there are none"},
}

// LogSystems returns the names of the subsystems.
func LogSystems() []string {
	names := make([]string, len(logSystemNames))
	for i, s := range logSystemNames {
		names[i] = s.name
	}
	return names
}

// Tuner keeps the settings.
type Tuner interface {
	Settings() Settings
	Started() Settings // as they were at the start
	// Change lets edit change them and puts them into force, or says why they cannot be.
	Change(edit func(*Settings)) error
}

// settings are what "set" changes.
func settings() []command {
	return []command{
		{"maxopenfiles", "<uint>", "limit of open files", func(_ *Commands, words []string) string { return setOpenFiles(words) }, nil},
		{"maxsessions", "<int>", "limit of calls, -1 is none, 0 drains", (*Commands).setMaxSessions, nil},
		{"maxcpu", "<float>", "limit of CPU usage in percent", setDecimal("maxcpu", 1, func(s *Settings) *float64 { return &s.MaxCPU }), nil},
		{"maxload", "<float>", "limit of the load average", setDecimal("maxload", 2, func(s *Settings) *float64 { return &s.MaxLoad }), nil},
		{"maxbw", "<uint>", "limit of bandwidth in bytes per second", setWhole("maxbw", "maxbw", func(s *Settings, n uint64) { s.MaxBandwidth = n }), nil},
		{"timeout", "<uint>", "seconds without packets that end a call", setTimeout(func(l *call.Limits) *time.Duration { return &l.Timeout }), nil},
		{"silenttimeout", "<uint>", "the same on hold", setTimeout(func(l *call.Limits) *time.Duration { return &l.SilentTimeout }), nil},
		{"offertimeout", "<uint>", "seconds an offer waits for its answer", setTimeout(func(l *call.Limits) *time.Duration { return &l.OfferTimeout }), nil},
		{"finaltimeout", "<uint>", "seconds any call may live", setTimeout(func(l *call.Limits) *time.Duration { return &l.FinalTimeout }), nil},
		{"loglevel", "[<system>] <uint>", "log level of all subsystems, or of one", (*Commands).setLogLevel, nil},
		{"redisallowederrors", "<int>", "errors before Redis is left alone", (*Commands).setAllowedErrors, nil},
		{"redisdisabletime", "<uint>", "seconds for which it is", setRedis("redis-disable-time", 0, func(r *RedisSettings) *int { return &r.DisableTime }), nil},
		{"redisdisable", "0|1", "stop writing to Redis, or go on", (*Commands).setRedisDisable, nil},
		{"redisconnecttimeout", "<uint>", "milliseconds to connect to Redis", setRedis("redis-connect-timeout", 1, func(r *RedisSettings) *int { return &r.ConnectTimeout }), nil},
		{"rediscmdtimeout", "<uint>", "milliseconds for a command to Redis", (*Commands).setCommandTimeout, nil},
		{"controltos", "<uint>", "TOS of replies on control sockets", (*Commands).setControlTOS, nil},
		{"deletedelay", "<uint>", "seconds between a delete and its effect", (*Commands).setDeleteDelay, nil},
	}
}

// change puts a change into force and returns what is said of that.
func (c *Commands) change(done string, edit func(*Settings)) string {
	if err := c.Tuner.Change(edit); err != nil {
		return "Fail: " + err.Error() + "\n"
	}
	return done
}

// mostDigits keeps numbers within what can be turned into a time.
const mostDigits = 1 << 31

// number reads the digits a word begins with. On failure it returns the end of the sentence that tells so.
func number(word string) (n int64, trouble string) {
	digits := strings.TrimLeft(word, "+-")
	end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(digits)
	}
	if end == 0 || len(word)-len(digits) > 1 {
		return 0, "; no digits found"
	}
	n, err := strconv.ParseInt(digits[:end], 10, 64)
	if err != nil || n > mostDigits {
		return 0, fmt.Sprintf("; errno=%d", unix.ERANGE)
	}
	if word[0] == '-' {
		n = -n
	}
	return n, ""
}

// unsigned is number for settings that are not negative.
func unsigned(word string) (n int64, trouble string) {
	if n, trouble = number(word); trouble == "" && n < 0 {
		return 0, fmt.Sprintf("; errno=%d", unix.ERANGE)
	}
	return n, trouble
}

// setWhole makes the command for a number that is not negative.
func setWhole(name, word string, put func(*Settings, uint64)) func(*Commands, []string) string {
	return func(c *Commands, words []string) string {
		if len(words) == 0 {
			return moreParameters
		}
		n, trouble := unsigned(words[0])
		if trouble != "" {
			return "Fail setting " + name + " to " + words[0] + trouble + "\n"
		}
		return c.change(fmt.Sprintf("Success setting %s to %d\n", word, n), func(s *Settings) { put(s, uint64(n)) })
	}
}

func setTimeout(of func(*call.Limits) *time.Duration) func(*Commands, []string) string {
	return setWhole("timeout", "timeout", func(s *Settings, n uint64) { *of(&s.Limits) = time.Duration(n) * time.Second })
}

func setDecimal(name string, decimals int, of func(*Settings) *float64) func(*Commands, []string) string {
	return func(c *Commands, words []string) string {
		if len(words) == 0 {
			return moreParameters
		}
		v, err := strconv.ParseFloat(words[0], 64)
		switch {
		case errors.Is(err, strconv.ErrRange) || v < 0 || v > mostDigits || v != v:
			return fmt.Sprintf("Fail setting %s to %s; errno=%d\n", name, words[0], unix.ERANGE)
		case err != nil:
			return "Fail setting " + name + " to " + words[0] + "; no digits found\n"
		}
		return c.change(fmt.Sprintf("Success setting %s to %.*f\n", name, decimals, v), func(s *Settings) { *of(s) = v })
	}
}

func (c *Commands) setMaxSessions(words []string) string {
	if len(words) == 0 {
		return moreParameters
	}
	n, trouble := number(words[0])
	switch {
	case trouble != "":
		return "Fail setting maxsessions to " + words[0] + trouble + "\n"
	case n < -1:
		return fmt.Sprintf("Fail setting maxsessions to %d; either positive or -1 values allowed\n", n)
	}
	done := fmt.Sprintf("Success setting maxsessions to %d\n", n)
	if n == -1 {
		done = "Success setting maxsessions to -1; disable feature\n"
	}
	return c.change(done, func(s *Settings) { s.Limits.MaxSessions = int(n) })
}

// leastOpenFiles is the lowest limit that can be set at run time.
const leastOpenFiles = 65536

func setOpenFiles(words []string) string {
	if len(words) == 0 {
		return moreParameters
	}
	n, trouble := unsigned(words[0])
	switch {
	case trouble != "":
		return "Fail setting open_files to " + words[0] + trouble + "\n"
	case n < leastOpenFiles:
		return fmt.Sprintf("Fail setting open_files to %d; can't set it under %d\n", n, leastOpenFiles)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Sprintf("Fail setting open_files to %d; %v\n", n, err)
	}
	limit.Cur, limit.Max = uint64(n), max(limit.Max, uint64(n))
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Sprintf("Fail setting open_files to %d; %v\n", n, err)
	}
	return fmt.Sprintf("Success setting open_files to %d; cat /proc/%d/limits\n", n, os.Getpid())
}

func logSystems(*Commands, []string) string {
	var b strings.Builder
	for _, s := range logSystemNames {
		b.WriteString(s.name + " - " + s.about + "\n")
	}
	return b.String()
}

func (c *Commands) logLevel(words []string) string {
	levels := c.Tuner.Settings().LogLevels
	if len(words) > 0 {
		if i := slices.Index(LogSystems(), words[0]); i >= 0 {
			return strconv.Itoa(levels[i]) + "\n"
		}
		return ""
	}
	var b strings.Builder
	for i, s := range logSystemNames {
		fmt.Fprintf(&b, "%s = %d\n", s.name, levels[i])
	}
	return b.String()
}

func (c *Commands) setLogLevel(words []string) string {
	only := -1
	if len(words) > 1 {
		if only = slices.Index(LogSystems(), words[0]); only < 0 {
			return "Unknown log level facility: " + words[0] + "\n"
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return moreParameters
	}
	n, trouble := number(words[0])
	switch {
	case trouble != "":
		return "Fail setting loglevel to " + words[0] + trouble + "\n"
	case n < -1 || n > 7:
		return "Fail setting loglevel to " + words[0] + "; it is between -1 and 7\n"
	}
	return c.change(fmt.Sprintf("Success setting loglevel to %d\n", n), func(s *Settings) {
		for i := range s.LogLevels {
			if only < 0 || i == only {
				s.LogLevels[i] = int(n)
			}
		}
	})
}

func (c *Commands) setAllowedErrors(words []string) string {
	if len(words) == 0 {
		return moreParameters
	}
	n, _ := number(words[0])
	return c.change(fmt.Sprintf("Success setting redis-allowed-errors to %d\n", n), func(s *Settings) { s.Redis.AllowedErrors = int(n) })
}

// setRedis makes the command for a setting of Redis that is at least 0 or 1.
func setRedis(name string, least int64, of func(*RedisSettings) *int) func(*Commands, []string) string {
	sign := ">="
	if least > 0 {
		sign = ">"
	}
	return func(c *Commands, words []string) string {
		if len(words) == 0 {
			return moreParameters
		}
		n, trouble := number(words[0])
		if trouble != "" || n < least {
			return "Invalid " + name + " value " + words[0] + ", must be " + sign + " 0\n"
		}
		return c.change(fmt.Sprintf("Success setting %s to %d\n", name, n), func(s *Settings) { *of(&s.Redis) = int(n) })
	}
}

func (c *Commands) setControlTOS(words []string) string {
	if len(words) == 0 {
		return moreParameters
	}
	n, trouble := number(words[0])
	if trouble != "" || n < 0 || n > 255 {
		return "Invalid control-tos value " + words[0] + ", must be between 0 and 255\n"
	}
	return c.change(fmt.Sprintf("Success setting control-tos to %d\n", n), func(s *Settings) { s.ControlTOS = int(n) })
}

func (c *Commands) setDeleteDelay(words []string) string {
	if len(words) == 0 {
		return moreParameters
	}
	n, trouble := unsigned(words[0])
	if trouble != "" {
		return "Invalid delete-delay value\n"
	}
	return c.change(fmt.Sprintf("Success setting delete-delay to %d\n", n), func(s *Settings) { s.Limits.DeleteDelay = time.Duration(n) * time.Second })
}
