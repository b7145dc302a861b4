package sdp

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// Base64 of the bytes 0 to 29 and 0 to 31, the latter with padding.
const (
	key30 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
	key32 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func TestCryptoKeys(t *testing.T) {
	tests := []struct {
		name   string
		params string
		want   []CryptoKey
	}{
		{"a key alone", "inline:" + key30, []CryptoKey{{KeySalt: counting(30)}}},
		{"a key with padding", "inline:" + key32, []CryptoKey{{KeySalt: counting(32)}}},
		{
			"a key whose padding is missing", "inline:" + strings.TrimRight(key32, "="),
			[]CryptoKey{{KeySalt: counting(32)}},
		},
		{"a key with lifetime", "inline:" + key30 + "|2^31", []CryptoKey{{KeySalt: counting(30), Lifetime: "2^31"}}},
		{"a key with MKI", "inline:" + key30 + "|1:4", []CryptoKey{{KeySalt: counting(30), MKI: []byte{0, 0, 0, 1}}}},
		{
			"a key with lifetime and MKI", "inline:" + key30 + "|2^20|258:2",
			[]CryptoKey{{KeySalt: counting(30), Lifetime: "2^20", MKI: []byte{1, 2}}},
		},
		{"several keys", "inline:" + key30 + "|1:1;inline:" + key32 + "|2:1", []CryptoKey{
			{KeySalt: counting(30), MKI: []byte{1}}, {KeySalt: counting(32), MKI: []byte{2}},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Crypto{Tag: 1, KeyParams: test.params}.Keys()
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %v and %v, want %v", got, err, test.want)
			}
			again, err := Crypto{KeyParams: FormatKeys(got, false)}.Keys()
			if err != nil || !reflect.DeepEqual(again, test.want) {
				t.Errorf("after formatting got %v and %v", again, err)
			}
		})
	}
}

func TestFormatKeysPadsOnDemand(t *testing.T) {
	keys := []CryptoKey{{KeySalt: counting(32), Lifetime: "2^31", MKI: []byte{0, 9}}}
	if got, want := FormatKeys(keys, true), "inline:"+key32+"|2^31|9:2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := FormatKeys(keys, false), "inline:"+key32[:43]+"|2^31|9:2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCryptoKeyErrors(t *testing.T) {
	for params, want := range map[string]string{
		"":                            "key method",
		"prompt:x":                    "key method",
		"inline:???":                  "not base64",
		"inline:" + key30 + "|1:0":    "MKI length",
		"inline:" + key30 + "|1:129":  "MKI length",
		"inline:" + key30 + "|2^31|1": "MKI length",
		"inline:" + key30 + "|256:1":  "MKI value",
		"inline:" + key30 + "|-1:1":   "MKI value",
		"inline:" + key30 + "|:1":     "MKI value",
		"inline:" + key30 + ";":       "key method",
		"inline:" + key30 + "|" + nines(400) + ":128": "MKI value",
	} {
		keys, err := Crypto{Tag: 7, KeyParams: params}.Keys()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "crypto tag 7") {
			t.Errorf("%q: got %v and %v, want %q", params, keys, err, want)
		}
	}
}

func nines(digits int) string { return strings.Repeat("9", digits) }

func TestLongestMKI(t *testing.T) {
	mki := bytes.Repeat([]byte{0xff}, maxMKI)
	params := FormatKeys([]CryptoKey{{KeySalt: counting(30), MKI: mki}}, false)
	keys, err := Crypto{KeyParams: params}.Keys()
	if err != nil || !bytes.Equal(keys[0].MKI, mki) {
		t.Errorf("got %v and %v", keys, err)
	}
}
