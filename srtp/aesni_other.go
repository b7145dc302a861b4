//go:build !amd64 || purego

package srtp

func hasAESNI() bool { return false }

func stream8(*[maxRounds + 1][16]byte, int, *[16]byte, *[8 * 16]byte) { panic("no AES-NI") }

func subWord(uint32) uint32 { panic("no AES-NI") }
