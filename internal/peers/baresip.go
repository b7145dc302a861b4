package peers

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kind is what a party can do. It is the user part of its address, by which Kamailio chooses the flags.
type Kind string

// The kinds.
const (
	Plain   Kind = "plain"   // RTP
	SDES    Kind = "sdes"    // SRTP with keys in the description, nothing else
	DTLS    Kind = "dtls"    // DTLS-SRTP without ICE, nothing else
	Browser Kind = "browser" // WebRTC
	Classic Kind = "classic" // the same, with flags from before there were any for bundles
)

// Baresip is a softphone that answers every call, plays a tone and records what it hears. Its methods may be called from
// several goroutines.
type Baresip struct {
	*process
	uri  string
	dir  string
	tone float64

	control net.Conn
	mu      sync.Mutex
	events  []string // what it told of calls, oldest first
	replies chan reply
}

// reply is what baresip answers to a command.
type reply struct {
	OK   bool   `json:"ok"`
	Data string `json:"data"`
}

// NewBaresip starts one on a side, which must have no other party. Codecs are in baresip's words, in order: "opus/48000/2",
// "PCMU/8000/1".
func NewBaresip(side Side, kind Kind, tone float64, codecs ...string) (b *Baresip, err error) {
	b = &Baresip{uri: fmt.Sprintf("sip:%s@%s:%d", kind, side.Addr, SIPPort), tone: tone, replies: make(chan reply, 1)}
	if b.dir, err = os.MkdirTemp(side.dir, "baresip-"); err != nil {
		return nil, err
	}
	if err := b.configure(side, kind, codecs); err != nil {
		return nil, err
	}
	if b.process, err = start(side.host, b.dir, "baresip", exec.Command("baresip", "-s", "-v", "-f", b.dir)); err != nil {
		return nil, err
	}
	err = b.await("listens", func() error {
		err := bound(side.host, netip.AddrPortFrom(side.Addr, SIPPort))
		if err == nil {
			err = side.host.Do(func() error {
				b.control, err = net.Dial("tcp", controlAddr)
				return err
			})
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, b.process.Close())
	}
	go b.listen()
	return b, nil
}

// controlAddr is where baresip takes commands, on the host's loopback.
const controlAddr = "127.0.0.1:4444"

func (b *Baresip) configure(side Side, kind Kind, codecs []string) error {
	tone := filepath.Join(b.dir, "tone.wav")
	files := map[string][]byte{
		"tone.wav": toneWAV(b.tone, 3*time.Minute),
		// The recording is made on the way to the player, so there has to be one: a bridge with nobody at its other end.
		"config": []byte(strings.Join([]string{
			"sip_listen " + netip.AddrPortFrom(side.Addr, SIPPort).String(),
			"module_path /usr/lib/baresip/modules",
			"module g711.so", "module opus.so", "module aufile.so", "module aubridge.so", "module sndfile.so",
			"module srtp.so", "module dtls_srtp.so",
			"module_tmp account.so", "module_app menu.so", "module_app ctrl_tcp.so",
			"ctrl_tcp_listen " + controlAddr,
			"audio_source aufile," + tone, "audio_player aubridge,nobody", "audio_alert aubridge,nobody",
			"ausrc_srate 8000", "ausrc_channels 1",
			"snd_path " + b.dir, "statmode_default off",
			"rtp_ports 20000-20100",
			"",
		}, "\n")),
		"accounts": []byte(fmt.Sprintf("<%s>;regint=0;answermode=auto;outbound=\"sip:%s\";audio_codecs=%s%s\n",
			b.uri, side.Proxy, strings.Join(codecs, ","),
			map[Kind]string{SDES: ";mediaenc=srtp-mand", DTLS: ";mediaenc=dtls_srtp"}[kind])),
		"contacts": nil,
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(b.dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// URI is its address.
func (b *Baresip) URI() string { return b.uri }

// Tone is the frequency that it sends.
func (b *Baresip) Tone() float64 { return b.tone }

// Close ends it, and its calls.
func (b *Baresip) Close() error {
	return errors.Join(b.control.Close(), b.process.Close())
}

// listen takes what baresip tells, until the connection ends. Messages are JSON objects in netstrings: length, colon,
// object, comma.
func (b *Baresip) listen() {
	defer close(b.replies)
	in := bufio.NewReader(b.control)
	for {
		digits, err := in.ReadString(':')
		if err != nil {
			return
		}
		length, err := strconv.Atoi(strings.TrimSuffix(digits, ":"))
		if err != nil {
			return
		}
		text := make([]byte, length+1)
		if _, err := io.ReadFull(in, text); err != nil {
			return
		}
		var message struct {
			reply
			Response bool   `json:"response"`
			Type     string `json:"type"`
		}
		if err := json.Unmarshal(text[:length], &message); err != nil {
			continue
		}
		if message.Response {
			b.replies <- message.reply
			continue
		}
		b.mu.Lock()
		b.events = append(b.events, message.Type)
		b.mu.Unlock()
	}
}

// command tells baresip to do something.
func (b *Baresip) command(name, parameters string) error {
	text, err := json.Marshal(map[string]string{"command": name, "params": parameters})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(b.control, "%d:%s,", len(text), text); err != nil {
		return fmt.Errorf("baresip: %s: %w", name, err)
	}
	select {
	case r, ok := <-b.replies:
		if !ok || !r.OK {
			return fmt.Errorf("baresip: %s: %q; the end of its log:\n%s", name, r.Data, b.tail(20))
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("baresip: %s: no answer", name)
	}
}

// happened counts events of a type.
func (b *Baresip) happened(event string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(b.events), func(e string) bool { return e != event }))
}

// awaitEvent waits until there have been so many of a type.
func (b *Baresip) awaitEvent(event string, count int) error {
	err := await(patience, "baresip: "+event, func() error {
		if b.happened(event) >= count {
			return nil
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		return fmt.Errorf("got %q", b.events)
	})
	if err != nil {
		err = fmt.Errorf("%w; the end of its log:\n%s", err, b.tail(20))
	}
	return err
}

// Call calls somebody and waits until the call is up.
func (b *Baresip) Call(uri string) error {
	n := b.happened("CALL_ESTABLISHED")
	if err := b.command("dial", uri); err != nil {
		return err
	}
	return b.awaitEvent("CALL_ESTABLISHED", n+1)
}

// AwaitCall waits until its first call is up.
func (b *Baresip) AwaitCall() error { return b.awaitEvent("CALL_ESTABLISHED", 1) }

// AwaitEnd waits until its first call has ended.
func (b *Baresip) AwaitEnd() error { return b.awaitEvent("CALL_CLOSED", 1) }

// Secure tells whether what it hears is encrypted.
func (b *Baresip) Secure() bool { return b.says("mediaenc event 'Secure'") }

// Hold puts the call on hold, or takes it back.
func (b *Baresip) Hold(on bool) error {
	if on {
		return b.command("hold", "")
	}
	return b.command("resume", "")
}

// HangUp ends the call.
func (b *Baresip) HangUp() error { return b.command("hangup", "") }

// Hear is what it has recorded last.
func (b *Baresip) Hear() (Sound, error) {
	paths, err := filepath.Glob(filepath.Join(b.dir, "dump-*-dec.wav"))
	if err != nil {
		return Sound{}, err
	}
	if len(paths) == 0 {
		return Sound{}, errors.New("baresip has recorded nothing yet")
	}
	slices.Sort(paths) // by time
	return readWAV(paths[len(paths)-1], window)
}
