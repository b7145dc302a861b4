package ng

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/weir-media/weir/control/socket"
	"github.com/weir-media/weir/ngproto"
)

const (
	contentNG   = "application/x-rtpengine-ng"
	contentJSON = "application/json"
	contentText = "text/plain"
	// statusNoCookie is what the language has for a message that cannot be answered for want of a cookie.
	statusNoCookie = 600

	subprotocolNG    = "ng.rtpengine.com"
	subprotocolPlain = "ng-plain.rtpengine.com"
	subprotocolEcho  = "echo.rtpengine.com"
	subprotocolCLI   = "cli.rtpengine.com"

	// maxContentType is the length from which a content type is none.
	maxContentType = 64
	// requestTimeout bounds how long a client may take to send a whole request.
	requestTimeout = 30 * time.Second
)

// HTTP serves ng over HTTP and WebSocket on one TCP port, with or without TLS.
type HTTP struct {
	listener net.Listener
	server   http.Server
	patience time.Duration // with a client that does not read
	whole    time.Duration // for a message of a WebSocket to come
	disp     *Dispatcher
	log      *slog.Logger
}

// ListenHTTP opens the port. With a tls configuration it speaks HTTPS and WSS. idle bounds how long a connection may stay
// open unused; 0 leaves it to the library.
func ListenHTTP(addr netip.AddrPort, secure *tls.Config, idle time.Duration, log *slog.Logger) (*HTTP, error) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return nil, fmt.Errorf("cannot listen for HTTP on tcp %v: %w; choose another address with --listen-http or "+
			"--listen-https, or end the process that has it (ss -ltnp shows which)", addr, err)
	}
	h := &HTTP{listener: socket.Limit(l, log), patience: writeTimeout, whole: requestTimeout, log: log}
	if secure != nil {
		h.listener = tls.NewListener(h.listener, secure)
	}
	h.server = http.Server{
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: requestTimeout, IdleTimeout: idle,
		// A client that does not read its reply must not keep it in memory. A WebSocket sets deadlines of its own.
		WriteTimeout:                 requestTimeout + writeTimeout,
		DisableGeneralOptionsHandler: true,                                              // browsers want our headers from "OPTIONS *" too
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what clients get wrong is no news
	}
	return h, nil
}

// Addr returns the address of the port.
func (h *HTTP) Addr() net.Addr { return h.listener.Addr() }

// Serve has disp answer requests until ctx ends, then closes all connections.
func (h *HTTP) Serve(ctx context.Context, disp *Dispatcher) error {
	h.disp = disp
	h.server.Handler = h.routes()
	h.server.BaseContext = func(net.Listener) context.Context { return ctx }
	stop := context.AfterFunc(ctx, func() { _ = h.Close() })
	defer stop()
	if err := h.server.Serve(h.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return ctx.Err()
}

// Close closes the port and all connections.
func (h *HTTP) Close() error {
	err := h.server.Close()
	if lerr := h.listener.Close(); lerr != nil && !errors.Is(lerr, net.ErrClosed) {
		err = errors.Join(err, lerr) // a server that never served does not know the listener
	}
	return err
}

func (h *HTTP) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "pong\n") })
	mux.HandleFunc("POST /ng", h.ng)
	mux.HandleFunc("POST /ng-plain", h.plain)
	mux.HandleFunc("GET /cli/{line...}", h.cliByPath)
	mux.HandleFunc("POST /cli", h.cliByBody)
	for pattern, page := range h.disp.pages {
		mux.Handle(pattern, page)
	}
	mux.HandleFunc("/", notFound)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, header := range [][2]string{
			{"Access-Control-Allow-Origin", "*"}, {"Access-Control-Max-Age", "86400"},
			{"Access-Control-Allow-Methods", "GET, POST"}, {"Access-Control-Allow-Headers", "Content-Type"},
		} {
			w.Header().Set(header[0], header[1])
		}
		switch {
		case malformed(r):
			panic(http.ErrAbortHandler) // closes the connection, which is all such a client is told
		case r.Method == http.MethodOptions:
			w.WriteHeader(http.StatusOK)
		case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
			h.socket(w, r)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// malformed tells whether a request has a body where there should be none, or does not say what its body is and how long.
func malformed(r *http.Request) bool {
	if r.Method == http.MethodPost {
		contentType := r.Header.Get("Content-Type")
		return r.ContentLength < 0 || r.Header.Get("Content-Length") == "" || contentType == "" || len(contentType) >= maxContentType
	}
	return r.ContentLength != 0
}

func text(w http.ResponseWriter, status int, body string) {
	answer(w, status, contentText, []byte(body))
}

func notFound(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusNotFound, "not found\n") }

// answer writes a whole response. Its length is told whatever it is, which the library does for short ones alone.
func answer(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is no news
}

