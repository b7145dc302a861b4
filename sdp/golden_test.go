package sdp

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	pion "github.com/pion/sdp/v3"
)

// golden is a text as received and the same description as printed, both with LF line endings.
type golden struct{ name, input, printed string }

func goldens(t testing.TB) []golden {
	t.Helper()
	paths, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	var all []golden
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		input, printed, ok := strings.Cut(string(text), "---- printed\n")
		if !ok {
			t.Fatalf("%s: no line \"---- printed\"", path)
		}
		all = append(all, golden{strings.TrimSuffix(filepath.Base(path), ".txt"), input, printed})
	}
	return all
}

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

func mustParse(t testing.TB, text string) *Description {
	t.Helper()
	d, err := Parse(text)
	if err != nil {
		t.Fatalf("parse: %v\n%s", err, text)
	}
	return d
}

func TestGoldenPairs(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			input := crlf(g.input)
			d := mustParse(t, input)
			if got := d.String(); got != crlf(g.printed) {
				t.Errorf("printed:\n%s\nwant:\n%s", got, g.printed)
			}
			if got := mustParse(t, g.input).String(); got != crlf(g.printed) {
				t.Errorf("with LF line endings printed:\n%s", got)
			}
			if again := mustParse(t, d.String()).String(); again != d.String() {
				t.Errorf("printed again:\n%s", again)
			}
			checkRoundTrip(t, Options{}, d)
		})
	}
}

func TestPrintedTextIsValidToAnotherParser(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			for part := range strings.SplitSeq(forOracle(g.printed), "v=0\n") {
				if part != "" {
					checkWithOracle(t, "v=0\n"+part)
				}
			}
		})
	}
}

// forOracle takes out what the other parser does not know although it is in use: user names with blanks, a second
// e= line, attributes without name, fax, protocols that have no name or no formats.
func forOracle(text string) string {
	return strings.NewReplacer("o=Jo Doe", "o=Jo", "e=b@example.com\n", "", "a=\n", "", "a=:odd\n", "",
		"m=image 4002 udptl", "m=application 4002 UDP", "m=application 0 * \n", "m=application 0 UDP x\n").Replace(text)
}

func checkWithOracle(t *testing.T, text string) {
	t.Helper()
	var oracle pion.SessionDescription
	if err := oracle.UnmarshalString(crlf(text)); err != nil {
		t.Fatalf("oracle refuses: %v\n%s", err, text)
	}
	media := mustParse(t, text).Media()
	if len(oracle.MediaDescriptions) != len(media) {
		t.Fatalf("oracle sees %d media sections, want %d", len(oracle.MediaDescriptions), len(media))
	}
	for i, m := range oracle.MediaDescriptions {
		if m.MediaName.Media != media[i].Type || m.MediaName.Port.Value != int(media[i].Port) {
			t.Errorf("oracle sees %s, want %s %d", m.MediaName, media[i].Type, media[i].Port)
		}
	}
}

// checkRoundTrip demands that parsing what is printed gives the description back, in the form printing gives it.
func checkRoundTrip(t *testing.T, o Options, d *Description) {
	t.Helper()
	before := d.Clone()
	printed := d.String()
	if !reflect.DeepEqual(d, before) {
		t.Fatal("printing changed the description")
	}
	got, err := o.Parse(printed)
	if err != nil {
		t.Fatalf("printed text does not parse: %v\n%s", err, printed)
	}
	for _, m := range got.Media() {
		m.Received = ""
	}
	if want := asPrinted(d); !reflect.DeepEqual(got, want) {
		t.Errorf("round trip changed the description:\n%s\nbecame\n%s\ngot  %s\nwant %s",
			printed, got, dump(got), dump(want))
	}
}

// asPrinted says in the terms of the types what printing does: what sections share moves into them, and rejected
// sections lose all but their place and name.
func asPrinted(d *Description) *Description {
	d = d.Clone()
	for _, s := range d.Sessions {
		if s.Timing == "" {
			s.Timing = "0 0"
		}
		for _, m := range s.Media {
			m.Received = ""
			asPrintedMedia(s, m)
		}
		s.Section = Section{Info: s.Info, Bandwidth: s.Bandwidth, Other: s.Other}
	}
	return d
}

func asPrintedMedia(s *Session, m *Media) {
	rtp := m.Protocol.IsRTP()
	if m.Rejected() {
		kept := &Media{
			Type: m.Type, Port: 0, PortCount: m.PortCount, Protocol: m.Protocol, Codecs: m.Codecs, Formats: m.Formats,
			Mid: m.Mid, Label: m.Label,
		}
		kept.Bandwidth = m.Bandwidth
		for i, c := range kept.Codecs {
			kept.Codecs[i], _ = StaticCodec(c.PayloadType)
		}
		if conn := m.ConnOf(s); conn != nil {
			kept.Conn = &Connection{Addr: mustAddr("0.0.0.0")}
			if conn.Addr.Is6() {
				kept.Conn.Addr = mustAddr("::")
			}
		}
		if !rtp && m.Mid != "" {
			kept.Other = append(kept.Other, Attribute("mid:"+m.Mid))
		}
		if !rtp && m.Label != "" {
			kept.Other = append(kept.Other, Attribute("label:"+m.Label))
		}
		*m = *kept
		return
	}
	if !rtp {
		own := m.Clone()
		inherit := func(missing bool, name, value string) {
			if missing && value != "" {
				m.Other = append(m.Other, Attribute(name+value))
			}
		}
		inherit(!own.Direction.Given(), "", s.Direction.String())
		inherit(own.Setup == "", "setup:", string(s.Setup))
		for _, f := range s.Fingerprints {
			inherit(len(own.Fingerprints) == 0, "fingerprint:", f.Hash+" "+f.Value)
		}
		inherit(own.TLSID == "", "tls-id:", s.TLSID)
		inherit(!own.ICE.Given(), "ice-ufrag:", s.ICE.Ufrag)
		inherit(!own.ICE.Given(), "ice-pwd:", s.ICE.Pwd)
		inherit(own.ICE.Options == "", "ice-options:", s.ICE.Options)
		inherit(s.EndOfCandidates && !own.EndOfCandidates, "", "end-of-candidates")
	}
	m.Conn = m.ConnOf(s)
	m.Direction = m.DirectionOf(s)
	m.ICE = m.ICEOf(s)
	m.Setup = m.SetupOf(s)
	m.Fingerprints = m.FingerprintsOf(s)
	m.TLSID = m.TLSIDOf(s)
	m.EndOfCandidates = m.EndOfCandidatesOf(s)
	if rtp {
		m.ExtMaps, m.ExtMapAllowMixed = m.ExtMapsOf(s)
	}
}
