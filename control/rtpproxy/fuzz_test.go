package rtpproxy

import (
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"V", "VF 20050322", "Uc8,0,101 call-1@192.0.2.1 192.0.2.10 10000 from;1", "USEIZ20?CVc96 c 192.0.2.10 10002 from;2",
		"L c 192.0.2.20 20000 f;1 t;1", "D c f t", "P5 c /prompts/hello session f;1 t;1", "R c f t", "Cp c udp:192.0.2.1:4000 f t",
		"Qv c f t ttl npkts_ina && D", "U c 192.0.2.1 1 f t unix:/run/n tag && L 192.0.2.2 200 && S ttl=5 && C o f t", "Gv nsess_created", "I", "X",
		"Ul[::1]r192.0.2.9n6aw c ::1 1 f", "USZ20\x00\x00\x00c96 c 192.0.2.1 1 f;1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			if code := codeOf(err); code == codeFault {
				t.Fatalf("%q fails with %v", text, err)
			}
			return
		}
		form := forms[upper(c.Words[0][0])]
		if len(c.Words) > maxWords || len(c.Subs) > maxSubs || len(c.Subs) > 0 && !form.subs || c.Modifiers != "" && !form.modifiers {
			t.Fatalf("%q is taken for %+v", text, c)
		}
		if form.tags > 0 && (c.CallID == "" || c.From == Tag{} || strings.ContainsAny(c.CallID+c.From.Text+c.To.Text, " \t\r\n\x00")) {
			t.Fatalf("%q is taken for %+v", text, c)
		}
		if c.Op == Update || c.Op == Lookup {
			m, err := parseModifiers(c.Modifiers, true)
			if err == nil && (m.ptime < 0 || m.ptime > 999 || len(m.sides) > 2) {
				t.Fatalf("%q has modifiers %+v", text, m)
			}
		}
		_, _, _ = c.notify()
		for _, sub := range c.Subs {
			if len(sub) == 0 {
				t.Fatalf("%q has an empty subcommand", text)
			}
			_, _ = parseChange(sub[len(sub)-1])
		}
	})
}
