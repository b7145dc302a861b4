package dtls

import (
	"runtime"
	"testing"
)

// shake makes two sessions that hand each other their datagrams directly, and waits for the keys of both.
func shake(b testing.TB, active, passive Config) (*Session, *Session) {
	b.Helper()
	done := make(chan error, 2*mostAttempts)
	var sessions [2]*Session
	for i, cfg := range []*Config{&active, &passive} {
		cfg.OnKeys = func(Keys) { done <- nil }
		cfg.OnFail = func(err error) { done <- err }
		cfg.Send = func(d []byte) { sessions[1-i].Handle(d) }
		var err error
		if sessions[i], err = NewSession(*cfg); err != nil {
			b.Fatal(err)
		}
	}
	for i, role := range []Role{Passive, Active} {
		// The passive side first, as it is spoken to at once.
		self, other := sessions[1-i], sessions[i]
		if err := self.SetRemote(role, []Fingerprint{other.cfg.Certificate.Fingerprint(SHA256)}); err != nil {
			b.Fatal(err)
		}
	}
	for range sessions {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	return sessions[0], sessions[1]
}

// BenchmarkHandshake does both sides of a handshake, one after the other on one core. A proxy does one of them.
func BenchmarkHandshake(b *testing.B) {
	for _, c := range []struct {
		name            string
		active, passive Config
	}{
		{"P256", Config{Certificate: testCertificate(b, CertificateConfig{})}, Config{Certificate: testCertificate(b, CertificateConfig{}), Verified: always}},
		{"P256-cookie", Config{Certificate: testCertificate(b, CertificateConfig{})}, Config{Certificate: testCertificate(b, CertificateConfig{})}},
		{"RSA2048", Config{Certificate: testCertificate(b, CertificateConfig{Key: RSA})}, Config{Certificate: testCertificate(b, CertificateConfig{Key: RSA}), Verified: always}},
	} {
		b.Run(c.name, func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			b.ReportAllocs()
			c.active.Pool, c.passive.Pool = NewPool(1), NewPool(1)
			for b.Loop() {
				x, y := shake(b, c.active, c.passive)
				x.Close()
				y.Close()
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "handshakes/s")
		})
	}
}

// used is what the process holds after a collection.
func used() (heap, stack uint64) {
	// The second one frees what pools held on to.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.StackInuse
}

// BenchmarkConnectedMemory reports what a connected session holds. Run it with -benchtime 1x.
func BenchmarkConnectedMemory(b *testing.B) {
	const pairs = 500
	cfg := Config{Certificate: testCertificate(b, CertificateConfig{})}
	shake(b, cfg, cfg)
	for b.Loop() {
		heap, stack := used()
		goroutines := runtime.NumGoroutine()
		kept := make([]*Session, 0, 2*pairs)
		for range pairs {
			x, y := shake(b, cfg, cfg)
			kept = append(kept, x, y)
		}
		heapNow, stackNow := used()
		b.ReportMetric(float64(int64(heapNow)-int64(heap))/(2*pairs), "heap-B/session")
		b.ReportMetric(float64(int64(stackNow)-int64(stack))/(2*pairs), "stack-B/session")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/(2*pairs), "goroutines/session")
		for _, s := range kept {
			s.Close()
		}
	}
}

// BenchmarkWaitingMemory reports what a handshake under way holds, one that waits for an answer.
func BenchmarkWaitingMemory(b *testing.B) {
	const sessions = 500
	cfg := Config{
		Certificate: testCertificate(b, CertificateConfig{}), Role: Active, Remote: []Fingerprint{fingerprint(nil, SHA256)},
		OnKeys: func(Keys) { b.Error("keys from nobody") },
	}
	for b.Loop() {
		heap, stack := used()
		before := runtime.NumGoroutine()
		sent := make(chan struct{}, 10*sessions)
		cfg.Send = func([]byte) { sent <- struct{}{} }
		var kept []*Session
		for range sessions {
			s, err := NewSession(cfg)
			if err != nil {
				b.Fatal(err)
			}
			kept = append(kept, s)
			<-sent
		}
		heapNow, stackNow := used()
		b.ReportMetric(float64(int64(heapNow)-int64(heap))/sessions, "heap-B/session")
		b.ReportMetric(float64(int64(stackNow)-int64(stack))/sessions, "stack-B/session")
		b.ReportMetric(float64(runtime.NumGoroutine()-before)/sessions, "goroutines/session")
		for _, s := range kept {
			s.Close()
		}
	}
}

// BenchmarkClose is what an alert at the end of a session costs.
func BenchmarkClose(b *testing.B) {
	cfg := Config{Certificate: testCertificate(b, CertificateConfig{})}
	x, y := shake(b, cfg, cfg)
	defer y.Close()
	defer x.Close()
	b.ReportAllocs()
	for b.Loop() {
		if x.farewell() == nil {
			b.Fatal("no close_notify")
		}
	}
}
