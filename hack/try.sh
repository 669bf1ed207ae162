#!/bin/bash
# A first look: the same questions asked on the host and inside a container. Needs bin/orlop and root.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
orlop=${ORLOP:-bin/orlop}

if [ "$(id -u)" != 0 ]; then
    echo "try: run as root (sudo make try)" >&2
    exit 1
fi

mkdir -p target
# Not below /tmp, which the container may replace by an empty one.
scratch=$(mktemp -d "$PWD/target/try.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
# A file of the host that the container will see, and remove.
mark=$scratch/only-the-hosts
echo "still here" >"$mark"

# One line per question. Every line of the answer must mean the same on both sides.
cat >"$scratch/ask" <<'ASK'
say() { printf '%s|%s\n' "$1" "$2"; }
say 'host name' "$(uname -n)"
say 'processes in sight' "$(ls -d /proc/[0-9]* | wc -l)"
say 'pid 1 is' "$(tr '\0\n' '  ' </proc/1/cmdline | cut -c 1-28)"
say 'my own pid' "$$"
say 'network interfaces' "$(ls /sys/class/net 2>/dev/null | tr '\n' ' ')"
say 'mounts' "$(wc -l </proc/self/mountinfo)"
say 'capabilities (mask)' "$(sed -n 's/^CapEff:\t0*//p' /proc/self/status)"
say 'seccomp filters' "$(sed -n 's/^Seccomp_filters:\t//p' /proc/self/status)"
ASK

echo "runtime: $("$orlop" --version | head -n 1)"
sh "$scratch/ask" >"$scratch/host"
"$orlop" try -- sh -c "$(cat "$scratch/ask")" >"$scratch/box" </dev/null

echo
printf '%-22s %-30s %s\n' '' 'on the host' 'in the container'
paste -d'|' "$scratch/host" "$scratch/box" | while IFS='|' read -r what host _ box; do
    printf '%-22s %-30s %s\n' "$what" "$host" "$box"
done

echo
echo "\$ orlop try -- rm $mark"
# The container may destroy its view, and it is only a view. The file is this script's own: should isolation
# fail, nothing else is lost.
"$orlop" try -- rm "$mark" </dev/null
if [ -s "$mark" ]; then
    echo "removed in the container, still there on the host: $mark"
else
    echo "try: the container reached a file of the host" >&2
    exit 1
fi

if [ -t 0 ] && [ -t 1 ]; then
    echo
    echo "Now it is yours: a shell in a container whose changes vanish with it. Leave it with 'exit'."
    "$orlop" try || true
fi
