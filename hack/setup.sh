#!/bin/bash
# setup.sh PURPOSE...   installs what is missing on Debian or Ubuntu; says nothing if all is there.
#
#   build   compile orlop
#   lint    check formatting and style
#   package make packages and the bill of materials
#   test    run the tests on this machine
#   e2e     run it under the engines of hack/engines, of which nothing is installed here
#   vm      run the tests in the test VM
#   bench   compare with other runtimes
#   fuzz    build libFuzzer
#   conformance  run runc's own test suite
set -euo pipefail

oldest_rust=1.88

packages() {
    case $1 in
    build) echo gcc libc6-dev make pkg-config libseccomp-dev ;;
    lint) echo make ;;
    package) echo python3 gzip dpkg xz-utils ;;
    test)
        # Root file systems; what the tests ask the kernel and servers with; shells and a linter of manual pages; a runtime
        # to prove the tests with; engines.
        echo busybox-static mmdebstrap debian-archive-keyring uidmap util-linux iproute2 python3 redis-tools curl jq strace procps libcap2-bin mandoc zsh fish iptables containernetworking-plugins runc podman conmon containerd umoci skopeo
        ;;
    e2e) echo mmdebstrap debian-archive-keyring busybox-static util-linux iproute2 procps ;;
    vm)
        echo qemu-system-x86 qemu-system-common busybox-static debian-archive-keyring cpio kmod xz-utils zstd python3 jq
        echo systemd dbus # for guests that boot systemd
        echo apparmor # its parser, for tests with profiles
        ;;
    conformance)
        # What the suite calls, and what its helpers are built with.
        echo bats jq gawk gcc libc6-dev libseccomp-dev pkg-config dpkg-dev busybox-static mmdebstrap debian-archive-keyring \
            uidmap util-linux iproute2 python3
        ;;
    fuzz) echo g++ libc6-dev ;;
    bench) echo runc crun containerd strace busybox-static python3 util-linux gcc libc6-dev patchelf ;;
    *) echo "setup: unknown purpose $1 (build, lint, package, test, e2e, vm, conformance, bench)" >&2 && exit 2 ;;
    esac
}

# true if version $1 is at least $2
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

check_rust() {
    local have
    if ! have=$(cargo --version 2>/dev/null); then
        echo "setup: no cargo. Install Rust $oldest_rust or newer: 'apt-get install rustup && rustup default stable'" >&2
        echo "       where the distribution has rustup, else as https://www.rust-lang.org/tools/install says." >&2
        exit 1
    fi
    have=${have#cargo }
    if ! at_least "${have%% *}" "$oldest_rust"; then
        echo "setup: cargo ${have%% *} is too old, orlop needs $oldest_rust: 'rustup update stable'" >&2
        exit 1
    fi
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

install_missing() {
    local missing=() package
    for package in "$@"; do installed "$package" || missing+=("$package"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "setup: these Debian packages or their like are needed: ${missing[*]}" >&2
        exit 1
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "setup: as root, run: apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    echo "setup: installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# rustup's minimal profile lacks them.
check_lints() {
    cargo clippy --version >/dev/null 2>&1 && cargo fmt --version >/dev/null 2>&1 && return
    if command -v rustup >/dev/null; then
        rustup --quiet component add clippy rustfmt
    else
        install_missing rust-clippy rustfmt
    fi
}

[ $# -gt 0 ] || set -- build test vm bench
wanted=()
for purpose in "$@"; do
    case $purpose in build) check_rust ;; lint) check_lints ;; esac
    names=$(packages "$purpose")
    mapfile -t -O ${#wanted[@]} wanted < <(xargs -n 1 <<<"$names")
done
install_missing "${wanted[@]}"
