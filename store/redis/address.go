package redis

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Address is a database of a server.
type Address struct {
	Password string
	Host     string // name or IP address
	Port     uint16
	DB       int // -1: none was given
}

// ParseAddress reads [PASSWORD@]HOST:PORT/DB, where an IPv6 address stands in brackets or not. Without needDB the database may be missing. Password is
// the one from elsewhere, which gives way to one in the text. Errors do not show passwords.
func ParseAddress(text, password string, needDB bool) (Address, error) {
	a := Address{Password: password, DB: -1}
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		a.Password, text = text[:i], text[i+1:]
	}
	place, db, hasDB := strings.Cut(text, "/")
	switch {
	case hasDB:
		n, err := strconv.ParseUint(db, 10, 16)
		if err != nil {
			return a, fmt.Errorf("%q is no number of a database; write HOST:PORT/NUMBER", db)
		}
		a.DB = int(n)
	case needDB:
		return a, errors.New("the number of the database is missing; write HOST:PORT/NUMBER")
	}
	i := strings.LastIndexByte(place, ':')
	if i < 0 {
		return a, fmt.Errorf("%q has no port; write HOST:PORT/NUMBER", place)
	}
	port, err := strconv.ParseUint(place[i+1:], 10, 16)
	if err != nil || port == 0 {
		return a, fmt.Errorf("%q is no port; write HOST:PORT/NUMBER", place[i+1:])
	}
	a.Host, a.Port = place[:i], uint16(port)
	if inner, ok := strings.CutPrefix(a.Host, "["); ok {
		if a.Host, ok = strings.CutSuffix(inner, "]"); !ok {
			return a, fmt.Errorf("%q lacks a bracket; write [HOST]:PORT/NUMBER", place)
		}
	}
	switch {
	case a.Host == "":
		return a, errors.New("the host is missing; write HOST:PORT/NUMBER")
	case strings.ContainsAny(a.Host, "[]"):
		return a, fmt.Errorf("%q is no host; write HOST:PORT/NUMBER", a.Host)
	}
	return a, nil
}

// String is the address without the password.
func (a Address) String() string {
	text := net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
	if a.DB >= 0 {
		text += "/" + strconv.Itoa(a.DB)
	}
	return text
}
