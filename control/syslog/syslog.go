// Package syslog writes lines to the syslog of the host (RFC 3164), each log with a facility of its own.
package syslog

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/weir-media/weir/control/outbox"
)

// Path is where the host takes lines.
const Path = "/dev/log"

const (
	room      = 1024 // lines that wait
	writeTime = time.Second
	severity  = 6 // information
)

// facilities are in the order of their numbers (RFC 3164, section 4.1.1).
var facilities = []string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// Facility is a category of lines.
type Facility int

// ParseFacility reads the name of a facility.
func ParseFacility(name string) (Facility, error) {
	if i := slices.Index(facilities, name); i >= 0 && name != "" {
		return Facility(i), nil
	}
	known := slices.DeleteFunc(slices.Clone(facilities), func(f string) bool { return f == "" })
	return 0, fmt.Errorf("%q is none of the facilities %s", name, strings.Join(known, ", "))
}

// Config says how lines are written.
type Config struct {
	Path     string // of the socket
	Facility Facility
	Name     string       // of the program
	Log      *slog.Logger // gets the lines when there is no syslog
}

// Log is one log. Write is safe for concurrent use, Run is for one caller at a time.
type Log struct {
	cfg Config
	box *outbox.Box[func() string]
}

// New returns a log that keeps what it is given until Run.
func New(cfg Config) *Log { return &Log{cfg: cfg, box: outbox.New[func() string](room)} }

// Write queues a line, which is made when its turn has come. An empty one is not written.
func (l *Log) Write(line func() string) { l.box.Put(line) }

// Counts returns how many lines were written and dropped.
func (l *Log) Counts() (sent, dropped uint64) { return l.box.Counts() }

// Run writes lines until ctx ends, and then those that wait.
func (l *Log) Run(ctx context.Context) {
	s := &socket{path: l.cfg.Path}
	defer s.close()
	trouble := outbox.Trouble{Log: l.cfg.Log, To: l.cfg.Path, What: "there is no syslog: lines for it stand here"}
	for {
		select {
		case line := <-l.box.Waiting():
			l.write(s, &trouble, line())
			continue
		default:
		}
		select {
		case <-ctx.Done():
			return
		case line := <-l.box.Waiting():
			l.write(s, &trouble, line())
		}
	}
}

func (l *Log) write(s *socket, trouble *outbox.Trouble, line string) {
	if line == "" {
		return
	}
	line = strings.Map(func(r rune) rune { // what peers send must not make lines of its own
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, line)
	err := s.write(fmt.Appendf(nil, "<%d>%s %s[%d]: %s", int(l.cfg.Facility)*8+severity, time.Now().Format(time.Stamp), l.cfg.Name, os.Getpid(), line))
	if trouble.Note(err); err != nil {
		l.cfg.Log.Info("line for syslog", "facility", facilities[l.cfg.Facility], "line", line)
	}
	l.box.Done(true)
}

// socket is the connection to the syslog, which is made again after it was restarted.
type socket struct {
	path string
	conn net.Conn
}

func (s *socket) write(line []byte) (err error) {
	for range 2 {
		fresh := s.conn == nil
		if fresh {
			if s.conn, err = net.Dial("unixgram", s.path); err != nil {
				s.conn = nil
				return err
			}
		}
		_ = s.conn.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err = s.conn.Write(line); err == nil {
			return nil
		}
		s.close()
		if fresh {
			return err
		}
	}
	return err
}

func (s *socket) close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}
