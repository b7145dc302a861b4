package call

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
	"github.com/weir-media/weir/srtp"
)

// filler gives every field of a value something of its own, those too that nobody but this package sees.
type filler struct {
	*testing.T
	n           int
	legs        []*media.Leg
	certificate *dtls.Certificate
}

func (f *filler) fill(v reflect.Value) {
	f.Helper()
	if !v.CanSet() {
		v = reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem()
	}
	f.n++
	switch p := v.Addr().Interface().(type) {
	case **media.Leg:
		*p = f.legs[f.n%len(f.legs)]
		return
	case **media.Link, *map[Ref][]hearer: // made anew
		return
	case *Tap: // ends with the process
		return
	case **dtls.Certificate:
		*p = f.certificate
		return
	case *dtls.Fingerprint:
		*p = f.certificate.Fingerprint(dtls.SHA256)
		return
	case *netip.Addr:
		*p = netip.AddrFrom4([4]byte{10, 0, byte(f.n >> 8), byte(f.n)})
		return
	case *netip.AddrPort:
		*p = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(f.n >> 8), byte(f.n)}), uint16(f.n))
		return
	case *time.Time:
		*p = time.Unix(int64(f.n), 1000).UTC()
		return
	case *sdp.Bandwidth:
		p.Set(sdp.BandwidthAS, uint64(f.n))
		p.Set(sdp.BandwidthRR, 0)
		return
	case *srtp.Suite:
		*p = srtp.SuiteByName("AES_CM_128_HMAC_SHA1_80")
		return
	case *preferences:
		return // of the configuration
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(1 + f.n%100))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(1 + f.n%100))
	case reflect.String:
		v.SetString(fmt.Sprint("text ", f.n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key)
		f.fill(value)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	default:
		f.Fatalf("a document could not hold a %s", v.Type())
	}
}

