package daemon

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/ng"
	"github.com/weir-media/weir/ngproto"
)

// describeTranscoding reads the sections that --transcode-config names.
func (o *Options) describeTranscoding(file *configFile) error {
	if o.TranscodeConfig == "" {
		return nil
	}
	for _, section := range file.names {
		if !strings.HasPrefix(section, o.TranscodeConfig+"-") {
			continue
		}
		p, err := transcodingSection(file.sections[section])
		if err != nil {
			return fmt.Errorf("%s section [%s]: %w", file.path, section, err)
		}
		if p.Rank != 0 {
			o.preferences = append(o.preferences, p)
		} else {
			o.idleSections = append(o.idleSections, section)
		}
	}
	return nil
}

// transcodingSection reads how well one codec is converted to another. The verdicts that hand the audio to somebody else are read
// for the sake of files that have them; alone they give no rank.
func transcodingSection(settings []setting) (p call.CodecPreference, err error) {
	var source, destination, verdict bool
	for _, s := range settings {
		switch s.key {
		case "source":
			p.Source, source = ng.CodecSpec(ngproto.ParseCodec(s.value)), s.value != ""
		case "destination":
			p.Destination, destination = ng.CodecSpec(ngproto.ParseCodec(s.value)), s.value != ""
		case "preference":
			if p.Rank, err = strconv.Atoi(s.value); err != nil {
				return p, fmt.Errorf("line %d: preference = %s is no number", s.line, s.value)
			}
			verdict = verdict || p.Rank != 0
		case "transform", "codec-chain":
			verdict = true
		case "local-interface", "remote-interface", "address-family":
		default:
			return p, fmt.Errorf("line %d: the key %s is none of source, destination, preference, transform, local-interface, "+
				"remote-interface, address-family, codec-chain", s.line, s.key)
		}
	}
	switch {
	case !source || !destination:
		return p, errors.New("it takes a source and a destination codec")
	case !verdict:
		return p, errors.New("it has no verdict: write preference = NUMBER, other than 0")
	}
	return p, nil
}
