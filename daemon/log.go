package daemon

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/weir-media/weir/control/cli"
)

// logbook is the log with its levels, which may change. It is safe for concurrent use.
type logbook struct {
	out    slog.Handler
	levels [len(cli.LogLevels{})]slog.LevelVar

	debugged atomic.Int32 // how many calls everything is logged of
	calls    sync.Map     // their ids
}

// mostDebugged bounds how many calls are logged in full, since their ids are kept until that is ended.
const mostDebugged = 1000

// newLogbook returns a log to w, its lines without the time if they shall be bare. Under systemd each carries the priority that the
// journal reads, and no time of its own either.
func newLogbook(w io.Writer, bare bool) *logbook {
	opts := &slog.HandlerOptions{Level: slog.LevelDebug}
	if os.Getenv("JOURNAL_STREAM") != "" {
		w, bare = journalWriter{w}, true
	}
	if bare {
		opts.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	return &logbook{out: slog.NewTextHandler(w, opts)}
}

// syslogLevel turns a level of syslog into ours; a negative one lets nothing pass.
func syslogLevel(level int) slog.Level {
	switch {
	case level < 0:
		return slog.LevelError + 4
	case level <= 3:
		return slog.LevelError
	case level == 4:
		return slog.LevelWarn
	case level <= 6:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

func (b *logbook) setLevels(levels cli.LogLevels) {
	for i, level := range levels {
		b.levels[i].Set(syslogLevel(level))
	}
}

// systemKey is the attribute that tells the subsystem of a line. Without it a line is of core.
const systemKey = "system"

// logger returns the log of one of rtpengine's subsystems.
func (b *logbook) logger(system string) *slog.Logger {
	log := slog.New(&bookHandler{b, b.out, &b.levels[slices.Index(cli.LogSystems(), "core")], false})
	if system == "core" {
		return log
	}
	return log.With(systemKey, system)
}

// debug has everything about a call logged, or no longer.
func (b *logbook) debug(id string, on bool) {
	id = strings.Clone(id)
	switch {
	case !on:
		if _, was := b.calls.LoadAndDelete(id); was {
			b.debugged.Add(-1)
		}
	case b.debugged.Load() < mostDebugged:
		if _, was := b.calls.LoadOrStore(id, true); !was {
			b.debugged.Add(1)
		}
	}
}

// bookHandler writes what is of its level, and everything about the calls that are debugged.
type bookHandler struct {
	book  *logbook
	next  slog.Handler
	level *slog.LevelVar
	ours  bool // an attribute names a call that is debugged
}

// Enabled implements slog.Handler.
func (h *bookHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level() || h.book.debugged.Load() > 0
}

// Handle implements slog.Handler.
func (h *bookHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < h.level.Level() && !h.ours {
		wanted := false
		r.Attrs(func(a slog.Attr) bool {
			wanted = h.names(a)
			return !wanted
		})
		if !wanted {
			return nil
		}
	}
	return h.next.Handle(ctx, r)
}

// names tells whether an attribute is the id of a call that is debugged.
func (h *bookHandler) names(a slog.Attr) bool {
	if a.Key != "call" || a.Value.Kind() != slog.KindString {
		return false
	}
	_, ok := h.book.calls.Load(a.Value.String())
	return ok
}

// WithAttrs implements slog.Handler.
func (h *bookHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	n.next = h.next.WithAttrs(attrs)
	n.ours = h.ours || slices.ContainsFunc(attrs, h.names)
	for _, a := range attrs {
		if i := slices.Index(cli.LogSystems(), a.Value.String()); a.Key == systemKey && i >= 0 {
			n.level = &h.book.levels[i]
		}
	}
	return &n
}

// WithGroup implements slog.Handler.
func (h *bookHandler) WithGroup(name string) slog.Handler {
	n := *h
	n.next = h.next.WithGroup(name)
	return &n
}

// journalWriter puts the priority prefix of sd-daemon(3) before each line.
type journalWriter struct{ w io.Writer }

func (j journalWriter) Write(line []byte) (int, error) {
	prefix := "<6>"
	for _, p := range []struct{ level, prefix string }{
		{"level=ERROR", "<3>"}, {"level=WARN", "<4>"}, {"level=DEBUG", "<7>"},
	} {
		if strings.HasPrefix(string(line), p.level) {
			prefix = p.prefix
		}
	}
	if _, err := io.WriteString(j.w, prefix); err != nil {
		return 0, err
	}
	return j.w.Write(line)
}
