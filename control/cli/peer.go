package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"golang.org/x/sys/unix"
)

// clientKey is that of a client in the context of its requests.
type clientKey struct{}

// withClient remembers who has opened a connection, for the log.
func withClient(ctx context.Context, conn net.Conn) context.Context {
	who := "unknown"
	if u, ok := conn.(*net.UnixConn); ok {
		if raw, err := u.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				if c, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
					who = fmt.Sprintf("uid %d, pid %d", c.Uid, c.Pid)
				}
			})
		}
	}
	return context.WithValue(ctx, clientKey{}, who)
}

// clientOf tells who has sent a request.
func clientOf(r *http.Request) string {
	who, _ := r.Context().Value(clientKey{}).(string)
	return who
}
