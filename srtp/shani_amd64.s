//go:build !purego

#include "textflag.h"

// Turns sixteen bytes around: words to the byte order of the processor, and the first to the highest place.
DATA reverse<>+0x00(SB)/8, $0x08090a0b0c0d0e0f
DATA reverse<>+0x08(SB)/8, $0x0001020304050607
GLOBL reverse<>(SB), RODATA|NOPTR, $16

#define ABCD X0
#define E0 X1
#define E1 X2
#define M0 X3
#define M1 X4
#define M2 X5
#define M3 X6
#define SAVED X7
#define SAVEDE X8
#define REVERSE X9

// Four rounds with words w0, of function f; e comes in as the fifth word of the state and next leaves as that. Meanwhile
// the words of the next three groups of rounds are worked on.
#define ROUNDS(f, e, next, w0, w1, w2, w3) \
	SHA1NEXTE w0, e \
	MOVO ABCD, next \
	SHA1MSG2 w0, w1 \
	SHA1RNDS4 $f, e, ABCD \
	SHA1MSG1 w0, w3 \
	PXOR w0, w2

// func sha1Blocks(state *[5]uint32, p *byte, n int)
TEXT ·sha1Blocks(SB), NOSPLIT, $0-24
	MOVQ state+0(FP), DI
	MOVQ p+8(FP), SI
	MOVQ n+16(FP), CX

	MOVOU (DI), ABCD
	PSHUFD $0x1b, ABCD, ABCD
	MOVL 16(DI), E0
	PSLLDQ $12, E0
	MOVOU reverse<>(SB), REVERSE

block:
	MOVO ABCD, SAVED
	MOVO E0, SAVEDE

	MOVOU (SI), M0
	PSHUFB REVERSE, M0
	PADDD M0, E0
	MOVO ABCD, E1
	SHA1RNDS4 $0, E0, ABCD

	MOVOU 16(SI), M1
	PSHUFB REVERSE, M1
	SHA1NEXTE M1, E1
	MOVO ABCD, E0
	SHA1RNDS4 $0, E1, ABCD
	SHA1MSG1 M1, M0

	MOVOU 32(SI), M2
	PSHUFB REVERSE, M2
	SHA1NEXTE M2, E0
	MOVO ABCD, E1
	SHA1RNDS4 $0, E0, ABCD
	SHA1MSG1 M2, M1
	PXOR M2, M0

	MOVOU 48(SI), M3
	PSHUFB REVERSE, M3
	ROUNDS(0, E1, E0, M3, M0, M1, M2)
	ROUNDS(0, E0, E1, M0, M1, M2, M3)
	ROUNDS(1, E1, E0, M1, M2, M3, M0)
	ROUNDS(1, E0, E1, M2, M3, M0, M1)
	ROUNDS(1, E1, E0, M3, M0, M1, M2)
	ROUNDS(1, E0, E1, M0, M1, M2, M3)
	ROUNDS(1, E1, E0, M1, M2, M3, M0)
	ROUNDS(2, E0, E1, M2, M3, M0, M1)
	ROUNDS(2, E1, E0, M3, M0, M1, M2)
	ROUNDS(2, E0, E1, M0, M1, M2, M3)
	ROUNDS(2, E1, E0, M1, M2, M3, M0)
	ROUNDS(2, E0, E1, M2, M3, M0, M1)
	ROUNDS(3, E1, E0, M3, M0, M1, M2)
	ROUNDS(3, E0, E1, M0, M1, M2, M3)

	// No more words are needed than there are by now, except for the last step of two.
	SHA1NEXTE M1, E1
	MOVO ABCD, E0
	SHA1MSG2 M1, M2
	SHA1RNDS4 $3, E1, ABCD
	PXOR M1, M3

	SHA1NEXTE M2, E0
	MOVO ABCD, E1
	SHA1MSG2 M2, M3
	SHA1RNDS4 $3, E0, ABCD

	SHA1NEXTE M3, E1
	MOVO ABCD, E0
	SHA1RNDS4 $3, E1, ABCD

	SHA1NEXTE SAVEDE, E0
	PADDD SAVED, ABCD

	ADDQ $64, SI
	DECQ CX
	JNZ block

	PSHUFD $0x1b, ABCD, ABCD
	MOVOU ABCD, (DI)
	PSRLDQ $12, E0
	MOVL E0, 16(DI)
	RET

// func cpuid7() (ebx uint32)
TEXT ·cpuid7(SB), NOSPLIT, $0-4
	XORL AX, AX
	CPUID
	CMPL AX, $7
	JLT none
	MOVL $7, AX
	XORL CX, CX
	CPUID
	MOVL BX, ebx+0(FP)
	RET
none:
	MOVL $0, ebx+0(FP)
	RET
