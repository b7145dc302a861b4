//go:build !amd64 || purego

package srtp

func hasSHANI() bool { return false }

func sha1Blocks(*[5]uint32, *byte, int) { panic("no SHA-NI") }
