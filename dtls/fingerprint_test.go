package dtls

import (
	"errors"
	"strings"
	"testing"
)

// abc is the text whose hashes FIPS 180-4 gives as examples.
var abc = []byte("abc")

const (
	abcSHA1   = "A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:50:C2:6C:9C:D0:D8:9D"
	abcSHA224 = "23:09:7D:22:34:05:D8:22:86:42:A4:77:BD:A2:55:B3:2A:AD:BC:E4:BD:A0:B3:F7:E3:6C:9D:A7"
	abcSHA256 = "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD"
	abcSHA384 = "CB:00:75:3F:45:A3:5E:8B:B5:A0:3D:69:9A:C6:50:07:27:2C:32:AB:0E:DE:D1:63:1A:8B:60:5A:43:FF:5B:ED:" +
		"80:86:07:2B:A1:E7:CC:23:58:BA:EC:A1:34:C8:25:A7"
	abcSHA512 = "DD:AF:35:A1:93:61:7A:BA:CC:41:73:49:AE:20:41:31:12:E6:FA:4E:89:A9:7E:A2:0A:9E:EE:E6:4B:55:D3:9A:" +
		"21:92:99:2A:27:4F:C1:A8:36:BA:3C:23:A3:FE:EB:BD:45:4D:44:23:64:3C:E8:0E:2A:9A:C9:4F:A5:4C:A4:9F"
)

func TestFingerprintOfEachHash(t *testing.T) {
	for _, c := range []struct {
		hash Hash
		want string
	}{
		{SHA1, "sha-1 " + abcSHA1},
		{SHA224, "sha-224 " + abcSHA224},
		{SHA256, "sha-256 " + abcSHA256},
		{SHA384, "sha-384 " + abcSHA384},
		{SHA512, "sha-512 " + abcSHA512},
	} {
		f := fingerprint(abc, c.hash)
		if f.String() != c.want {
			t.Errorf("%s: got %s, want %s", c.hash, f, c.want)
		}
		for _, text := range []string{c.want, strings.ToLower(c.want), strings.ToUpper(c.want), " " + c.want + "\r"} {
			if parsed, err := ParseFingerprint(text); err != nil || parsed != f {
				t.Errorf("%q: got %s and %v, want %s", text, parsed, err, f)
			}
		}
	}
	if f := fingerprint(abc, 9); f != (Fingerprint{}) || f.String() != "none " {
		t.Errorf("no hash gives %q", f)
	}
}

func TestParseFingerprintRefuses(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"nothing", ""},
		{"a hash without bytes", "sha-1"},
		{"too few bytes", "sha-1 A9:99"},
		{"too many bytes", "sha-1 " + abcSHA1 + ":00"},
		{"the bytes of another hash", "sha-256 " + abcSHA1},
		{"no hexadecimal digits", "sha-1 " + strings.Replace(abcSHA1, "A9", "G9", 1)},
		{"a missing digit", "sha-1 " + strings.Replace(abcSHA1, "A9", "A", 1)},
		{"two bytes in one", "sha-1 " + strings.Replace(abcSHA1, "A9", "A9A9", 1)},
		{"an empty byte", "sha-1 " + strings.Replace(abcSHA1, "A9", "", 1)},
	} {
		if f, err := ParseFingerprint(c.text); err == nil || errors.Is(err, ErrHash) {
			t.Errorf("%s: got %s and %v", c.name, f, err)
		}
	}
	if _, err := ParseFingerprint("md5 00:11"); !errors.Is(err, ErrHash) {
		t.Errorf("an unknown hash function gives %v", err)
	}
}

func TestParseHash(t *testing.T) {
	for text, want := range map[string]Hash{"SHA-256": SHA256, "sha256": SHA256, "Sha-1": SHA1, "SHA1": SHA1, "sha-512": SHA512, "sha-224": SHA224, "SHA384": SHA384} {
		if h, err := ParseHash(text); err != nil || h != want {
			t.Errorf("%s: got %s and %v", text, h, err)
		}
	}
	for _, text := range []string{"", "md5", "sha-3", "none", "sha-2566"} {
		if h, err := ParseHash(text); !errors.Is(err, ErrHash) {
			t.Errorf("%q: got %s and %v", text, h, err)
		}
	}
}

func TestMatch(t *testing.T) {
	other := []byte("xyz")
	for _, c := range []struct {
		name      string
		announced []Fingerprint
		ok        bool
	}{
		{"the only one", []Fingerprint{fingerprint(abc, SHA256)}, true},
		{"a weak one alone", []Fingerprint{fingerprint(abc, SHA1)}, true},
		{"one of two certificates", []Fingerprint{fingerprint(other, SHA256), fingerprint(abc, SHA256)}, true},
		{"two hashes of one certificate", []Fingerprint{fingerprint(abc, SHA1), fingerprint(abc, SHA512)}, true},
		{"another certificate", []Fingerprint{fingerprint(other, SHA256)}, false},
		{"only the weak one of two hashes", []Fingerprint{fingerprint(abc, SHA1), fingerprint(other, SHA256)}, false},
		{"none announced", nil, false},
		{"only an empty one", []Fingerprint{{}}, false},
	} {
		err := match(abc, c.announced)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrFingerprint) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	err := match(abc, []Fingerprint{fingerprint(other, SHA256)})
	if text := err.Error(); !strings.Contains(text, abcSHA256) || !strings.Contains(text, fingerprint(other, SHA256).Value()) {
		t.Errorf("the error does not name both: %s", text)
	}
}

func FuzzParseFingerprint(f *testing.F) {
	f.Add("sha-1 " + abcSHA1)
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := ParseFingerprint(text)
		if err != nil {
			return
		}
		if again, err := ParseFingerprint(parsed.String()); err != nil || again != parsed {
			t.Errorf("%q: printed as %q, read as %q and %v", text, parsed, again, err)
		}
	})
}
