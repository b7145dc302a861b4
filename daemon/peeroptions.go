package daemon

import (
	"strings"

	"github.com/spf13/pflag"
)

// peerOptions are the options of rtpengine that Weir takes but does not act on yet, so that a command line or
// configuration file of rtpengine starts Weir unchanged: NAME, "/x" for a short form, "!" for one without a value.
const peerOptions = `
nftables-chain nftables-base-chain nftables-append! nftables-family xtables! nftables-start! nftables-stop!
nftables-status! listen-cli/c
http-threads http-buf-size graphite/g
graphite-interval/G graphite-prefix graphite-timeout control-tos control-pmtu redis/r redis-write/w redis-subscribe
subscribe-keyspace/k redis-resolve-on-reconnect! redis-num-threads redis-expires no-redis-required/q!
redis-allowed-errors redis-disable-time redis-cmd-timeout redis-connect-timeout redis-format redis-tcp-keepalive-time
redis-tcp-keepalive-intvl redis-tcp-keepalive-probes active-switchover! log-facility-cdr
log-facility-rtcp log-facility-dtmf log-format log-level-core log-level-ffmpeg log-level-internals log-level-spandsp
log-level-transcoding log-level-codec log-level-rtcp log-level-ice log-level-crypto log-level-srtp log-level-http
log-level-control log-level-dtx split-logs! max-log-line-length no-log-timestamps! log-name log-mark-prefix
log-mark-suffix log-srtp-keys! debug-srtp! dtmf-log-dest dtmf-log-ng-tcp! dtmf-no-suppress! dtmf-digit-delay
dtmf-no-log-injects! media-num-threads codec-num-threads kernel-num-threads kernel-slots thread-stack poller-size
poller-per-thread! timer-accuracy io-uring! io-uring-buffers max-recv-iters socket-cpu-affinity scheduling priority
idle-scheduling idle-priority evs-lib-path codec-chain-lib-path codec-chain-runners codec-chain-concurrency
codec-chain-async codec-chain-nonblock! codec-chain-interval codec-chain-opus-application codec-chain-opus-complexity
max-load max-cpu max-bandwidth homer homer-protocol homer-id homer-disable-rtcp-stats! homer-enable-ng!
homer-ng-capture-proto recording-dir recording-method recording-format record-egress! record-both! iptables-chain
codecs! mysql-host mysql-port mysql-user mysql-pass mysql-query jitter-buffer jb-clock-drift! jb-adaptive!
jb-adaptive-min jb-adaptive-max
dtx-delay max-dtx dtx-buffer dtx-lag dtx-shift dtx-cn-params amr-dtx evs-dtx silence-detect cn-payload player-cache!
kernel-player kernel-player-media preload-media-files media-files-reload media-files-expire expiry-timer
preload-db-media db-media-reload db-media-expire db-media-cache preload-db-cache db-cache-reload cache-media-reload
db-cache-expire audio-buffer-length audio-buffer-delay audio-player mqtt-host mqtt-port mqtt-tls-alpn
mqtt-id mqtt-keepalive mqtt-user mqtt-pass mqtt-cafile mqtt-capath mqtt-certfile mqtt-keyfile mqtt-publish-qos
mqtt-publish-topic mqtt-publish-interval mqtt-publish-scope janus-secret
moh-max-duration moh-max-repeats moh-prevent-double-hold! vsc-start-rec vsc-stop-rec vsc-start-stop-rec vsc-pause-rec
vsc-pause-resume-rec vsc-start-pause-resume-rec ng-client-timeout ng-client-retries
`

// registerPeerOptions adds the options to fs, hidden from its help.
func registerPeerOptions(fs *pflag.FlagSet) {
	for word := range strings.FieldsSeq(peerOptions) {
		name, flag := strings.CutSuffix(word, "!")
		name, short, _ := strings.Cut(name, "/")
		if flag {
			fs.BoolP(name, short, false, "")
		} else {
			fs.StringArrayP(name, short, nil, "")
		}
		_ = fs.MarkHidden(name) // it fails for unknown names only
	}
}

// withoutEffect returns the options set in fs that Weir does not act on yet.
func withoutEffect(fs *pflag.FlagSet) []string {
	var names []string
	for word := range strings.FieldsSeq(peerOptions) {
		name, _, _ := strings.Cut(strings.TrimSuffix(word, "!"), "/")
		if fs.Changed(name) {
			names = append(names, name)
		}
	}
	return names
}
