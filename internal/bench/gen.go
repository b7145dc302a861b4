package main

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -type flow -type slot rig bpf/rig.bpf.c -- -I/usr/include/x86_64-linux-gnu -O2 -Wall -Werror
