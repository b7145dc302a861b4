package daemon

import (
	"strings"

	"github.com/spf13/pflag"
)

// idleGroup are options of rtpengine that Weir takes and does nothing about, so that a command line or configuration file of
// rtpengine starts it unchanged.
type idleGroup struct {
	about string // what they are for
	why   string // they do nothing
	never bool   // there is nothing to do, now or ever
	// names: NAME, "/x" for a short form, "!" for one without a value.
	names string
}

// idleGroups is never written to.
var idleGroups = []idleGroup{
	{"rules of the packet filter", "the kernel plane stands before the packet filter, and needs no module and no rules", true, `
nftables-chain nftables-base-chain nftables-append! nftables-family xtables! iptables-chain`},
	{"threads and sockets", "the planes schedule themselves; --num-threads counts the threads of the userspace one", true, `
http-threads http-buf-size media-num-threads codec-num-threads kernel-num-threads kernel-slots thread-stack poller-size
poller-per-thread! timer-accuracy io-uring! io-uring-buffers max-recv-iters socket-cpu-affinity scheduling priority idle-scheduling
idle-priority`},
	{"codec-chain", "it is a library that rtpengine can be built with", true, `
codec-chain-lib-path codec-chain-runners codec-chain-concurrency codec-chain-async codec-chain-nonblock! codec-chain-interval
codec-chain-opus-application codec-chain-opus-complexity`},
	{"syslog", "the log goes to standard error in one form, one line an event, where the journal picks it up", true, `
log-format split-logs! max-log-line-length log-mark-prefix log-mark-suffix`},
	{"keys in the log", "keys are never logged", true, `
log-srtp-keys! debug-srtp!`},
	{"Janus", "its HTTP interface is not there yet", false, `
janus-secret`},
	{"DTMF events", "audio is not converted yet, so that none is muted beside an event, and no events are made here", false, `
dtmf-no-suppress! dtmf-no-log-injects!`},
	{"recording", "calls are not recorded yet", false, `
recording-dir recording-method recording-format record-egress! record-both! vsc-start-rec vsc-stop-rec vsc-start-stop-rec vsc-pause-rec
vsc-pause-resume-rec vsc-start-pause-resume-rec`},
	{"media files", "media is not played yet", false, `
mysql-host mysql-port mysql-user mysql-pass mysql-query player-cache! kernel-player kernel-player-media preload-media-files
media-files-reload media-files-expire expiry-timer preload-db-media db-media-reload db-media-expire db-media-cache preload-db-cache
db-cache-reload cache-media-reload db-cache-expire audio-buffer-length audio-buffer-delay audio-player moh-max-duration moh-max-repeats
moh-prevent-double-hold!`},
	{"conversion of audio", "audio is not converted yet", false, `
evs-lib-path jitter-buffer jb-clock-drift! jb-adaptive! jb-adaptive-min jb-adaptive-max dtx-delay max-dtx dtx-buffer dtx-lag dtx-shift
dtx-cn-params amr-dtx evs-dtx silence-detect cn-payload ng-client-timeout ng-client-retries`},
}

// each calls fn for the options of the group.
func (g *idleGroup) each(fn func(name, short string, flag bool)) {
	for word := range strings.FieldsSeq(g.names) {
		name, flag := strings.CutSuffix(word, "!")
		name, short, _ := strings.Cut(name, "/")
		fn(name, short, flag)
	}
}

// registerPeerOptions adds the options to fs, hidden from its help.
func registerPeerOptions(fs *pflag.FlagSet) {
	for i := range idleGroups {
		g := &idleGroups[i]
		g.each(func(name, short string, flag bool) {
			if flag {
				fs.BoolP(name, short, false, "accepted without effect: "+g.why)
			} else {
				fs.StringArrayP(name, short, nil, "accepted without effect: "+g.why)
			}
			_ = fs.MarkHidden(name) // it fails for unknown names only
		})
	}
}

// idleNote is what is said of options without effect.
type idleNote struct {
	Names []string `json:"options"`
	Why   string   `json:"why"`
}

// withoutEffect returns the options set in fs that Weir does nothing about, by the reason.
func withoutEffect(fs *pflag.FlagSet) []idleNote {
	var notes []idleNote
	for i := range idleGroups {
		n := idleNote{Why: idleGroups[i].why}
		idleGroups[i].each(func(name, _ string, _ bool) {
			if fs.Changed(name) {
				n.Names = append(n.Names, name)
			}
		})
		if len(n.Names) > 0 {
			notes = append(notes, n)
		}
	}
	return notes
}
