package daemon

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/weir-media/weir/control/ng"
	"github.com/weir-media/weir/media"
)

// qualityOptions say how the quality of calls is judged and told.
type qualityOptions struct {
	MOS          []string
	Measure      bool
	Reporting    string
	RTCPInterval int // ms
}

func (o *qualityOptions) register(fs *pflag.FlagSet) {
	fs.StringArrayVar(&o.MOS, "mos", nil,
		"CQ (round trips count) or LQ, and a formula: G.107, G.107.2 (fullband codecs apart) or legacy; repeatable (default CQ and G.107)")
	fs.BoolVar(&o.Measure, "measure-rtp", false, "with --mos=LQ, judge streams by what arrives here where no RTCP tells how their hearers have them")
	fs.StringVar(&o.Reporting, "ssrc-reporting", "full", "where replies have the figures of each SSRC: inline, global, full (both) or none")
	fs.IntVar(&o.RTCPInterval, "rtcp-interval", int(media.DefaultRTCPInterval.Milliseconds()),
		"milliseconds between RTCP reports made here; up to a second is added by chance")
}

// mos reads the words of --mos.
func (o *qualityOptions) mos() (m media.MOS, err error) {
	var kind, formula string
	for _, text := range o.MOS {
		for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ';' || r == ',' || r == ' ' }) {
			which, before := "formula", &formula
			switch strings.ToLower(word) {
			case "cq":
				which, before = "kind", &kind
			case "lq":
				which, before, m.Listening = "kind", &kind, true
			case "g.107", "g107":
				m.Formula = media.FormulaG107
			case "g.107.2", "g107.2", "g.1072", "g1072":
				m.Formula = media.FormulaG1072
			case "legacy":
				m.Formula = media.FormulaLegacy
			default:
				return m, fmt.Errorf("--mos %q is none of CQ, LQ, G.107, G.107.2, legacy", word)
			}
			if *before != "" && *before != word {
				return m, fmt.Errorf("--mos names %s and %s: one %s only", *before, word, which)
			}
			*before = word
		}
	}
	return m, nil
}

// reporting reads the word of --ssrc-reporting.
func (o *qualityOptions) reporting() (ng.SSRCReporting, error) {
	switch o.Reporting {
	case "full":
		return ng.SSRCFull, nil
	case "inline":
		return ng.SSRCInline, nil
	case "global":
		return ng.SSRCGlobal, nil
	case "none":
		return ng.SSRCNone, nil
	}
	return 0, fmt.Errorf("--ssrc-reporting %q is none of full, inline, global, none", o.Reporting)
}

func (o *qualityOptions) check() error {
	if _, err := o.mos(); err != nil {
		return err
	}
	_, err := o.reporting()
	return err
}

// interval is the default for what makes no sense.
func (o *qualityOptions) interval() time.Duration {
	return time.Duration(max(0, o.RTCPInterval)) * time.Millisecond
}
