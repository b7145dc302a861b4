package daemon

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/control/metrics"
	"github.com/weir-media/weir/control/ng"
	"github.com/weir-media/weir/daemon/ui"
)

// accessOptions say who may change anything.
type accessOptions struct {
	Allow     []string
	TokenFile string
}

func (o *accessOptions) register(fs *pflag.FlagSet) {
	fs.StringArrayVar(&o.Allow, "control-allow", nil, "ADDRESS or ADDRESS/BITS of those who may send ng requests and commands of older languages, or change anything by rtpengine-ctl; repeatable (default everybody)")
	fs.StringVar(&o.TokenFile, "http-token-file", "", "file with a token that HTTP and WebSocket requests which may change anything must carry as \"Authorization: Bearer TOKEN\"")
}

// access reads the options.
func (o *accessOptions) access() (a ng.Access, err error) {
	for _, text := range o.Allow {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				return a, fmt.Errorf("--control-allow %q is neither an address nor ADDRESS/BITS", text)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		if prefix.Addr().Is4In6() {
			return a, fmt.Errorf("--control-allow %s: write the IPv4 address as such", text)
		}
		a.Allow = append(a.Allow, prefix.Masked())
	}
	if o.TokenFile != "" {
		text, err := os.ReadFile(o.TokenFile)
		if err != nil {
			return a, fmt.Errorf("--http-token-file: %w", err)
		}
		if a.Token = strings.TrimSpace(string(text)); a.Token == "" {
			return a, fmt.Errorf("--http-token-file: %s is empty: write a token into it", o.TokenFile)
		}
	}
	return a, nil
}

// allows tells whether a client of an address may change anything, once the daemon serves.
func (d *Daemon) allows(addr netip.Addr) bool { return d.disp.Allows(addr) }

// pages are what HTTP serves beside the ng protocol. They only read.
func (d *Daemon) pages() map[string]http.Handler {
	say := func(w http.ResponseWriter, status int, contentType, text string) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text) // a client that went away is no news
	}
	return map[string]http.Handler{
		"GET /metrics": metrics.NewHandler(metrics.NewRegistry(d.snapshot), d.log),
		"GET /statistics": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			say(w, http.StatusOK, "application/json", d.jsonStatistics())
		}),
		"GET /healthz": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if d.stuck() {
				say(w, http.StatusServiceUnavailable, "text/plain", "requests are stuck\n")
				return
			}
			say(w, http.StatusOK, "text/plain", "ok\n")
		}),
		"GET /readyz": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if on, _ := d.calls.Draining(); on {
				say(w, http.StatusServiceUnavailable, "text/plain", "draining\n")
				return
			}
			say(w, http.StatusOK, "text/plain", "ready\n"+d.shared())
		}),
		"GET /ui":  http.RedirectHandler("/ui/", http.StatusMovedPermanently),
		"GET /ui/": ui.NewHandler("/ui", cli.NewReader(d)),
	}
}
