package fastpath

import "testing"

func TestLoad(t *testing.T) {
	p, err := open(Config{}, tweaks{noAttach: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.load(); err != nil {
		t.Fatalf("%+v", err)
	}
	t.Log(p.xdpErr, p.tcErr)
	defer p.Close()
}
