package dtls

import "testing"

func TestParseCiphers(t *testing.T) {
	const (
		ecdsa128, rsa128     = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"
		ecdsa256, rsa256     = "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"
		ecdsaChaCha, rsaCha  = "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"
		ecdsaCBC, rsaCBC     = "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA"
		everything           = ecdsa128 + ":" + rsa128 + ":" + ecdsa256 + ":" + rsa256 + ":" + ecdsaChaCha + ":" + rsaCha + ":" + ecdsaCBC + ":" + rsaCBC
		withoutGCM256, noCBC = ecdsa128 + ":" + rsa128 + ":" + ecdsaChaCha + ":" + rsaCha + ":" + ecdsaCBC + ":" + rsaCBC, ecdsa128 + ":" + rsa128 + ":" + ecdsa256 + ":" + rsa256 + ":" + ecdsaChaCha + ":" + rsaCha
	)
	for _, c := range []struct{ name, list, want string }{
		{"all there are", "DEFAULT", everything},
		{"the list that is usual with media proxies", "DEFAULT:!NULL:!aNULL:!SHA256:!SHA384:!aECDH:!AESGCM+AES256:!aPSK", withoutGCM256},
		{"two names in their order", rsa256 + ":" + ecdsa128, rsa256 + ":" + ecdsa128},
		{"commas and spaces", rsa256 + ", " + ecdsa128, rsa256 + ":" + ecdsa128},
		{"a name twice", rsa256 + ":" + rsa256, rsa256},
		{"names that do not exist here", "DHE-RSA-AES128-SHA:" + rsa128 + ":PSK", rsa128},
		{"keywords that must all hold", "AESGCM+AES256", ecdsa256 + ":" + rsa256},
		{"one kind of certificate", "aRSA", rsa128 + ":" + rsa256 + ":" + rsaCha + ":" + rsaCBC},
		{"removed", "ALL:-SHA1", noCBC},
		{"removed and added again", "ALL:-AES128:AES128", ecdsa256 + ":" + rsa256 + ":" + ecdsaChaCha + ":" + rsaCha + ":" + ecdsaCBC + ":" + rsaCBC + ":" + ecdsa128 + ":" + rsa128},
		{"excluded for good", "!CHACHA20:!SHA1:!AES256:ALL:CHACHA20", ecdsa128 + ":" + rsa128},
		{"moved to the end", "AES128:CHACHA20:+ECDHE+AES128", ecdsaChaCha + ":" + rsaCha + ":" + ecdsa128 + ":" + rsa128},
		{"orders that do not apply", "AES128:@STRENGTH:@SECLEVEL=2", ecdsa128 + ":" + rsa128},
	} {
		if got, err := ParseCiphers(c.list); err != nil || got.String() != c.want {
			t.Errorf("%s: got %s and %v, want %s", c.name, got, err, c.want)
		}
	}
	for _, list := range []string{"", ":", "!", "+", "-ALL", "NULL", "ALL:!ECDHE", "aes128"} {
		if got, err := ParseCiphers(list); err == nil {
			t.Errorf("%q: got %s", list, got)
		}
	}
	if got := DefaultCiphers().String(); got != everything {
		t.Errorf("by default: %s", got)
	}
}

func FuzzParseCiphers(f *testing.F) {
	f.Add("ALL:-AES128:!SHA1:+CHACHA20")
	f.Fuzz(func(t *testing.T, list string) {
		parsed, err := ParseCiphers(list)
		if err != nil {
			return
		}
		if again, err := ParseCiphers(parsed.String()); err != nil || again.String() != parsed.String() {
			t.Errorf("%q: printed as %q, read as %q and %v", list, parsed, again, err)
		}
	})
}
