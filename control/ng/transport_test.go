package ng_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/weir-media/weir/control/ng"
)

var (
	anyPort = netip.MustParseAddrPort("127.0.0.1:0")
	quiet   = slog.New(slog.DiscardHandler)
)

// serving runs a transport until the test ends.
func serving(t testing.TB, serve func(context.Context, *ng.Dispatcher) error) {
	t.Helper()
	d, _ := newDispatcher(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- serve(ctx, d) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("serve ends with %v", err)
		}
	})
}

const (
	pingRequest = "d7:command4:pinge"
	pongReply   = "d6:result4:ponge"
)

func TestReplyComesFromWhereTheRequestWent(t *testing.T) {
	for _, c := range []struct{ bind, to, network string }{
		{"[::]:0", "127.0.0.2", "udp4"}, {"[::]:0", "::1", "udp6"}, {"0.0.0.0:0", "127.0.0.3", "udp4"},
	} {
		t.Run(c.bind+" asked at "+c.to, func(t *testing.T) {
			u, err := ng.ListenUDP(netip.MustParseAddrPort(c.bind), quiet)
			if err != nil {
				t.Fatal(err)
			}
			serving(t, u.Serve)
			// A connected socket takes replies of that address alone.
			conn, err := net.Dial(c.network, netip.AddrPortFrom(netip.MustParseAddr(c.to), u.Addr().Port()).String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "c1 "+pingRequest); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 100)
			if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "c1 "+pongReply {
				t.Errorf("got %q, %v", buf[:n], err)
			}
		})
	}
}

