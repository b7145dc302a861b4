package peers

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

//go:embed page.html
var pageHTML []byte

// Chromium is a browser without a window, whose microphone hears a tone. It is driven by the DevTools protocol over pipes, so
// it needs no port. Its methods may be called from several goroutines.
type Chromium struct {
	*process
	dir  string
	tone float64

	talk conversation // commands, replies and events

	mu      sync.Mutex
	last    int
	waiting map[int]chan devToolsReply
}

// devToolsReply is what the browser answers to a command.
type devToolsReply struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// NewChromium starts one on a side.
func NewChromium(side Side, tone float64) (c *Chromium, err error) {
	c = &Chromium{tone: tone, waiting: make(map[int]chan devToolsReply)}
	if c.dir, err = os.MkdirTemp(side.dir, "chromium-"); err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{"tone.wav": toneWAV(tone, 3*time.Minute), "page.html": pageHTML} {
		if err := os.WriteFile(filepath.Join(c.dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--remote-debugging-pipe", "--user-data-dir="+filepath.Join(c.dir, "profile"), "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
		"--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
		"--use-file-for-fake-audio-capture="+filepath.Join(c.dir, "tone.wav"))
	// A home of its own, as it also writes beside its profile.
	cmd.Env = append(os.Environ(), "HOME="+c.dir, "XDG_CONFIG_HOME="+c.dir, "XDG_CACHE_HOME="+c.dir)
	if c.talk, err = newConversation(); err != nil {
		return nil, err
	}
	cmd.ExtraFiles = c.talk.its[:] // descriptors 3 and 4
	c.process, err = start(side.host, c.dir, "chromium", cmd)
	err = errors.Join(err, c.talk.begun())
	if c.process == nil {
		return nil, errors.Join(err, c.talk.end())
	}
	go c.receive()
	if err == nil {
		err = c.do("", "Browser.getVersion", nil, nil)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close ends the browser.
func (c *Chromium) Close() error {
	return errors.Join(c.process.Close(), c.talk.end())
}

// receive hands replies to the commands that wait for them, until the browser ends. Messages are JSON objects with a
// zero byte after each.
func (c *Chromium) receive() {
	in := bufio.NewReaderSize(c.talk.in, 1<<20)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var r devToolsReply
		if err := json.Unmarshal(text[:len(text)-1], &r); err != nil || r.ID == 0 {
			continue // an event
		}
		c.mu.Lock()
		if waits := c.waiting[r.ID]; waits != nil {
			waits <- r
			delete(c.waiting, r.ID)
		}
		c.mu.Unlock()
	}
}

// do sends a command, to a page or, without session, to the browser itself, and waits for its result.
func (c *Chromium) do(session, method string, parameters, result any) error {
	c.mu.Lock()
	c.last++
	id := c.last
	waits := make(chan devToolsReply, 1)
	c.waiting[id] = waits
	command := map[string]any{"id": id, "method": method}
	if session != "" {
		command["sessionId"] = session
	}
	if parameters != nil {
		command["params"] = parameters
	}
	text, err := json.Marshal(command)
	if err == nil {
		_, err = c.talk.out.Write(append(text, 0))
	}
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("chromium: %s: %w", method, err)
	}
	select {
	case r := <-waits:
		if r.Error != nil {
			return fmt.Errorf("chromium: %s: %s", method, r.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(r.Result, result)
	case <-c.ended:
		return fmt.Errorf("chromium ended; the end of its log:\n%s", c.tail(20))
	case <-time.After(2 * patience): // the first start of a browser takes its time
		return fmt.Errorf("chromium: %s: no answer; the end of its log:\n%s", method, c.tail(20))
	}
}

// Page is one party in the browser. Its methods must not be called at the same time.
type Page struct {
	browser         *Chromium
	target, session string
}

// PageOptions are what a page's call differs in from others. The zero value is what most applications use.
type PageOptions struct {
	Video  bool   `json:"video"`  // beside audio
	Policy string `json:"policy"` // of bundles; "max-bundle" insists on them, the default is "balanced"
}

// NewPage opens one, ready for a call.
func (c *Chromium) NewPage(options PageOptions) (*Page, error) {
	if options.Policy == "" {
		options.Policy = "balanced"
	}
	p, err := c.open("file://" + filepath.Join(c.dir, "page.html"))
	if err != nil {
		return nil, err
	}
	// Until then it may still be the empty page.
	err = await(patience, "the page loads", func() error { return p.evaluate("party.constructor.name", nil) })
	if err == nil {
		err = p.call("start", options, nil)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// open shows a page that is no party.
func (c *Chromium) open(url string) (*Page, error) {
	p := &Page{browser: c}
	var target struct {
		ID string `json:"targetId"`
	}
	if err := c.do("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target); err != nil {
		return nil, err
	}
	p.target = target.ID
	var session struct {
		ID string `json:"sessionId"`
	}
	if err := c.do("", "Target.attachToTarget", map[string]any{"targetId": p.target, "flatten": true}, &session); err != nil {
		return nil, err
	}
	p.session = session.ID
	if err := c.do(p.session, "Page.navigate", map[string]any{"url": url}, nil); err != nil {
		return nil, err
	}
	return p, nil
}

// Close ends the call, if there is one, without a word, and the page.
func (p *Page) Close() error {
	return p.browser.do("", "Target.closeTarget", map[string]any{"targetId": p.target}, nil)
}

// evaluate gives the value of a JavaScript expression; that of a promise when it is kept.
func (p *Page) evaluate(expression string, value any) error {
	var r struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	err := p.browser.do(p.session, "Runtime.evaluate", map[string]any{
		"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
	}, &r)
	if err != nil {
		return err
	}
	if r.Exception != nil {
		return fmt.Errorf("chromium: %.100s: %s %s", expression, r.Exception.Text, r.Exception.Exception.Description)
	}
	if value == nil {
		return nil
	}
	if len(r.Result.Value) == 0 {
		return fmt.Errorf("chromium: %.100s: %w", expression, io.ErrUnexpectedEOF)
	}
	return json.Unmarshal(r.Result.Value, value)
}

// call calls a method of the page's party.
func (p *Page) call(method string, argument, value any) error {
	text, err := json.Marshal(argument)
	if err != nil {
		return err
	}
	return p.evaluate(fmt.Sprintf("party.%s(%s)", method, text), value)
}

// Offer makes an offer, with restart one for new ICE credentials.
func (p *Page) Offer(restart bool) (offer string, err error) {
	return offer, p.call("offer", map[string]bool{"iceRestart": restart}, &offer)
}

// Answer takes an offer and returns the answer.
func (p *Page) Answer(offer string) (answer string, err error) {
	return answer, p.call("answer", offer, &answer)
}

// Accept takes the answer to the offer.
func (p *Page) Accept(answer string) error { return p.call("accept", answer, nil) }

// Direct wants everything to go in this direction from the next offer on: "sendrecv", "sendonly", "recvonly", "inactive".
func (p *Page) Direct(direction string) error { return p.call("direct", direction, nil) }

// Stats is what the browser tells of its call.
type Stats struct {
	Connection string `json:"connection"`
	ICE        string `json:"ice"`
	DTLS       string `json:"dtls"`
	Cipher     string `json:"cipher"` // of SRTP
	Local      string `json:"local"`  // of the pair that is used
	Remote     string `json:"remote"`
	RemoteType string `json:"remoteType"`
	Ufrag      string `json:"ufrag"` // of the browser
	Codec      string `json:"codec"` // received

	PacketsReceived int     `json:"packetsReceived"`
	PacketsLost     int     `json:"packetsLost"`
	PacketsSent     int     `json:"packetsSent"`
	Level           float64 `json:"level"`     // of what is heard, 0 to 1
	RoundTrip       float64 `json:"roundTrip"` // seconds, by the other side's RTCP
	Reports         int     `json:"reports"`   // of the other side, by which that was measured

	VideoCodec    string `json:"videoCodec"` // received
	FramesDecoded int    `json:"framesDecoded"`
	FramesSent    int    `json:"framesSent"`
	NACKs         int    `json:"nacks"` // that the other side sent
	PLIs          int    `json:"plis"`  // likewise
}

// Stats asks for them.
func (p *Page) Stats() (s Stats, err error) { return s, p.evaluate("party.stats()", &s) }

// Tone is the frequency that the microphone hears.
func (p *Page) Tone() float64 { return p.browser.tone }

// Hear is what comes out of the loudspeaker.
func (p *Page) Hear() (Sound, error) {
	s, err := p.Stats()
	if err != nil {
		return Sound{}, err
	}
	var heard struct {
		Rate    float64   `json:"rate"`
		Samples []float64 `json:"samples"`
	}
	if err := p.evaluate("party.samples()", &heard); err != nil {
		return Sound{}, err
	}
	sound := listen(heard.Samples, heard.Rate)
	// The browser's own opinion counts as well.
	sound.Level = math.Min(sound.Level, s.Level)
	sound.Heard = time.Duration(s.PacketsReceived) * 20 * time.Millisecond
	return sound, nil
}
