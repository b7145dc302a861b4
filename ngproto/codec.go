package ngproto

import (
	"strconv"
	"strings"
)

// ParseCodec reads NAME[/clock[/channels[/bitrate[/ptime[/fmtp[/options]]]]]]. "--" stands for "=" and ".." for a blank,
// for languages in which these would end the word. A number that cannot be read counts as left out.
func ParseCodec(text string) Codec {
	text = unescape(text)
	part := strings.SplitN(text, "/", 7)
	c := Codec{Text: text, Name: part[0], PayloadType: -1}
	if n, err := strconv.ParseUint(c.Name, 10, 7); err == nil {
		c.PayloadType = int(n)
	}
	for i, to := range []*int{&c.ClockRate, &c.Channels, &c.Bitrate, &c.Ptime} {
		if i+1 < len(part) {
			n, _ := strconv.ParseUint(part[i+1], 10, 31)
			*to = int(n)
		}
	}
	if len(part) > 5 {
		c.Format = part[5]
	}
	if len(part) > 6 {
		c.Options = part[6]
	}
	return c
}

// unescape resolves "--" to "=" and ".." to a blank.
func unescape(s string) string {
	if !strings.Contains(s, "--") && !strings.Contains(s, "..") {
		return s
	}
	return strings.NewReplacer("--", "=", "..", " ").Replace(s)
}

// codecLists names the lists of the codec dictionary. Those marked limited are ignored, without a word, outside the
// commands that make an offer or encode media.
var codecLists = map[string]struct {
	list    func(*Codecs) *[]Codec
	limited bool
}{
	"strip":     {func(c *Codecs) *[]Codec { return &c.Strip }, false},
	"ignore":    {func(c *Codecs) *[]Codec { return &c.Ignore }, false},
	"except":    {func(c *Codecs) *[]Codec { return &c.Except }, false},
	"offer":     {func(c *Codecs) *[]Codec { return &c.Offer }, false},
	"transcode": {func(c *Codecs) *[]Codec { return &c.Transcode }, true},
	"mask":      {func(c *Codecs) *[]Codec { return &c.Mask }, true},
	"consume":   {func(c *Codecs) *[]Codec { return &c.Consume }, true},
	"accept":    {func(c *Codecs) *[]Codec { return &c.Accept }, true},
	"set":       {func(c *Codecs) *[]Codec { return &c.Set }, true},
}

// codec adds to one of the codec lists.
func (r *reader) codec(list string, specs ...string) {
	l, ok := codecLists[list]
	if !ok {
		r.unknown("codec/" + list)
		return
	}
	if l.limited && !r.is(Offer, Publish, SubscribeRequest, PlayMedia) {
		return
	}
	to := l.list(&r.Codec)
	for _, spec := range specs {
		if spec != "" {
			*to = append(*to, ParseCodec(spec))
		}
	}
}

func codecKey(r *reader, v Value) error {
	if v.Kind() != KindDict {
		r.bad("codec", v)
	}
	for _, e := range v.Dict() {
		r.codec(e.Key, e.Value.Strings()...)
	}
	return nil
}
