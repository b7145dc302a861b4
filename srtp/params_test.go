package srtp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestSuites(t *testing.T) {
	for i, want := range []struct {
		name               string
		key, salt          int
		tag, rtcpTag, text int // text is the length of key and salt in base64 without padding
		profile            uint16
	}{
		{"AEAD_AES_256_GCM", 32, 12, 16, 16, 59, 8},
		{"AEAD_AES_128_GCM", 16, 12, 16, 16, 38, 7},
		{"AES_256_CM_HMAC_SHA1_80", 32, 14, 10, 10, 62, 0},
		{"AES_256_CM_HMAC_SHA1_32", 32, 14, 4, 10, 62, 0},
		{"AES_192_CM_HMAC_SHA1_80", 24, 14, 10, 10, 51, 0},
		{"AES_192_CM_HMAC_SHA1_32", 24, 14, 4, 10, 51, 0},
		{"AES_CM_128_HMAC_SHA1_80", 16, 14, 10, 10, 40, 1},
		{"AES_CM_128_HMAC_SHA1_32", 16, 14, 4, 10, 40, 2},
		{"F8_128_HMAC_SHA1_80", 16, 14, 10, 10, 40, 0},
		{"F8_128_HMAC_SHA1_32", 16, 14, 4, 10, 40, 0},
		{"NULL_HMAC_SHA1_80", 16, 14, 10, 10, 40, 5},
		{"NULL_HMAC_SHA1_32", 16, 14, 4, 10, 40, 6},
	} {
		s := Suites()[i]
		if s.String() != want.name || s.KeyLen() != want.key || s.SaltLen() != want.salt || s.TagLen() != want.tag ||
			s.RTCPTagLen() != want.rtcpTag || s.Profile() != want.profile {
			t.Errorf("suite %d is %v with key %d, salt %d, tags %d and %d, profile %d, want %+v", i, s, s.KeyLen(), s.SaltLen(),
				s.TagLen(), s.RTCPTagLen(), s.Profile(), want)
		}
		if got := SuiteByName(strings.ToLower(want.name)); got != s {
			t.Errorf("%s is %v by name", want.name, got)
		}
		if got := SuiteByProfile(want.profile); want.profile != 0 && got != s {
			t.Errorf("%s is %v by profile", want.name, got)
		}
		if text := base64.RawStdEncoding.EncodeToString(Generate(s).KeySalt()); len(text) != want.text {
			t.Errorf("%s has %d characters of key, want %d", want.name, len(text), want.text)
		}
	}
	if n := len(Suites()); n != 12 {
		t.Errorf("%d suites", n)
	}
	for _, s := range []Suite{NoSuite, suiteCount, SuiteByName(""), SuiteByName("AES_CM_128"), SuiteByProfile(0), SuiteByProfile(3)} {
		if s.Valid() || s.String() != "none" || s.KeyLen()+s.SaltLen()+s.TagLen()+s.RTCPTagLen()+int(s.Profile()) != 0 {
			t.Errorf("suite %d is one", s)
		}
	}
}

