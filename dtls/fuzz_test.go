package dtls

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
	"testing"
)

// recorded makes a handshake in memory and returns what was left on both sides and what each sent.
func recorded(t testing.TB) (active, passive *association, sent [2][][]byte) {
	t.Helper()
	cfg := Config{Certificate: testCertificate(t, CertificateConfig{})}
	var taps [2]wire
	done := make(chan error, 2*mostAttempts)
	var sessions [2]*Session
	for i := range sessions {
		c := cfg
		c.OnKeys = func(Keys) { done <- nil }
		c.OnFail = func(err error) { done <- err }
		c.Send = func(d []byte) {
			taps[i].mu.Lock()
			taps[i].seen = append(taps[i].seen, slices.Clone(d))
			taps[i].mu.Unlock()
			sessions[1-i].Handle(d)
		}
		var err error
		if sessions[i], err = NewSession(c); err != nil {
			t.Fatal(err)
		}
	}
	remote := []Fingerprint{cfg.Certificate.Fingerprint(SHA256)}
	if err := sessions[1].SetRemote(Passive, remote); err != nil {
		t.Fatal(err)
	}
	if err := sessions[0].SetRemote(Active, remote); err != nil {
		t.Fatal(err)
	}
	for range sessions {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	active, passive = sessions[0].association, sessions[1].association
	return active, passive, [2][][]byte{taps[0].seen, taps[1].seen}
}

// pack puts datagrams into one input of FuzzHandle: each after its length in two bytes.
func pack(datagrams ...[]byte) []byte {
	var all []byte
	for _, d := range datagrams {
		all = append(binary.BigEndian.AppendUint16(all, uint16(len(d))), d...)
	}
	return all
}

// FuzzHandle feeds a session of each role and state with what it is not meant to get. Nobody may get keys from it or end
// an association by it.
func FuzzHandle(f *testing.F) {
	active, passive, sent := recorded(f)
	for _, flights := range sent {
		f.Add(pack(flights...))
		slices.Reverse(flights)
		f.Add(pack(flights...))
	}
	cfg := Config{Certificate: testCertificate(f, CertificateConfig{})}
	f.Fuzz(func(t *testing.T, input []byte) {
		var keys, ends atomic.Int64
		cfg := cfg
		cfg.Send = func([]byte) {}
		cfg.OnKeys = func(Keys) { keys.Add(1) }
		cfg.OnClose = func(error) { ends.Add(1) }
		var sessions []*Session
		for _, role := range []Role{Unknown, Passive, Active} {
			s, err := NewSession(cfg)
			if err != nil {
				t.Fatal(err)
			}
			// Fingerprints of nobody.
			if err := s.SetRemote(role, []Fingerprint{fingerprint(nil, SHA256)}); err != nil {
				t.Fatal(err)
			}
			sessions = append(sessions, s)
		}
		for _, a := range []*association{active, passive} {
			s, err := NewSession(cfg)
			if err != nil {
				t.Fatal(err)
			}
			left := *a
			s.state, s.association = Connected, &left
			sessions = append(sessions, s)
		}
		for len(input) >= 2 {
			n := min(int(binary.BigEndian.Uint16(input)), len(input)-2)
			datagram := input[2:][:n]
			input = input[2+n:]
			for _, s := range sessions {
				given := slices.Clone(datagram)
				s.Handle(given)
				clear(given)
			}
		}
		for i, s := range sessions {
			if (s.State() == Connected) != (i >= 3) {
				t.Errorf("session %d is %s", i, s.State())
			}
			if len(s.early) > mostEarly {
				t.Errorf("%d datagrams are kept", len(s.early))
			}
			s.Close()
		}
		if keys.Load() != 0 || ends.Load() != 0 {
			t.Errorf("%d keys and %d ends", keys.Load(), ends.Load())
		}
	})
}
