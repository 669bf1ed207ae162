#!/bin/bash
# Builds three static binaries, bin/orlop, bin/orlop-tools and bin/containerd-shim-orlop-v2: with musl, which starts
# fastest, where its target can be had, else with a static glibc.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

arch=$(uname -m)
musl=$arch-unknown-linux-musl
glibc=$arch-unknown-linux-gnu

# Whether rustc finds a standard library for the target, from rustup or from the distribution.
has_target() { compgen -G "$(rustc --print sysroot)/lib/rustlib/$1/lib/libstd-*.rlib" >/dev/null; }

if ! has_target "$musl" && command -v rustup >/dev/null; then
    echo "build: adding the Rust target $musl"
    rustup --quiet target add "$musl" || true
fi
if has_target "$musl"; then
    target=$musl
    # zstd's library is C without anything of a system in it: where there is no compiler for musl, the usual one does, without
    # what only glibc has.
    if ! command -v "$musl-gcc" musl-gcc >/dev/null; then
        name=${musl//-/_}
        export "CC_$name=${CC-cc}" "CFLAGS_$name=${CFLAGS-} -U_FORTIFY_SOURCE -fno-stack-protector"
    fi
    # A thirteenth of the binary that nothing reads. GNU's linker is named as others understand such a script differently.
    RUSTFLAGS="${RUSTFLAGS-} -C link-arg=-fuse-ld=bfd -C link-arg=-Wl,-T,$PWD/crates/runtime/no-unwind-tables.ld"
    export RUSTFLAGS
else
    target=$glibc
    echo "build: no Rust target $musl here, so this binary uses a static glibc (larger, starts a little slower)"
    export RUSTFLAGS="${RUSTFLAGS-} -C target-feature=+crt-static"
fi

# What `orlop --version` says; a tree without git says nothing.
ORLOP_COMMIT=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
export ORLOP_COMMIT

cargo build --release --locked --target "$target" -p orlop -p orlop-tools -p orlop-shim
for binary in orlop orlop-tools containerd-shim-orlop-v2; do
    # A rename, not a write: a running program keeps the file it was started from.
    install -D -m 0755 "target/$target/release/$binary" "bin/.$binary.new"
    mv "bin/.$binary.new" "bin/$binary"
    echo "build: bin/$binary, $(stat -c %s "bin/$binary") bytes, $target"
done
