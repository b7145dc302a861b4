package daemon

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// brokerPatience is far more than anything takes on a machine under load.
const brokerPatience = 40 * time.Second

// broker is a mosquitto of the test's own.
type broker struct {
	*testing.T
	dir, port string
	settings  string
	cmd       *exec.Cmd
}

func newBroker(t *testing.T, settings string) *broker {
	t.Helper()
	if _, err := exec.LookPath("mosquitto"); err != nil {
		t.Fatalf("the Debian packages mosquitto and mosquitto-clients are missing (scripts/test installs them): %v", err)
	}
	_, port, err := net.SplitHostPort(freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{T: t, dir: t.TempDir(), port: port, settings: settings}
	t.Cleanup(b.stop)
	return b
}

func (b *broker) start() {
	b.Helper()
	conf := filepath.Join(b.dir, "conf")
	text := "user root\npersistence false\nlistener " + b.port + " 127.0.0.1\n" + b.settings
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	b.cmd = exec.Command("mosquitto", "-c", conf)
	if err := b.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	for deadline := time.Now().Add(brokerPatience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+b.port)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("mosquitto does not listen: %v", err)
		}
	}
}

func (b *broker) stop() {
	if b.cmd != nil {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait() // "signal: killed"
		b.cmd = nil
	}
}

// subscribe returns the messages of a topic.
func (b *broker) subscribe(topic string, args ...string) <-chan map[string]any {
	b.Helper()
	sub := exec.Command("mosquitto_sub", append([]string{"-h", "127.0.0.1", "-p", b.port, "-t", topic}, args...)...)
	out, err := sub.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	sub.Stderr = os.Stderr
	if err := sub.Start(); err != nil {
		b.Fatal(err)
	}
	messages, over := make(chan map[string]any), make(chan struct{})
	b.Cleanup(func() {
		close(over)
		_ = sub.Process.Kill()
		_ = sub.Wait()
	})
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Buffer(nil, 4<<20); lines.Scan(); {
			var m map[string]any
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil || !strings.HasPrefix(lines.Text(), `{"timestamp":1`) {
				b.Errorf("%q: %v", lines.Text(), err)
			}
			select {
			case messages <- m:
			case <-over:
				return
			}
		}
	}()
	return messages
}

// await returns the first message that is as wanted.
func (b *broker) await(messages <-chan map[string]any, what string, ok func(map[string]any) bool) map[string]any {
	b.Helper()
	for deadline := time.After(brokerPatience); ; {
		select {
		case m := <-messages:
			if ok(m) {
				return m
			}
		case <-deadline:
			b.Fatalf("no message: %s", what)
		}
	}
}

// at walks into a message by keys and numbers.
func at(m any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			o, _ := m.(map[string]any)
			m = o[step]
		case int:
			list, _ := m.([]any)
			if step >= len(list) {
				return nil
			}
			m = list[step]
		}
	}
	return m
}

func TestStatisticsArePublishedByScope(t *testing.T) {
	b := newBroker(t, "allow_anonymous true\n")
	b.start()
	for _, scope := range []string{scopeGlobal, scopeSummary, scopeCall, scopeMedia} {
		t.Run(scope, func(t *testing.T) {
			b := *b
			b.T = t
			messages := b.subscribe("weir/"+scope, "-q", "1")
			r := start(t, "", "--mqtt-host=127.0.0.1", "--mqtt-port="+b.port, "--mqtt-publish-topic=weir/"+scope, "--mqtt-publish-interval=200",
				"--mqtt-publish-qos=1", "--mqtt-publish-scope="+scope, "--mqtt-id=weir-"+scope)
			r.offer(t, "one")
			live := func(m map[string]any) bool { return at(m, "currentstatistics", "sessionstotal") == 1.0 }
			m := b.await(messages, "statistics with the call", live)
			if got := len(at(m, "interfaces").([]any)); got != 1 || at(m, "interfaces", 0, "ports", "used") != 4.0 {
				t.Errorf("%d interfaces: %v", got, m)
			}
			media := func(m any) {
				t.Helper()
				if at(m, "media_index") != 1.0 || at(m, "type") != "audio" || at(m, "interface") != "default" || at(m, "protocol") != "RTP/AVP" ||
					at(m, "status") != "sendrecv" || at(m, "address") != "127.0.0.1" || at(m, "endpoint_port") != 4000.0 ||
					at(m, "ingress", "packets") != 0.0 || at(m, "egress", "SSRC") == nil {
					t.Errorf("the media is %v", m)
				}
			}
			switch scope {
			case scopeSummary:
				if _, ok := m["calls"]; ok {
					t.Error("a summary has calls")
				}
			case scopeGlobal:
				if at(m, "calls", 0, "call_id") != "one" || at(m, "calls", 0, "legs", 0, "tag") != "a" {
					t.Errorf("the calls are %v", m["calls"])
				}
				media(at(m, "calls", 0, "legs", 0, "medias", 0))
			case scopeCall:
				m = b.await(messages, "a call", func(m map[string]any) bool { return m["call_id"] == "one" })
				media(at(m, "legs", 0, "medias", 0))
			case scopeMedia:
				m = b.await(messages, "a media", func(m map[string]any) bool { return m["call_id"] == "one" && m["tag"] == "a" })
				media(m)
			}
			m = b.await(messages, "what has changed", func(m map[string]any) bool { return at(m, "interfaces", 0, "interval") != nil })
			for _, key := range []string{"rate", "ingress_rate", "egress_interval", "voip_metrics_interval"} {
				if at(m, "interfaces", 0, key) == nil {
					t.Errorf("%s is missing: %v", key, at(m, "interfaces", 0))
				}
			}
		})
	}
}

