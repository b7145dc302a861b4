package daemon

import (
	"testing"

	"github.com/weir-media/weir/media"
)

func TestWordsOfMOS(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  media.MOS
		ok    bool
	}{
		{nil, media.MOS{}, true},
		{[]string{"LQ"}, media.MOS{Listening: true}, true},
		{[]string{"lq", "g107.2"}, media.MOS{Listening: true, Formula: media.FormulaG1072}, true},
		{[]string{"CQ;legacy"}, media.MOS{Formula: media.FormulaLegacy}, true},
		{[]string{"G.107"}, media.MOS{}, true},
		{[]string{"CQ", "CQ"}, media.MOS{}, true},
		{[]string{"CQ", "LQ"}, media.MOS{}, false},
		{[]string{"legacy;G.107"}, media.MOS{}, false},
		{[]string{"good"}, media.MOS{}, false},
	} {
		o := qualityOptions{MOS: c.words}
		got, err := o.mos()
		if (err == nil) != c.ok || c.ok && got != c.want {
			t.Errorf("%q: %+v, %v", c.words, got, err)
		}
	}
}
