//go:build !purego

package srtp

import "golang.org/x/sys/cpu"

// hasAESNI says whether stream8 and subWord can be called.
func hasAESNI() bool { return cpu.X86.HasAES }

// stream8 makes eight blocks of counter mode key stream. The last three bits of iv must be zero.
//
//go:noescape
func stream8(keys *[maxRounds + 1][16]byte, rounds int, iv *[16]byte, out *[8 * 16]byte)

// subWord puts the four bytes of a word through the S-box (FIPS 197, section 5.2).
func subWord(w uint32) uint32