func TestParams(t *testing.T) {
	a, b := Generate(AES192CM80), Generate(AES192CM80)
	if a.Equal(b) || bytes.Equal(a.Key, b.Key) || bytes.Equal(a.Salt, b.Salt) {
		t.Error("two random keys are the same")
	}
	back, err := ParseKeySalt(AES192CM80, a.KeySalt())
	if err != nil || !back.Equal(a) {
		t.Errorf("key and salt came back as %x, %v", back.KeySalt(), err)
	}
	if _, err := ParseKeySalt(AES192CM80, a.KeySalt()[1:]); !errors.Is(err, ErrKey) {
		t.Errorf("short key: %v", err)
	}
	if _, err := ParseKeySalt(NoSuite, nil); !errors.Is(err, ErrSuite) {
		t.Errorf("key for no suite: %v", err)
	}
	for name, change := range map[string]func(p *Params){
		"suite":                 func(p *Params) { p.Suite = AES192CM32 },
		"key":                   func(p *Params) { p.Key = b.Key },
		"salt":                  func(p *Params) { p.Salt = b.Salt },
		"MKI":                   func(p *Params) { p.MKI = []byte{1} },
		"unencrypted RTP":       func(p *Params) { p.UnencryptedRTP = true },
		"unencrypted RTCP":      func(p *Params) { p.UnencryptedRTCP = true },
		"no authentication":     func(p *Params) { p.UnauthenticatedRTP = true },
		"another replay window": func(p *Params) { p.Window = 64 },
	} {
		c := a
		if change(&c); c.Equal(a) || a.Equal(c) {
			t.Errorf("%s makes no difference", name)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	same := a
	same.Window, same.MKI = DefaultWindow, []byte{}
	if !same.Equal(a) {
		t.Error("defaults spelt out make a difference")
	}
	if text := fmt.Sprintf("%v %+v %s", a, a, &a); strings.Count(text, "AES_192_CM_HMAC_SHA1_80") != 3 || len(text) > 80 {
		t.Errorf("parameters print as %s", text)
	}
}

func TestInvalidParams(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(p *Params)
		want   error
	}{
		{"no suite", func(p *Params) { p.Suite = NoSuite }, ErrSuite},
		{"a suite that does not exist", func(p *Params) { p.Suite = suiteCount }, ErrSuite},
		{"a short key", func(p *Params) { p.Key = p.Key[1:] }, ErrKey},
		{"no salt", func(p *Params) { p.Salt = nil }, ErrKey},
		{"a long MKI", func(p *Params) { p.MKI = make([]byte, MaxMKI+1) }, ErrParam},
		{"a negative window", func(p *Params) { p.Window = -1 }, ErrParam},
		{"a vast window", func(p *Params) { p.Window = MaxWindow + 1 }, ErrParam},
		{"GCM without authentication", func(p *Params) { p.UnauthenticatedRTP = true }, ErrParam},
	} {
		p := Generate(AES128GCM)
		c.change(&p)
		if _, err := NewOutbound(p); !errors.Is(err, c.want) {
			t.Errorf("%s: outbound %v, want %v", c.name, err, c.want)
		}
		if _, err := NewInbound(p); !errors.Is(err, c.want) {
			t.Errorf("%s: inbound %v, want %v", c.name, err, c.want)
		}
	}
}

func TestFromDTLS(t *testing.T) {
	for _, suite := range []Suite{AES128CM80, AES256GCM, NullSHA80} {
		key, salt := suite.KeyLen(), suite.SaltLen()
		material := make([]byte, KeyingLen(suite))
		for i := range material {
			material[i] = byte(i)
		}
		clientSend, clientReceive, err := FromDTLS(suite, material, true)
		if err != nil {
			t.Fatal(err)
		}
		serverSend, serverReceive, err := FromDTLS(suite, material, false)
		if err != nil {
			t.Fatal(err)
		}
		if !clientSend.Equal(serverReceive) || !clientReceive.Equal(serverSend) || clientSend.Equal(serverSend) {
			t.Errorf("%v: client and server do not fit", suite)
		}
		if !bytes.Equal(clientSend.Key, material[:key]) || !bytes.Equal(clientReceive.Key, material[key:2*key]) ||
			!bytes.Equal(clientSend.Salt, material[2*key:2*key+salt]) || !bytes.Equal(clientReceive.Salt, material[2*key+salt:]) {
			t.Errorf("%v: client sends with %x and receives with %x", suite, clientSend.KeySalt(), clientReceive.KeySalt())
		}
		if _, _, err := FromDTLS(suite, material[1:], true); !errors.Is(err, ErrKey) {
			t.Errorf("%v: short material: %v", suite, err)
		}
	}
	if _, _, err := FromDTLS(NoSuite, nil, true); !errors.Is(err, ErrSuite) {
		t.Errorf("no suite: %v", err)
	}
}
