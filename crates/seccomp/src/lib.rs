//! OCI seccomp profiles to BPF: compiler, disassembler, simulator.
