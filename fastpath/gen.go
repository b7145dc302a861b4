package fastpath

// Debian keeps <asm/types.h> per architecture; either directory serves, the objects are the same.
//
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -output-stem relay_xdp -type flow -type target -type source -type endpoint -type port -type vlan -type tap -type exit_count -type life_sign -type flow_action -type flow_flag -type port_flag -type stage -type reason relay ../bpf/relay_xdp.c -- -O2 -g -mcpu=v3 -Wall -Wextra -Wno-unused-parameter -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -output-stem relay_tc -no-global-types relayTC ../bpf/relay_tc.c -- -O2 -g -mcpu=v3 -Wall -Wextra -Wno-unused-parameter -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -output-stem life -no-global-types life ../bpf/life.c -- -O2 -g -mcpu=v3 -Wall -Wextra -Wno-unused-parameter -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
