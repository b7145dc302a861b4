package fastpath

// Debian keeps <asm/types.h> per architecture; either directory serves, the objects are the same.
//
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -output-stem relay_xdp -type flow -type endpoint -type exit_count -type flow_action -type flow_flag -type port_flag -type reason relay ../bpf/relay_xdp.c -- -O2 -g -mcpu=v3 -Wall -Wextra -Wno-unused-parameter -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -output-stem relay_tc -no-global-types relayTC ../bpf/relay_tc.c -- -O2 -g -mcpu=v3 -Wall -Wextra -Wno-unused-parameter -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -no-global-types steer ../bpf/steer.c -- -O2 -g -mcpu=v3 -Wall -Wextra -Wno-unused-parameter -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