// body reads the whole body of a request of one of the given content types. Without success it has answered.
func body(w http.ResponseWriter, r *http.Request, types ...string) (data []byte, contentType string, ok bool) {
	for _, t := range types {
		if strings.EqualFold(r.Header.Get("Content-Type"), t) {
			data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, ngproto.MaxMessage))
			if err != nil {
				text(w, http.StatusRequestEntityTooLarge, "message too long or broken off\n")
				return nil, "", false
			}
			return data, t, true
		}
	}
	notFound(w, r)
	return nil, "", false
}

// client returns who has sent the request.
func (h *HTTP) client(r *http.Request) *Client {
	from, _ := netip.ParseAddrPort(r.RemoteAddr) // none on a unix socket
	return h.disp.From(from.Addr())
}

// refuses answers a request that would change something and may not, and tells whether it did.
func (h *HTTP) refuses(w http.ResponseWriter, r *http.Request) bool {
	from, _ := netip.ParseAddrPort(r.RemoteAddr) // none on a unix socket
	status, why := h.disp.access.refusal(r, from.Addr())
	if status == 0 {
		return false
	}
	h.disp.refused.Add(1)
	h.disp.logStranger(from.Addr())
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	text(w, status, why)
	return true
}

func (h *HTTP) ng(w http.ResponseWriter, r *http.Request) {
	if h.refuses(w, r) {
		return
	}
	data, contentType, ok := body(w, r, contentNG)
	if !ok {
		return
	}
	remote, local := ends(r)
	reply := h.disp.mirrored(data, remote, local, func() []byte { return h.client(r).Datagram(r.Context(), data) })
	if reply == nil {
		text(w, statusNoCookie, "error\n")
		return
	}
	answer(w, http.StatusOK, contentType, reply)
}

func (h *HTTP) plain(w http.ResponseWriter, r *http.Request) {
	if h.refuses(w, r) {
		return
	}
	data, contentType, ok := body(w, r, contentNG, contentJSON)
	if !ok {
		return
	}
	answer(w, http.StatusOK, contentType, h.client(r).Plain(data))
}

// cliByPath runs the line that stands in the path, with blanks as "+" or "%20".
func (h *HTTP) cliByPath(w http.ResponseWriter, r *http.Request) {
	line, err := url.QueryUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/cli/"))
	if err != nil {
		notFound(w, r)
		return
	}
	h.cli(w, r, line)
}

// cliByBody runs the line that is the body.
func (h *HTTP) cliByBody(w http.ResponseWriter, r *http.Request) {
	if line, _, ok := body(w, r, contentText); ok {
		h.cli(w, r, string(line))
	}
}

func (h *HTTP) cli(w http.ResponseWriter, r *http.Request, line string) {
	if h.disp.cli == nil {
		notFound(w, r)
		return
	}
	if h.disp.cli.Changes(line) && h.refuses(w, r) {
		return
	}
	text(w, http.StatusOK, h.disp.CommandLine(line))
}

// socket serves one WebSocket. Requests are answered one after the other; a client that wants more at once opens another.
func (h *HTTP) socket(w http.ResponseWriter, r *http.Request) {
	if h.refuses(w, r) { // before anything is said: what follows may change anything
		return
	}
	spoken := []string{subprotocolNG, subprotocolPlain, subprotocolEcho}
	if h.disp.cli != nil {
		spoken = append(spoken, subprotocolCLI)
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       spoken,
		InsecureSkipVerify: true, // pages of any origin may connect, as over HTTP
	})
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow()
	conn.SetReadLimit(ngproto.MaxMessage)
	client := h.client(r)
	var answer func([]byte) []byte
	switch conn.Subprotocol() {
	case subprotocolNG:
		remote, local := ends(r)
		answer = func(m []byte) []byte {
			return h.disp.mirrored(m, remote, local, func() []byte { return client.Datagram(r.Context(), m) })
		}
	case subprotocolPlain:
		answer = client.Plain
	case subprotocolEcho:
		answer = func(m []byte) []byte { return m }
	case subprotocolCLI:
		answer = func(m []byte) []byte { return []byte(h.disp.CommandLine(string(m))) }
	default:
		_ = conn.Close(websocket.StatusPolicyViolation, "name one of the subprotocols "+strings.Join(spoken, ", "))
		return
	}
	for {
		message, err := h.receive(r.Context(), conn)
		if err != nil {
			return
		}
		reply := answer(message)
		if reply == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(r.Context(), h.patience)
		err = conn.Write(ctx, websocket.MessageBinary, reply)
		cancel()
		if err != nil {
			return
		}
	}
}

// receive waits for a message as long as it takes to begin, and not for long then.
func (h *HTTP) receive(ctx context.Context, conn *websocket.Conn) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_, message, err := conn.Reader(ctx)
	if err != nil {
		return nil, err
	}
	defer time.AfterFunc(h.whole, cancel).Stop() // which closes the connection
	return io.ReadAll(message)
}
