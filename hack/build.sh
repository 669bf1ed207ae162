#!/bin/bash
# Builds three static binaries, bin/orlop, bin/orlop-tools and bin/containerd-shim-orlop-v2: with musl, which starts
# fastest, where its target can be had, else with a static glibc. The bytes depend on the sources, the compiler and the target,
# not on the directory or the day (hack/reproducible).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

arch=$(uname -m)
musl=$arch-unknown-linux-musl
glibc=$arch-unknown-linux-gnu

# Whether rustc finds a standard library for the target, from rustup or from the distribution.
has_target() { compgen -G "$(rustc --print sysroot)/lib/rustlib/$1/lib/libstd-*.rlib" >/dev/null; }

# Relocations as a map of bits: 70 kB less of a program and of its memory. To read the map takes each start some 20 us more, a
# hundredth of a run.
packed="-C link-arg=-Wl,-z,pack-relative-relocs"

# Whether linker and C library know them (GNU's since 2.38, musl since 1.2.4): a program is made with them, and runs.
knows_packed() {
    local dir rc=0
    dir=$(mktemp -d)
    # shellcheck disable=SC2086 # two words
    echo 'static WORDS: [&str; 2] = ["a", "b"]; fn main() { assert_eq!(std::hint::black_box(&WORDS)[1], "b") }' |
        rustc --target "$musl" -C link-arg=-fuse-ld=bfd $packed -o "$dir/program" - 2>/dev/null && "$dir/program" 2>/dev/null || rc=1
    rm -rf "$dir"
    return $rc
}

if ! has_target "$musl" && command -v rustup >/dev/null; then
    echo "build: adding the Rust target $musl"
    rustup --quiet target add "$musl" || true
fi
if has_target "$musl"; then
    target=$musl
    # A thirteenth of the binary that nothing reads. GNU's linker is named as others understand such a script differently.
    # Its path is that from the workspace's directory, where cargo has binaries linked: flags are part of what is built.
    RUSTFLAGS="${RUSTFLAGS-} -C link-arg=-fuse-ld=bfd -C link-arg=-Wl,-T,crates/runtime/no-unwind-tables.ld"
    # Functions that commands execute lie together (hack/hot-functions). Their names say which instance of a generic one it is.
    RUSTFLAGS+=" -C symbol-mangling-version=v0 -C link-arg=-Wl,-T,crates/cli/hot-functions.ld"
    if knows_packed; then RUSTFLAGS+=" $packed"; fi
else
    target=$glibc
    echo "build: no Rust target $musl here, so this binary uses a static glibc (larger, starts a little slower)"
    RUSTFLAGS="${RUSTFLAGS-} -C target-feature=+crt-static"
fi

# zstd's library is C with nothing of a system in it: where there is no compiler for musl, the usual one does, without what
# only glibc has.
flags=${CFLAGS-}
if [ "$target" = "$musl" ] && ! command -v musl-gcc >/dev/null; then
    export "CC_${target//-/_}=${CC-cc}"
    flags+=" -U_FORTIFY_SOURCE -fno-stack-protector"
fi
# Where the crates of others lie is in the messages of their panics.
cargo fetch --quiet --locked --target "$target"
for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
    RUSTFLAGS+=" --remap-path-prefix=$registry=crates.io/"
    flags+=" -ffile-prefix-map=$registry=crates.io/"
done
export "CFLAGS_${target//-/_}=$flags"
export RUSTFLAGS="$RUSTFLAGS --remap-path-prefix=$PWD=orlop"

# What `orlop --version` says; a tree without git says nothing. What git does not have is said to be there.
ORLOP_COMMIT=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain --untracked-files=no 2>/dev/null)" ] || ORLOP_COMMIT+=-dirty
ORLOP_RUSTC=$(rustc --version | cut -d ' ' -f 2)
export ORLOP_COMMIT ORLOP_RUSTC

cargo build --release --locked --target "$target" -p orlop -p orlop-tools -p orlop-shim
for binary in orlop orlop-tools containerd-shim-orlop-v2; do
    # Symbols stay behind, for hack/hot-functions: whether cargo strips decides about names, and these about the code.
    strip --strip-all -o "target/$target/release/$binary.stripped" "target/$target/release/$binary"
    # A rename, not a write: a running program keeps the file it was started from.
    install -D -m 0755 "target/$target/release/$binary.stripped" "bin/.$binary.new"
    mv "bin/.$binary.new" "bin/$binary"
    echo "build: bin/$binary, $(stat -c %s "bin/$binary") bytes, $target"
done
