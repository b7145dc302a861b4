package rtpproxy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weir-media/weir/media"
)

const (
	// maxPrompt is the largest file that is played: an hour of G.711.
	maxPrompt = 32 << 20
	// maxPrompts bounds what is kept in memory of prompts, in bytes.
	maxPrompts = 4 * maxPrompt
)

// Prompts is a directory of files NAME.PAYLOADTYPE with audio that is encoded for that payload type. Nothing is read outside it. It is
// safe for concurrent use.
type Prompts struct {
	path string
	root *os.Root

	mu   sync.Mutex
	kept map[string]*keptPrompt
	size int
}

// keptPrompt is a file as it was read.
type keptPrompt struct {
	data     []byte
	modified time.Time
	used     time.Time
}

// OpenPrompts opens a directory.
func OpenPrompts(path string) (*Prompts, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read prompts from %s: %w", path, err)
	}
	return &Prompts{path: path, root: root, kept: make(map[string]*keptPrompt)}, nil
}

// Close closes the directory.
func (p *Prompts) Close() error { return p.root.Close() }

// load returns the audio of a prompt for a payload type. The name may be a path below the directory, with or without its own.
func (p *Prompts) load(name string, payloadType uint8) ([]byte, error) {
	if below, ok := strings.CutPrefix(name, strings.TrimSuffix(p.path, "/")+"/"); ok {
		name = below
	}
	name = filepath.Clean(name) + "." + strconv.Itoa(int(payloadType))
	file, err := p.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxPrompt:
		return nil, fmt.Errorf("prompt %s is no file of up to %d bytes", name, maxPrompt)
	}
	if data := p.find(name, info.ModTime()); data != nil {
		return data, nil
	}
	data, err := io.ReadAll(io.LimitReader(file, maxPrompt))
	if err != nil {
		return nil, err
	}
	p.keep(name, data, info.ModTime())
	return data, nil
}

func (p *Prompts) find(name string, modified time.Time) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.kept[name]; k != nil && k.modified.Equal(modified) {
		k.used = time.Now()
		return k.data
	}
	return nil
}

// keep remembers a file, and forgets those that were used longest ago if there are too many.
func (p *Prompts) keep(name string, data []byte, modified time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(name)
	for p.size+len(data) > maxPrompts {
		oldest := ""
		for n, k := range p.kept {
			if oldest == "" || k.used.Before(p.kept[oldest].used) {
				oldest = n
			}
		}
		p.forget(oldest)
	}
	p.kept[name] = &keptPrompt{data, modified, time.Now()}
	p.size += len(data)
}

func (p *Prompts) forget(name string) {
	if k := p.kept[name]; k != nil {
		p.size -= len(k.data)
		delete(p.kept, name)
	}
}

// play carries out P.
func (d *Dispatcher) play(c *Command) (string, error) {
	repeat := 1
	if c.Modifiers != "" {
		n, err := strconv.ParseInt(c.Modifiers, 10, 32)
		if err != nil {
			return "", codeCount
		}
		repeat = int(n)
	}
	key, name, codecs := c.key(), c.Words[2], c.Words[3]
	if repeat == 0 {
		return "0", d.calls.StopPair(&key)
	}
	err := d.calls.PlayToPair(&key, func(listed []uint8, packet time.Duration) (*media.Prompt, error) {
		if !strings.EqualFold(codecs, "session") {
			listed, packet = payloadTypes(codecs), 0
		} else if listed == nil {
			return nil, codeModifier
		}
		return d.prompt(name, listed, packet, repeat)
	}, func() { d.counters.add(countPlayersDestroyed, 1) })
	var is code
	switch {
	case err == nil:
		d.counters.add(countPlayersCreated, 1)
		return "0", nil
	case errors.As(err, &is) || codeOf(err) == codeSession:
		return "", err
	}
	d.log.Warn("a prompt cannot be played", "call", c.CallID, "prompt", name, "codecs", codecs, "err", err)
	return "", codePlayer
}

// prompt finds the first of some payload types that there is a file for.
func (d *Dispatcher) prompt(name string, listed []uint8, packet time.Duration, repeat int) (*media.Prompt, error) {
	if d.cfg.Prompts == nil {
		return nil, errors.New("there is no directory of prompts; name one with --rtpproxy-prompt-dir")
	}
	err := errors.New("no payload type is listed")
	for _, pt := range listed {
		var data []byte
		if data, err = d.cfg.Prompts.load(name, pt); err != nil {
			continue
		}
		var p *media.Prompt
		if p, err = media.NewPrompt(pt, data, packet, repeat); err == nil {
			return p, nil
		}
	}
	return nil, err
}
