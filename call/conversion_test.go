package call_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/sdp"
)

// audio is a description with one audio section of these payload types.
func audio(types string, lines ...string) string {
	return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP " + types + "\r\n" +
		strings.Join(append(lines, ""), "\r\n")
}

// describeConversion writes one as "8 pass", "8>0 transcode", "101>97 renumber", "13 drop".
func describeConversion(c call.Conversion) string {
	kind := [...]string{call.Pass: "pass", call.Renumber: "renumber", call.Transcode: "transcode", call.Drop: "drop"}[c.Kind]
	if c.Kind == call.Pass && c.From.PayloadType == c.To.PayloadType || c.Kind == call.Drop {
		return fmt.Sprint(c.From.PayloadType, " ", kind)
	}
	text := fmt.Sprint(c.From.PayloadType, ">", c.To.PayloadType, " ", kind)
	if c.PTime != 0 || c.Bitrate != 0 || c.Options != "" {
		text += strings.TrimRight(fmt.Sprintf(" %d/%d/%s", c.PTime, c.Bitrate, c.Options), "/")
	}
	return text
}

func TestThePlanSaysWhatIsConverted(t *testing.T) {
	const (
		event8  = "a=rtpmap:101 telephone-event/8000"
		event16 = "a=rtpmap:97 telephone-event/16000"
		wide    = "a=rtpmap:96 speex/16000"
	)
	pt := func(name string, clock, channels, bitrate int, options string) call.CodecSpec {
		return call.CodecSpec{Name: name, PayloadType: -1, ClockRate: clock, Channels: channels, Bitrate: bitrate, Options: options}
	}
	for _, c := range []struct {
		name          string
		codecs        call.Codecs // of the offer
		asymmetric    bool
		offer, answer string
		there, back   string
	}{
		{
			name: "nothing", offer: audio("8 0 101", event8), answer: audio("0 8 101", event8),
			there: "0 pass, 8 pass, 101 pass", back: "0 pass, 8 pass, 101 pass",
		},
		{
			name: "an added codec", codecs: call.Codecs{Transcode: named("G722")}, offer: audio("8"), answer: audio("9"),
			there: "8>9 transcode", back: "9>8 transcode",
		},
		{
			name: "an added codec beside one that passes", codecs: call.Codecs{Transcode: named("G722")}, offer: audio("8 0"), answer: audio("0 9"),
			there: "0 pass, 8>0 transcode", back: "0 pass, 9>0 transcode",
		},
		{
			name: "events of another clock rate", codecs: call.Codecs{Mask: named("PCMA"), Transcode: named("speex")},
			offer: audio("8 101", event8), answer: audio("96 97", wide, event16),
			there: "8>96 transcode, 101>97 renumber", back: "96>8 transcode, 97>101 renumber",
		},
		{
			name: "events that one side lacks", codecs: call.Codecs{Accept: named("telephone-event")},
			offer: audio("8 101", event8), answer: audio("8"),
			there: "8 pass, 101>8 transcode", back: "8>8 transcode",
		},
		{
			name: "everything by force", codecs: call.Codecs{Force: true}, offer: audio("8 101", event8), answer: audio("8 101", event8),
			there: "8>8 transcode, 101 pass", back: "8>8 transcode, 101 pass",
		},
		{
			name: "other packet times", codecs: call.Codecs{PTime: 40, PTimeReverse: 10}, offer: audio("8"), answer: audio("8"),
			there: "8>8 transcode 40/0", back: "8>8 transcode 10/0",
		},
		{
			name:   "how to encode",
			codecs: call.Codecs{Transcode: []call.CodecSpec{pt("opus", 48000, 2, 16000, "complexity=3")}, Set: []call.CodecSpec{pt("speex", 16000, 1, 9000, "")}},
			offer:  audio("96", wide), answer: audio("97", "a=rtpmap:97 opus/48000/2"),
			there: "96>97 transcode 0/16000/complexity=3", back: "97>96 transcode 0/9000",
		},
		{
			name: "an asymmetric answer", asymmetric: true, offer: audio("96", wide), answer: audio("111", "a=rtpmap:111 speex/16000"),
			there: "111 pass", back: "96 pass",
		},
		{
			name: "codecs of which one cannot be converted", codecs: call.Codecs{Transcode: named("PCMU")},
			offer: audio("96 8", "a=rtpmap:96 SIREN/16000"), answer: audio("96 0", "a=rtpmap:96 SIREN/16000"),
			there: "96 pass, 8>0 transcode", back: "96 pass, 0>8 transcode",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log strings.Builder
			m, _ := newManager(t, func(cfg *call.Config) { cfg.Log = slog.New(slog.NewTextHandler(&log, nil)) })
			req := request(t, "c1", "a", "", c.offer)
			req.Codecs = c.codecs
			must(t)(m.Offer(req))
			for range 2 {
				req = request(t, "c1", "a", "b", c.answer)
				req.Codecs.Asymmetric = c.asymmetric
				must(t)(m.Answer(req))
			}
			snap, err := m.Query("c1", "", "")
			if err != nil {
				t.Fatal(err)
			}
			a, b := snap.Parties[0].Party.Media[0], snap.Parties[1].Party.Media[0]
			var plan call.Plan
			list := func(source, sink *call.Media) string {
				var all []string
				for _, conv := range plan.Conversions(source, sink) {
					all = append(all, describeConversion(conv))
				}
				return strings.Join(all, ", ")
			}
			if got := list(a, b); got != c.there {
				t.Errorf("there: %s, want %s", got, c.there)
			}
			if got := list(b, a); got != c.back {
				t.Errorf("back: %s, want %s", got, c.back)
			}
			needed := strings.Contains(c.there+c.back, "transcode") || strings.Contains(c.there+c.back, "renumber")
			if n := strings.Count(log.String(), "would have to be converted"); needed && n != 1 || !needed && n != 0 {
				t.Errorf("the log says %d times that audio is not converted: %s", n, log.String())
			}
		})
	}
}

func TestRanksChooseWhatToConvertTo(t *testing.T) {
	rank := func(source, destination string, n int) call.CodecPreference {
		return call.CodecPreference{Source: named(source)[0], Destination: named(destination)[0], Rank: n}
	}
	m, _ := newManager(t, func(cfg *call.Config) {
		cfg.CodecPreferences = []call.CodecPreference{rank("G722", "PCMU", 2), rank("G722", "GSM", 3), rank("L16", "PCMA", -1)}
	})
	for _, c := range []struct{ name, answered, want string }{
		{"the highest", "G722", "3"},
		{"not the one below the others", "L16", "0"},
		{"the first when nothing ranks", "speex", "8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := request(t, c.name, "a", "", audio("8 0 3"))
			req.Codecs.Transcode = named("G722", "L16", "speex")
			list := must(t)(m.Offer(req)).Media()[0].Codecs
			i := slices.IndexFunc(list, func(codec sdp.Codec) bool { return codec.Name == c.answered })
			types := fmt.Sprint(list[i].PayloadType)
			got := must(t)(m.Answer(request(t, c.name, "a", "b", audio(types, "a=rtpmap:"+types+" "+list[i].String())))).Media()[0].Codecs
			if len(got) != 1 || fmt.Sprint(got[0].PayloadType) != c.want {
				t.Errorf("the offerer is told %v, want %s", got, c.want)
			}
		})
	}
}