func TestBrokerThatComesAndGoes(t *testing.T) {
	b := newBroker(t, "allow_anonymous true\n")
	r := start(t, "", "--mqtt-host=127.0.0.1", "--mqtt-port="+b.port, "--mqtt-publish-topic=x", "--mqtt-publish-interval=50", "--mqtt-publish-scope=summary")
	missed := func() bool {
		_, body := r.get(t, "/metrics")
		return !strings.Contains(body, `weir_export_messages_total{result="dropped",to="mqtt"} 0`)
	}
	for deadline := time.Now().Add(brokerPatience); !missed(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is counted as dropped")
		}
	}
	for i := range 2 {
		r.offer(t, fmt.Sprint(i)) // calls go on
		b.start()
		b.await(b.subscribe("x"), "statistics", func(m map[string]any) bool { return at(m, "currentstatistics", "sessionstotal") == float64(i+1) })
		b.stop()
	}
}

// authority signs certificates for the test and writes them to files.
type authority struct {
	*testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue writes NAME.pem and NAME.key.
func (a *authority) issue(name string) {
	a.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: a.cert == nil, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		template.KeyUsage |= x509.KeyUsageCertSign
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.Fatal(err)
	}
	if a.cert == nil {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			a.Fatal(err)
		}
		a.key = key
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(a.dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.Fatal(err)
		}
	}
}

func TestPublishingWithTLSAndPassword(t *testing.T) {
	a := &authority{T: t, dir: t.TempDir()}
	for _, name := range []string{"ca", "broker", "weir"} {
		a.issue(name)
	}
	file := func(name string) string { return filepath.Join(a.dir, name) }
	if out, err := exec.Command("mosquitto_passwd", "-b", "-c", file("passwords"), "user", "secret").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b := newBroker(t, fmt.Sprintf("allow_anonymous false\npassword_file %s\ncafile %s\ncertfile %s\nkeyfile %s\nrequire_certificate true\n",
		file("passwords"), file("ca.pem"), file("broker.pem"), file("broker.key")))
	b.start()
	messages := b.subscribe("x", "-u", "user", "-P", "secret", "--cafile", file("ca.pem"), "--cert", file("weir.pem"), "--key", file("weir.key"))
	for _, trust := range []string{"--mqtt-cafile=" + file("ca.pem"), "--mqtt-capath=" + a.dir} {
		t.Run(trust, func(t *testing.T) {
			start(t, "", "--mqtt-host=127.0.0.1", "--mqtt-port="+b.port, "--mqtt-publish-topic=x", "--mqtt-publish-interval=100", "--mqtt-publish-scope=summary",
				"--mqtt-user=user", "--mqtt-pass=secret", trust, "--mqtt-certfile="+file("weir.pem"), "--mqtt-keyfile="+file("weir.key"))
			b.await(messages, "statistics", func(m map[string]any) bool { return at(m, "totalstatistics", "uptime") != nil })
		})
	}
}

func TestMistakesInMQTT(t *testing.T) {
	for want, args := range map[string][]string{
		"--mqtt-publish-topic":               {"--mqtt-host=x"},
		"--mqtt-publish-interval":            {"--mqtt-publish-interval=-1"},
		"--mqtt-publish-qos 3":               {"--mqtt-publish-qos=3"},
		`--mqtt-publish-scope "all"`:         {"--mqtt-publish-scope=all"},
		"--mqtt-keepalive":                   {"--mqtt-keepalive=-1"},
		"--mqtt-port 0":                      {"--mqtt-host=x", "--mqtt-publish-topic=y", "--mqtt-port=0"},
		"go together":                        {"--mqtt-host=x", "--mqtt-publish-topic=y", "--mqtt-keyfile=z"},
		"certificates for MQTT":              {"--mqtt-host=x", "--mqtt-publish-topic=y", "--mqtt-cafile=/nowhere"},
		"--mqtt-capath: ":                    {"--mqtt-host=x", "--mqtt-publish-topic=y", "--mqtt-capath=/nowhere"},
		"have no certificate: name a PEM":    {"--mqtt-host=x", "--mqtt-publish-topic=y", "--mqtt-cafile=mqtt_test.go"},
		"--mqtt-certfile: open /nowhere: no": {"--mqtt-host=x", "--mqtt-publish-topic=y", "--mqtt-cafile=/dev/null", "--mqtt-certfile=/nowhere", "--mqtt-keyfile=z"},
	} {
		if want == "--mqtt-certfile: open /nowhere: no" {
			a := &authority{T: t, dir: t.TempDir()}
			a.issue("ca")
			args[2] = "--mqtt-cafile=" + filepath.Join(a.dir, "ca.pem")
		}
		if _, err := complete(t, "", args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
