#!/bin/bash
# test.sh STAGE...   runs the tests and sums them up.
#
#   unit   the crates' own tests
#   host   the integration tests on this machine
#   e2e    under the engines of hack/engines; TEST_FILTER=sid for those of one release
#   vm     those that depend on the kernel once more, in the test VM
#   systemd  those about systemd, in a test VM that it has booted
#   newest   those about mounts, in a test VM with the newest kernel that Debian has
#
# ORLOP names the runtime under test (default bin/orlop, built first); VM_KERNEL the guest's kernel.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit

logs=$PWD/target/test-logs
mkdir -p "$logs"

stage_unit() {
    cargo test --workspace --exclude orlop-tests --locked --no-fail-fast
    local rc=$?
    cargo test -p orlop-tests --lib --locked && return $rc
}

stage_host() {
    needs_root || return
    cargo test -p orlop-tests --locked --no-fail-fast --tests
}

# Some at a time: engines take their time, and tests wait for them in good patience.
stage_e2e() {
    needs_root || return
    local file suites=()
    for file in tests/tests/e2e_*.rs; do suites+=(--test "$(basename "$file" .rs)"); done
    # shellcheck disable=SC2086 # no filter must give no argument
    ORLOP_PATIENCE=${ORLOP_PATIENCE-4} cargo test -p orlop-tests --locked --no-fail-fast "${suites[@]}" -- \
        --ignored --test-threads 3 ${TEST_FILTER-}
}

# Not those that are about configs and images only, nor those that make many containers: they would find the same as on the
# host, in ten times the time.
stage_vm() {
    in_vm '(.target.name | startswith("systemd") or
        IN("bad_input", "e2e_stress", "images", "run_image", "run_image_files", "servers", "soak") | not)'
}

stage_systemd() {
    in_vm '(.target.name | startswith("systemd"))' -S
}

# Mount namespaces are made in another way since Linux 7.0.
stage_newest() {
    if ! hack/vm/kernel newest; then
        echo "SKIP all: the newest kernel could not be fetched"
        return
    fi
    VM_KERNEL=newest in_vm '(.target.name | IN("detached_root", "filesystem", "mount_options", "namespaces", "hooks"))'
}

# in_vm WHICH [OPTION...]   builds outside, since the guest is ten times slower. Two guests share the tests, as one has one
# processor (hack/vm/vm says why): what the second prints comes when the first has ended.
in_vm() {
    needs_root || return
    local kernel=${VM_KERNEL:-6.12} which=$1 programs halves=('' '') i=0 program second rc=0
    shift
    hack/vm/kernel "$kernel" || return
    programs=$(cargo test -p orlop-tests --locked --no-run --tests --message-format=json |
        jq -r "select(.executable != null and .profile.test and .target.kind == [\"test\"] and $which).executable") || return
    # Neighbours in the list are often alike, and take as long.
    for program in $programs; do halves[i++ % 2]+=" $program"; done
    guest "${halves[1]}" "$@" >"$logs/second-guest.log" 2>&1 &
    second=$!
    guest "${halves[0]}" "$@" || rc=$?
    wait $second || rc=$?
    cat "$logs/second-guest.log"
    return $rc
}

# guest PROGRAMS [OPTION...]   runs the test programs after one boot.
guest() {
    local programs=$1
    shift
    # shellcheck disable=SC2086 # a list of paths without spaces
    [ -z "$programs" ] || hack/vm/vm -k "$kernel" "$@" -t 3000 -m 3072 -e ORLOP -e ORLOP_PATIENCE=8 -e TEST_FILTER -- \
        hack/vm/run-tests $programs
}

needs_root() {
    [ "$(id -u)" = 0 ] && return
    echo "test.sh: the integration tests need root: they make containers" >&2
    return 1
}

# Without it the tests of checkpoint and restore say SKIP.
make_criu() {
    hack/criu || echo "test.sh: CRIU could not be fetched" >&2
}

# The binary under test is made once, before any stage that needs it.
make_binary() {
    [ -n "${ORLOP-}" ] || hack/build.sh
}

# Sums the "test result:" lines of a log; a skipped test has "passed" for the runner, but not for us.
count() {
    awk -v skipped="$(grep -c . "$2" 2>/dev/null)" '
        /^test result:/ { for (i = 2; i <= NF; i++) { if ($i == "passed;") p += $(i-1); if ($i == "failed;") f += $(i-1) } }
        END { print (p > skipped ? p - skipped : 0), f + 0, skipped + 0 }' "$1"
}

run_stage() {
    local stage=$1 log=$logs/$1.log skips=$logs/$1.skips rc started=$SECONDS passed failed skipped
    echo "== $stage"
    : >"$skips"
    ORLOP_SKIPS=$skips "stage_$stage" </dev/null 2>&1 | tee "$log"
    rc=${PIPESTATUS[0]}
    # The guest sees this machine's files under a throw-away overlay: its skips come through the log.
    [[ ! $stage =~ ^(vm|systemd|newest)$ ]] || grep -h '^SKIP ' "$log" >"$skips"
    read -r passed failed skipped < <(count "$log" "$skips")
    # A stage that broke before its tests could run is a failure too, and must not look like "0 failed".
    [ "$rc" = 0 ] || [ "$failed" != 0 ] || failed=1
    total_passed=$((total_passed + passed)) total_failed=$((total_failed + failed)) total_skipped=$((total_skipped + skipped))
    summary+=("$(printf '%-7s %4d passed, %d failed, %d skipped, %d s' "$stage" "$passed" "$failed" "$skipped" $((SECONDS - started)))")
}

total_passed=0 total_failed=0 total_skipped=0 summary=()
[ $# -gt 0 ] || set -- unit host vm systemd newest
if [[ " $* " =~ " host "|" vm "|" systemd "|" newest "|" e2e " ]]; then
    make_binary || { echo "0 passed, 1 failed (the build)" && exit 1; }
fi
[[ ! " $* " =~ " host "|" vm "|" systemd "|" e2e " ]] || make_criu
for stage; do run_stage "$stage"; done

echo "== summary"
for stage; do
    sed 's/^SKIP /skipped: /' "$logs/$stage.skips" | sort -u
    # The runner's own words for a failed test, prefixed with where.
    sed -nE "s/^test (.*) \.\.\. FAILED\$/failed:  \1 ($stage)/p" "$logs/$stage.log"
done
printf '%s\n' "${summary[@]}"
echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
[ "$total_failed" = 0 ]