func TestStreamsCarryManyMessages(t *testing.T) {
	tcp, err := ng.ListenTCP(anyPort, quiet)
	if err != nil {
		t.Fatal(err)
	}
	unix, err := ng.ListenUnix(filepath.Join(t.TempDir(), "ng.sock"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*ng.Stream{"tcp": tcp, "unix": unix} {
		t.Run(name, func(t *testing.T) {
			serving(t, s.Serve)
			conn, err := net.Dial(name, s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			for _, piece := range []string{"c1 d7:comm", "and4:pingec2 ", pingRequest} {
				if _, err := io.WriteString(conn, piece); err != nil {
					t.Fatal(err)
				}
			}
			got := make([]byte, len("c1 "+pongReply+"c2 "+pongReply))
			if _, err := io.ReadFull(conn, got); err != nil {
				t.Fatal(err)
			}
			if s := string(got); !strings.Contains(s, "c1 "+pongReply) || !strings.Contains(s, "c2 "+pongReply) {
				t.Errorf("got %q", s)
			}
			if _, err := io.WriteString(conn, "c3 garbage"); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Read(got); err != io.EOF {
				t.Errorf("after garbage: %v, want the connection closed", err)
			}
		})
	}
}

func TestSlowClientHoldsUpNobody(t *testing.T) {
	s, err := ng.ListenTCP(anyPort, quiet)
	if err != nil {
		t.Fatal(err)
	}
	serving(t, s.Serve)
	slow, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, "c1 d7:command"); err != nil { // and no more
		t.Fatal(err)
	}
	other, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := io.WriteString(other, "c1 "+pingRequest); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("c1 "+pongReply))
	if _, err := io.ReadFull(other, got); err != nil || string(got) != "c1 "+pongReply {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestHTTP(t *testing.T) {
	h, err := ng.ListenHTTP(anyPort, nil, 0, quiet)
	if err != nil {
		t.Fatal(err)
	}
	serving(t, h.Serve)
	base := "http://" + h.Addr().String()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, c := range []struct {
		name, method, path, contentType, body string
		status                                int
		want                                  string
	}{
		{"ping by GET", "GET", "/ping", "", "", 200, "pong\n"},
		{"ng", "POST", "/ng", "application/x-rtpengine-ng", "c1 " + pingRequest, 200, "c1 " + pongReply},
		{"ng, the same cookie again", "POST", "/ng", "application/x-rtpengine-ng", "c1 d4:nonsense", 200, "c1 " + pongReply},
		{"ng in JSON", "POST", "/ng", "Application/X-Rtpengine-NG", `c2 {"command":"ping"}`, 200, `c2 {"result":"pong"}`},
		{"ng without a cookie", "POST", "/ng", "application/x-rtpengine-ng", "nothing", 600, "error\n"},
		{"plain bencode", "POST", "/ng-plain", "application/x-rtpengine-ng", pingRequest, 200, pongReply},
		{"plain JSON", "POST", "/ng-plain", "application/json", `{"command":"ping"}`, 200, `{"result":"pong"}`},
		{"another content type", "POST", "/ng", "text/plain", "c3 " + pingRequest, 404, "not found\n"},
		{"another place", "GET", "/nowhere", "", "", 404, "not found\n"},
		{"another method", "GET", "/ng", "", "", 404, "not found\n"},
		{"what browsers ask first", "OPTIONS", "/anything", "", "", 200, ""},
		{"a message without end", "POST", "/ng", "application/x-rtpengine-ng", strings.Repeat("x", 2<<20), 413, "message too long or broken off\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequest(c.method, base+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if c.contentType != "" {
				req.Header.Set("Content-Type", c.contentType)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != c.status || strings.TrimSpace(string(got)) != strings.TrimSpace(c.want) {
				t.Errorf("got %d %q, %v; want %d %q", resp.StatusCode, got, err, c.status, c.want)
			}
			if resp.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Error("pages of other origins may not read this")
			}
		})
	}
}

func TestWebSocket(t *testing.T) {
	h, err := ng.ListenHTTP(anyPort, nil, 0, quiet)
	if err != nil {
		t.Fatal(err)
	}
	serving(t, h.Serve)
	for _, c := range []struct {
		protocol, message, want string
		kind                    websocket.MessageType
	}{
		{"ng.rtpengine.com", "c1 " + pingRequest, "c1 " + pongReply, websocket.MessageBinary},
		{"ng-plain.rtpengine.com", `{"command":"ping"}`, `{"result":"pong"}`, websocket.MessageBinary},
		{"echo.rtpengine.com", "hello", "hello", websocket.MessageBinary},
	} {
		t.Run(c.protocol, func(t *testing.T) {
			conn, _, err := websocket.Dial(t.Context(), "ws://"+h.Addr().String()+"/", &websocket.DialOptions{Subprotocols: []string{c.protocol}})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			for range 2 {
				if err := conn.Write(t.Context(), websocket.MessageText, []byte(c.message)); err != nil {
					t.Fatal(err)
				}
				kind, got, err := conn.Read(t.Context())
				if err != nil || kind != c.kind || string(bytes.TrimSpace(got)) != c.want {
					t.Errorf("got %v %q, %v", kind, got, err)
				}
			}
		})
	}
	conn, _, err := websocket.Dial(t.Context(), "ws://"+h.Addr().String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("without a subprotocol: %v", err)
	}
}

// writeCertificate writes a new self-signed certificate for name with its key into one file.
func writeCertificate(t *testing.T, path, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestChangedCertificateIsUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "both.pem")
	if _, err := ng.TLSConfig(path, "", quiet); err == nil || !strings.Contains(err.Error(), "--https-cert") {
		t.Errorf("a missing file: %v, want an error that names the option", err)
	}
	writeCertificate(t, path, "first.example")
	secure, err := ng.TLSConfig(path, "", quiet)
	if err != nil {
		t.Fatal(err)
	}
	h, err := ng.ListenHTTP(anyPort, secure, 0, quiet)
	if err != nil {
		t.Fatal(err)
	}
	serving(t, h.Serve)
	name := func() string {
		conn, err := tls.Dial("tcp", h.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].DNSNames[0]
	}
	if got := name(); got != "first.example" {
		t.Fatalf("got %s", got)
	}
	writeCertificate(t, path, "second.example")
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(path, later, later); err != nil { // whatever the resolution of the file system
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); name() != "second.example"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not used")
		}
	}
	if err := os.WriteFile(path, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "second.example" {
		t.Errorf("with a broken file: %s, want the former certificate", got)
	}
}
