package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Where rtpengine-ctl looks for the daemon unless it is told, and how long it waits.
const (
	DefaultCtlHost    = "127.0.0.1"
	DefaultCtlPort    = "9900"
	DefaultCtlConfig  = "/etc/rtpengine/rtpengine.conf"
	ctlClientPatience = 3 * time.Second
)

// CtlRequest is a command line of rtpengine-ctl.
type CtlRequest struct {
	Host, Port string
	Config     string // file that says where the daemon listens
	Line       string
}

// ParseCtl reads the arguments of rtpengine-ctl: options first, in any of the spellings it has, then the words of the command.
// Without words the daemon is asked for its usage.
func ParseCtl(args []string) (*CtlRequest, error) {
	r := &CtlRequest{Config: DefaultCtlConfig}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		name, value, given := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
		args = args[1:]
		var into *string
		switch name {
		case "help", "h":
			args = nil
			continue
		case "ip":
			into = &r.Host
		case "port":
			into = &r.Port
		case "config-file":
			into = &r.Config
		default:
			return nil, fmt.Errorf("unknown option --%s; there are --ip, --port, --config-file and --help", name)
		}
		if !given {
			if len(args) == 0 {
				return nil, fmt.Errorf("--%s takes a value", name)
			}
			value, args = args[0], args[1:]
		}
		*into = value
	}
	if host, port, err := net.SplitHostPort(r.Host); err == nil {
		r.Host, r.Port = host, port
	}
	if r.Line = strings.Join(args, " "); r.Line == "" {
		r.Line = "usage"
	}
	return r, r.complete()
}

// complete takes what the options leave open from the configuration file, else from the defaults.
func (r *CtlRequest) complete() error {
	if r.Host == "" || r.Port == "" {
		host, port, err := ctlAddress(r.Config)
		if err != nil && (r.Config != DefaultCtlConfig || !errors.Is(err, fs.ErrNotExist)) {
			return fmt.Errorf("read the configuration file: %w", err)
		}
		if r.Host == "" && r.Port == "" {
			r.Host, r.Port = host, port
		}
	}
	if r.Host == "" {
		r.Host = DefaultCtlHost
	}
	if r.Port == "" {
		r.Port = DefaultCtlPort
	}
	if _, err := strconv.ParseUint(r.Port, 10, 16); err != nil {
		return fmt.Errorf("%q is no port", r.Port)
	}
	return nil
}

// ctlAddress returns what the section of rtpengine in a configuration file says of listen-cli: a port, or ADDRESS:PORT.
func ctlAddress(path string) (host, port string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	in, section := bufio.NewScanner(f), ""
	for in.Scan() {
		line := strings.TrimSpace(in.Text())
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		if section != "rtpengine" || strings.TrimSpace(key) != "listen-cli" {
			continue
		}
		value, _, _ = strings.Cut(strings.TrimSpace(value), ";") // of several the first
		if h, p, err := net.SplitHostPort(value); err == nil {
			host, port = h, p
		} else {
			port = value
		}
	}
	return host, port, in.Err()
}

// Do sends the line and writes the reply to out. Only a daemon that cannot be reached is an error.
func (r *CtlRequest) Do(out io.Writer) error {
	at := net.JoinHostPort(r.Host, r.Port)
	conn, err := net.DialTimeout("tcp", at, ctlClientPatience)
	if err != nil {
		return fmt.Errorf("no daemon answers at %s (--listen-cli opens that port; --ip and --port name another): %w", at, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(ctlClientPatience))
	if _, err := io.WriteString(conn, r.Line+"\n"); err != nil {
		return fmt.Errorf("send the command: %w", err)
	}
	if _, err := io.Copy(out, conn); err != nil {
		fmt.Fprintln(out, "the reply broke off: "+err.Error())
	}
	return nil
}
