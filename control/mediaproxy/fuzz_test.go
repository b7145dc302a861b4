package mediaproxy

import "testing"

func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"request c1 192.0.2.1:1000:audio,192.0.2.1:1002:video 192.0.2.1 a.com local b.com remote UA=20x info=from:a@a,to:b@b,fromtag:ft,asymmetric",
		"lookup c1 192.0.2.2:2000 192.0.2.2 a.com local b.com unknown UA info=fromtag:ft,totag:tt", "delete c1 info=", "version", "status", "controls",
		"request", "request c 1.2.3.4 x x x x x x x info=fromtag", "\x00", "delete  c1  info",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parse(line)
		if err != nil {
			return
		}
		signals := c.name == "request" || c.name == "lookup"
		if signals && (c.callID == "" || len(c.streams) == 0 || len(c.streams) > maxStreams || c.info.fromTag == "") {
			t.Fatalf("%q is taken for %+v", line, c)
		}
		for _, s := range c.streams {
			if !s.remote.Addr().Is4() {
				t.Fatalf("%q has a stream at %v", line, s.remote)
			}
		}
	})
}