// fullPlan returns a plan without an empty field, and a manager for it.
func fullPlan(t *testing.T) (*Manager, *Plan) {
	t.Helper()
	plane, err := media.New(media.Config{Workers: 1, Interfaces: []media.Interface{
		{Name: "lo", Addresses: []media.Address{{IP: netip.MustParseAddr("127.0.0.1"), PortMin: 38000, PortMax: 38099}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	m := NewManager(Config{Plane: plane, MaxSessions: -1})
	t.Cleanup(func() {
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &filler{T: t}
	for range 3 {
		rtp, rtcp, err := plane.OpenPair("", 4, "")
		if err != nil {
			t.Fatal(err)
		}
		f.legs = append(f.legs, rtp, rtcp)
	}
	if f.certificate, err = dtls.NewCertificate(dtls.CertificateConfig{}); err != nil {
		t.Fatal(err)
	}
	p := new(Plan)
	f.fill(reflect.ValueOf(p).Elem())
	for _, party := range p.Parties {
		said := party.Description.Sessions
		// One section is that of the description, one stands in a session of it, and the rest stands elsewhere.
		party.Media[0].session, party.Media[0].Section = said[1], said[1].Media[1]
		party.Media[1].session.Media = nil
		for i, m := range party.Media {
			m.Carrier = i
		}
	}
	return m, p
}

func TestADocumentHoldsEveryFieldOfAPlan(t *testing.T) {
	m, want := fullPlan(t)
	c := newCall(m, "a call")
	c.plan = want
	doc := c.document()
	text, err := doc.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if doc, err = DecodeDocument(text); err != nil {
		t.Fatal(err)
	}
	r := &restorer{call: c, legs: make(map[netip.AddrPort]*media.Leg)}
	want.legs(func(leg *media.Leg) { r.legs[leg.Local()] = leg })
	got := r.plan(doc)
	if r.err != nil {
		t.Fatal(r.err)
	}
	want.ranks = got.ranks
	for i, party := range want.Parties {
		for j, m := range party.Media {
			have := &got.Parties[i].Media[j].Security.DTLS
			if have.Certificate == nil || have.Certificate.Fingerprint(dtls.SHA256) != m.Security.DTLS.Certificate.Fingerprint(dtls.SHA256) {
				t.Error("the certificate is another one")
			}
			have.Certificate = m.Security.DTLS.Certificate
		}
	}
	if first := got.Parties[0]; first.Media[0].Section != first.Description.Sessions[1].Media[1] {
		t.Error("a section is not that of the description any more")
	}
	differences(t, "plan", reflect.ValueOf(got).Elem(), reflect.ValueOf(want).Elem())
}

// differences names the fields that are not equal.
func differences(t *testing.T, name string, got, want reflect.Value) {
	t.Helper()
	if got.Type() != want.Type() {
		t.Fatalf("%s is a %s", name, got.Type())
	}
	switch {
	case got.Type() == reflect.TypeFor[*media.Leg]():
		if got.Pointer() != want.Pointer() {
			t.Errorf("%s: another leg", name)
		}
	case got.Type() == reflect.TypeFor[*dtls.Certificate]():
	case got.Kind() == reflect.Pointer:
		if got.IsNil() != want.IsNil() {
			t.Errorf("%s: got %v, want %v", name, got, want)
		} else if !got.IsNil() {
			differences(t, name, got.Elem(), want.Elem())
		}
	case got.Kind() == reflect.Struct && got.Type().PkgPath() != "net/netip" && got.Type().PkgPath() != "time":
		for i := range got.NumField() {
			differences(t, name+"."+got.Type().Field(i).Name, got.Field(i), want.Field(i))
		}
	case got.Kind() == reflect.Slice:
		if got.Len() != want.Len() {
			t.Errorf("%s: %d entries, want %d", name, got.Len(), want.Len())
			return
		}
		for i := range got.Len() {
			differences(t, fmt.Sprintf("%s[%d]", name, i), got.Index(i), want.Index(i))
		}
	default:
		if a, b := fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want); a != b {
			t.Errorf("%s: got %s, want %s", name, a, b)
		}
	}
}

func TestADocumentHoldsWhatACallHasBesideItsPlan(t *testing.T) {
	// Not in it: serial, language, manager, mu, gone, timer, captures, dialler, revived, awaiting and heardUntil, which are of the process, and
	// foreign and keyspace, since a foreign call has no document.
	if n := reflect.TypeFor[Call]().NumField(); n != 25 {
		t.Errorf("a call has %d fields, not 25: see to it that the document has the new ones, and mend the number", n)
	}
	m, plan := fullPlan(t)
	c := newCall(m, "a call")
	c.plan = plan
	at := time.Now().UTC()
	c.aliases, c.created, c.lastSignal, c.deleteAt = []string{"merged"}, at, at, at
	c.converts, c.faxed, c.client, c.callback = true, true, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	c.term = 7
	doc := c.document()
	if !slices.Equal(doc.Aliases, c.aliases) || doc.Created != at || doc.LastSignal != at || doc.DeleteAt != at || !doc.Converts || !doc.Faxed ||
		doc.Term != 7 || doc.Client != c.client || doc.Callback != c.callback {
		t.Errorf("the document has %+v", doc)
	}
}

// TestDocumentsOfThisVersionCanBeRead holds the format: a document that was written once must mean the same ever after. A change
// that it does not survive takes another DocumentVersion.
func TestDocumentsOfThisVersionCanBeRead(t *testing.T) {
	path := filepath.Join("testdata", fmt.Sprintf("document-%d.json", DocumentVersion))
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := DecodeDocument(golden)
	if err != nil {
		t.Fatal(err)
	}
	text, err := doc.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(text), strings.TrimSpace(string(golden)); got != want {
		t.Errorf("%s is written as\n%s", path, got)
	}
}

func TestDocumentsThatContradictThemselvesAreRefused(t *testing.T) {
	m, p := fullPlan(t)
	for _, c := range []struct {
		name   string
		change func(*Document)
		want   string
	}{
		{"another version", func(d *Document) { d.Version++ }, "version 2"},
		{"a leg without a port", func(d *Document) { d.Parties[0].Media[0].RTP.Leg = netip.MustParseAddrPort("127.0.0.1:9") }, "no port"},
		{"a session that is not there", func(d *Document) { d.Parties[0].Media[0].Section.Session = 9 }, "no session"},
		{"a section that is not there", func(d *Document) { d.Parties[0].Media[0].Section.Media = 9 }, "no section"},
		{"a negative section", func(d *Document) { d.Parties[0].Media[0].Section.Media = -1 }, "no section"},
		{"a section without a session", func(d *Document) {
			d.Parties[0].Media[0].Section = sectionDoc{Own: &sdp.Media{}}
		}, "in no session"},
		{"a carrier that is not there", func(d *Document) { d.Parties[0].Media[0].Carrier = 7 }, "number 7"},
		{"half a pair of legs", func(d *Document) { d.Parties[0].Media[0].Twin.RTP = netip.AddrPort{} }, "pair"},
		{"nobody", func(d *Document) { d.Parties, d.Early = nil, nil }, "nobody"},
	} {
		t.Run(c.name, func(t *testing.T) {
			call := newCall(m, "a call")
			call.plan = p
			doc := call.document()
			c.change(doc)
			text, err := doc.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if doc, err = DecodeDocument(text); err == nil {
				fresh := newCall(m, "a call")
				r := &restorer{call: fresh, legs: make(map[netip.AddrPort]*media.Leg)}
				p.legs(func(leg *media.Leg) { r.legs[leg.Local()] = leg })
				if r.plan(doc); r.err == nil && len(doc.Parties) == 0 {
					r.err = fresh.restore(doc)
				}
				err = r.err
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something about %q", err, c.want)
			}
		})
	}
}

func TestTextsInAnyEncodingSurvive(t *testing.T) {
	for _, tag := range []string{"plain", "M\xfcller", "\xff\xfe", `a\ufffd`, `a\\ufffd`, "�", "ü", "\xc3"} {
		doc := &Document{Version: DocumentVersion, CallID: tag, Parties: []partyDoc{{Tag: tag, Likeness: map[AliasKey]string{1: tag}}}}
		text, err := doc.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeDocument(text)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, doc) {
			t.Errorf("%q becomes %q by %s", tag, got.CallID, text)
		}
	}
}

// FuzzDecodeDocument demands that any text is refused, or can be written again and read as the same. What it would make is looked
// at, too.
func FuzzDecodeDocument(f *testing.F) {
	f.Add([]byte(`{"version":1,"call_id":"a","created":"2026-11-27T12:00:00Z","last_id":1,"parties":[{"id":1,"tag":"b","description":` +
		`{"Sessions":[{"Name":"-","Media":[{"Type":"audio","Port":4000,"Protocol":"RTP/AVP","Codecs":[{"Name":"PCMU"}]}]}]},"media":` +
		`[{"section":{"session":1,"media":1},"rtp":{"leg":"127.0.0.1:30000"},"security":{"receive":{"Suite":"AES_CM_128_HMAC_SHA1_80"}}}]}],` +
		`"ports":[{"local":"127.0.0.1:30000","rtp":{"peer":{"source":"127.0.0.1:4000"}}}]}`))
	f.Add([]byte(`{"version":1,"latin1":true,"call_id":"\u00fc"}`))
	m := &Manager{}
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := DecodeDocument(text)
		if err != nil {
			return
		}
		r := &restorer{call: newCall(m, doc.CallID), legs: make(map[netip.AddrPort]*media.Leg)}
		r.plan(doc)
		first, err := doc.Encode()
		if err != nil {
			return // a number that JSON reads and does not write, such as a year beyond 9999
		}
		again, err := DecodeDocument(first)
		if err != nil {
			t.Fatalf("%v in\n%s", err, first)
		}
		if second, err := again.Encode(); err != nil || string(second) != string(first) {
			t.Errorf("%v\n%s\nbecomes\n%s", err, first, second)
		}
	})
}
