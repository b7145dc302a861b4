package media

import (
	"testing"

	"golang.org/x/sys/unix"
)

func getTOS(t *testing.T, fd int) int {
	t.Helper()
	tos, err := unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS)
	if err != nil {
		t.Fatal(err)
	}
	return tos
}
