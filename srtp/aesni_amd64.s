//go:build !purego

#include "textflag.h"

// The numbers of the blocks, where the counter has its last byte.
DATA blocks<>+0x08(SB)/8, $0x0000000000000000
DATA blocks<>+0x18(SB)/8, $0x0100000000000000
DATA blocks<>+0x28(SB)/8, $0x0200000000000000
DATA blocks<>+0x38(SB)/8, $0x0300000000000000
DATA blocks<>+0x48(SB)/8, $0x0400000000000000
DATA blocks<>+0x58(SB)/8, $0x0500000000000000
DATA blocks<>+0x68(SB)/8, $0x0600000000000000
DATA blocks<>+0x78(SB)/8, $0x0700000000000000
GLOBL blocks<>(SB), RODATA|NOPTR, $128

#define EACH(op) \
	op X8, X0 \
	op X8, X1 \
	op X8, X2 \
	op X8, X3 \
	op X8, X4 \
	op X8, X5 \
	op X8, X6 \
	op X8, X7

// func stream8(keys *[maxRounds + 1][16]byte, rounds int, iv *[16]byte, out *[128]byte)
TEXT ·stream8(SB), NOSPLIT, $0-32
	MOVQ keys+0(FP), AX
	MOVQ rounds+8(FP), CX
	MOVQ iv+16(FP), BX
	MOVQ out+24(FP), DI
	LEAQ blocks<>(SB), DX

	// Eight counters, with the first round key.
	MOVOU (BX), X0
	MOVOU (AX), X8
	PXOR X8, X0
	MOVO X0, X1
	MOVO X0, X2
	MOVO X0, X3
	MOVO X0, X4
	MOVO X0, X5
	MOVO X0, X6
	MOVO X0, X7
	MOVOU 16(DX), X8
	PXOR X8, X1
	MOVOU 32(DX), X8
	PXOR X8, X2
	MOVOU 48(DX), X8
	PXOR X8, X3
	MOVOU 64(DX), X8
	PXOR X8, X4
	MOVOU 80(DX), X8
	PXOR X8, X5
	MOVOU 96(DX), X8
	PXOR X8, X6
	MOVOU 112(DX), X8
	PXOR X8, X7

	DECQ CX
round:
	ADDQ $16, AX
	MOVOU (AX), X8
	EACH(AESENC)
	DECQ CX
	JNZ round

	MOVOU 16(AX), X8
	EACH(AESENCLAST)

	MOVOU X0, (DI)
	MOVOU X1, 16(DI)
	MOVOU X2, 32(DI)
	MOVOU X3, 48(DI)
	MOVOU X4, 64(DI)
	MOVOU X5, 80(DI)
	MOVOU X6, 96(DI)
	MOVOU X7, 112(DI)
	RET

// func subWord(w uint32) uint32
TEXT ·subWord(SB), NOSPLIT, $0-12
	MOVL w+0(FP), X0
	PSHUFD $0, X0, X0
	AESKEYGENASSIST $0, X0, X1
	MOVL X1, ret+8(FP)
	RET
