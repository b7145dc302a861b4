package dtls

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pion/dtls/v3"
)

// Ciphers is a list of cipher suites in order of preference. The zero value stands for DefaultCiphers.
type Ciphers struct{ list []*suite }

// DefaultCiphers are all suites that there are: ECDHE with AES-GCM, ChaCha20 and, last, AES-256-CBC.
func DefaultCiphers() Ciphers {
	var all Ciphers
	for i := range suites {
		all.list = append(all.list, &suites[i])
	}
	return all
}

// ParseCiphers reads a cipher list in OpenSSL's language (openssl-ciphers(1), "CIPHER LIST FORMAT"): names and keywords,
// joined by + when all must hold, with ! to exclude for good, - to remove and + to move to the end. Words that name
// nothing which exists here are ignored, as OpenSSL does, since a list is usually about many more suites; so are
// @STRENGTH and @SECLEVEL. The order of suites that a keyword adds is that of DefaultCiphers. A list without any suite
// in the end is an error.
func ParseCiphers(text string) (Ciphers, error) {
	var list, killed []*suite
	separator := func(r rune) bool { return strings.ContainsRune(":, ;", r) }
	for _, word := range strings.FieldsFunc(text, separator) {
		operation := byte(0)
		if strings.IndexByte("!-+", word[0]) >= 0 {
			operation, word = word[0], word[1:]
		}
		var meant []*suite
		for i := range suites {
			if suites[i].is(word) {
				meant = append(meant, &suites[i])
			}
		}
		among := func(s *suite) bool { return slices.Contains(meant, s) }
		switch operation {
		case '!':
			killed = append(killed, meant...)
			list = slices.DeleteFunc(list, among)
		case '-':
			list = slices.DeleteFunc(list, among)
		case '+':
			var moved []*suite
			list = slices.DeleteFunc(list, func(s *suite) bool {
				if among(s) {
					moved = append(moved, s)
				}
				return among(s)
			})
			list = append(list, moved...)
		default:
			for _, s := range meant {
				if !slices.Contains(list, s) && !slices.Contains(killed, s) {
					list = append(list, s)
				}
			}
		}
	}
	if len(list) == 0 {
		return Ciphers{}, fmt.Errorf("dtls: cipher list %q leaves none of %s", text, DefaultCiphers())
	}
	return Ciphers{list}, nil
}

// is tells whether a word of a cipher list means a suite: its name, or keywords joined by +.
func (s *suite) is(word string) bool {
	if word == s.name {
		return true
	}
	keywords := s.keywords()
	for _, k := range strings.Split(word, "+") {
		if !slices.Contains(keywords, k) {
			return false
		}
	}
	return true
}

// keywords are those of OpenSSL that apply to a suite. SHA256 and SHA384 mean a MAC there, not what the name ends in.
func (s *suite) keywords() []string {
	all := []string{"ALL", "DEFAULT", "HIGH", "ECDHE", "EECDH", "kECDHE", "kEECDH", "ECDH"}
	if strings.Contains(s.name, "-ECDSA-") {
		all = append(all, "ECDSA", "aECDSA")
	} else {
		all = append(all, "aRSA")
	}
	for part, means := range map[string]string{"AES128": "AES128", "AES256": "AES256", "-AES": "AES", "-GCM-": "AESGCM", "CHACHA20": "CHACHA20"} {
		if strings.Contains(s.name, part) {
			all = append(all, means)
		}
	}
	if s.mac > 0 {
		return append(all, "SHA1", "SHA", "TLSv1")
	}
	return append(all, "AEAD", "TLSv1.2")
}

// String lists the suites by OpenSSL's names.
func (c Ciphers) String() string {
	names := make([]string, len(c.list))
	for i, s := range c.list {
		names[i] = s.name
	}
	return strings.Join(names, ":")
}

func (c Ciphers) ids() []dtls.CipherSuiteID {
	ids := make([]dtls.CipherSuiteID, len(c.list))
	for i, s := range c.list {
		ids[i] = s.id
	}
	return ids
}
