package daemon

import (
	"io"
	"log/slog"
	"os"
	"strings"
)

// newLog returns a logger to w at a syslog level. Under systemd each line carries the priority that the journal reads, and no
// time of its own.
func newLog(w io.Writer, level int) *slog.Logger {
	min := slog.LevelDebug
	switch {
	case level <= 3:
		min = slog.LevelError
	case level == 4:
		min = slog.LevelWarn
	case level <= 6:
		min = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: min}
	if os.Getenv("JOURNAL_STREAM") != "" {
		w = journalWriter{w}
		opts.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	return slog.New(slog.NewTextHandler(w, opts))
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
