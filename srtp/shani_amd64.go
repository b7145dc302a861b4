//go:build !purego

package srtp

import "golang.org/x/sys/cpu"

// hasSHANI says whether sha1Blocks can be called. The package cpu does not tell.
func hasSHANI() bool {
	const sha = 1 << 29
	return cpu.X86.HasSSSE3 && cpuid7()&sha != 0
}

// sha1Blocks takes n blocks of 64 bytes into a state, n > 0 (FIPS 180-4, section 6.1.2).
//
//go:noescape
func sha1Blocks(state *[5]uint32, p *byte, n int)

// cpuid7 returns the first word of the structured extended features of the processor.
func cpuid7() (ebx uint32)
