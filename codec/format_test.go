package codec_test

import (
	"testing"

	"github.com/weir-media/weir/codec"
)

func format(name string, clock int, params string) codec.Format {
	return codec.Format{Name: name, ClockRate: clock, Channels: 1, Params: params}
}

func TestFormatsAreCompared(t *testing.T) {
	amr := func(params string) codec.Format { return format("AMR", 8000, params) }
	for _, c := range []struct {
		name        string
		first, then codec.Format
		want        codec.Match
	}{
		{"names without case", format("pcmu", 8000, ""), format("PCMU", 8000, ""), codec.Same},
		{"another clock rate", format("L16", 16000, ""), format("L16", 8000, ""), codec.Different},
		{"parameters without a say", format("G729", 8000, "annexb=yes"), format("G729", 8000, "annexb=no"), codec.Same},
		{"parameters of an unknown codec", format("H264", 90000, "a=1"), format("H264", 90000, ""), codec.Same},
		{"parameters nobody understands", format("GSM", 8000, "x=1"), format("GSM", 8000, ""), codec.Different},
		{"iLBC, mode 30 said and not said", format("iLBC", 8000, "mode=30"), format("iLBC", 8000, ""), codec.Same},
		{"iLBC, the other mode", format("iLBC", 8000, ""), format("iLBC", 8000, "mode=20"), codec.Compatible},
		{"AMR, framing said and not said", amr("octet-align=0"), amr(""), codec.Same},
		{"AMR, other framing", amr("octet-align=1"), amr(""), codec.Different},
		{"AMR, order, blanks and idle words", amr("mode-set=2,1; octet-align=1"), amr("octet-align=1;mode-set=1, 2;max-red=0"), codec.Same},
		{"AMR, fewer modes", amr(""), amr("mode-set=7"), codec.Within},
		{"AMR, more modes", amr("mode-set=7"), amr(""), codec.Compatible},
		{"AMR, other modes", amr("mode-set=1,2"), amr("mode-set=2,3"), codec.Compatible},
		{"AMR, the same modes under another rule", amr("mode-set=1"), amr("mode-set=1;mode-change-period=2"), codec.Within},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.first.Compare(c.then); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
	if full, annexA := format("G729", 8000, ""), format("G729a", 8000, ""); full.Compare(annexA) != codec.Different || !full.AnsweredBy(annexA) {
		t.Error("G729a is another format than G729, and an answer to it")
	}
	mono := format("opus", 48000, "")
	if stereo := (codec.Format{Name: "opus", ClockRate: 48000, Channels: 2}); stereo.Compare(mono) != codec.Different || !stereo.AnsweredBy(mono) {
		t.Error("opus/48000 is another format than opus/48000/2, and an answer to it")
	}
}

func TestParametersArePrinted(t *testing.T) {
	for _, c := range []struct{ name, params, want string }{
		{"opus", "minptime=10;useinbandfec=1", "useinbandfec=1; minptime=10"},
		{"OPUS", " maxaveragebitrate=64000;stereo=1", "stereo=1; maxaveragebitrate=64000"},
		{"opus", "x-own=7;cbr=1;flag", "cbr=1; x-own=7; flag"},
		{"opus", "", ""},
		{"AMR", "mode-set=1;  octet-align=1", "mode-set=1;  octet-align=1"},
	} {
		f := format(c.name, 48000, c.params)
		if got := f.Printed(); got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.name, c.params, got, c.want)
		}
	}
}

func TestReplyOfOpus(t *testing.T) {
	for _, c := range []struct {
		offered  string
		channels int
		want     string
	}{
		{"", 1, "stereo=0; useinbandfec=1"},
		{"usedtx=1;maxaveragebitrate=64000", 1, "stereo=0; useinbandfec=1"},
		{"stereo=1", 1, "stereo=0; sprop-stereo=1; useinbandfec=1"},
		{"", 2, "stereo=1; useinbandfec=1"},
	} {
		if got := format("opus", 48000, c.offered).Reply(c.channels); got != c.want {
			t.Errorf("%q for %d channels: got %q, want %q", c.offered, c.channels, got, c.want)
		}
	}
	if got := format("AMR", 8000, "octet-align=1").Reply(1); got != "octet-align=1" {
		t.Errorf("AMR: got %q", got)
	}
}

func TestStaticTypes(t *testing.T) {
	for _, c := range []struct {
		name            string
		clock, channels int
		want            int // -1: none
	}{{"pcma", 8000, 1, 8}, {"PCMU", 16000, 1, -1}, {"L16", 44100, 1, 10}, {"opus", 48000, 2, -1}} {
		pt, ok := codec.Find(c.name).StaticType(c.clock, c.channels)
		if got := int(pt); ok != (c.want >= 0) || ok && got != c.want {
			t.Errorf("%s/%d/%d: got %d, %v", c.name, c.clock, c.channels, got, ok)
		}
	}
	if codec.Find("EVS") != nil || codec.Convertible("telephone-event") || !codec.Convertible("amr-wb") || !codec.Supplemental("cn") {
		t.Error("what is known of EVS, telephone-event, AMR-WB and CN is not as documented")
	}
}

// FuzzParams: any parameters can be compared and printed, and printing is stable.
func FuzzParams(f *testing.F) {
	f.Add("stereo=1; useinbandfec=1", "mode-set=1,2;octet-align")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, name := range []string{"opus", "AMR", "iLBC", "GSM"} {
			x, y := format(name, 8000, a), format(name, 8000, b)
			if x.Compare(x) != codec.Same {
				t.Fatalf("%s %q is not the same as itself", name, a)
			}
			x.Compare(y)
			once := x.Printed()
			if x.Params = once; x.Printed() != once {
				t.Fatalf("%s %q: printed again it is %q", name, once, x.Printed())
			}
		}
	})
}
