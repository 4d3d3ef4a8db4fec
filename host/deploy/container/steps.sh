#!/bin/sh
# The steps of the Containerfile, which can also be run without a container engine:
#
#     steps.sh build TARGET [FEATURES]     builds the server; the program is TARGET/release/riad
#     steps.sh assemble PROGRAM ROOT       lays out a root file system in the empty or new folder ROOT
#     steps.sh try ROOT                    starts the server of ROOT with the model that ships, and asks whether it is ready; needs curl
set -eu

repository=$(CDPATH='' cd -- "$(dirname -- "$0")/../../.." && pwd)
port=18080

fail() {
    echo "steps.sh: $1" >&2
    exit 1
}

build() {
    cd "$repository"
    cargo build --release --locked --target-dir "$1" --features "${2:-}"
}

assemble() {
    program=$1 root=$2
    [ -x "$program" ] || fail "$program is not a program"
    mkdir -p "$root"
    [ -z "$(ls -A "$root")" ] || fail "$root is not empty"
    install -D -m 755 "$program" "$root/opt/riad/riad"
    # The server looks for `models` beside its program. What trained them and reports stay behind.
    for folder in chat/base embed; do
        mkdir -p "$root/opt/riad/models/$folder"
        for file in "$repository/host/models/$folder"/*.json "$repository/host/models/$folder"/*.safetensors; do
            install -m 644 "$file" "$root/opt/riad/models/$folder/"
        done
    done
    install -D -m 644 "$repository/host/deploy/container/riad.toml" "$root/etc/riad/riad.toml"
    for file in LICENSE NOTICE; do
        install -D -m 644 "$repository/$file" "$root/usr/share/doc/riad/$file"
    done
    install -d -m 700 "$root/var/lib/riad"
}

# Everything that the configuration names by an absolute path is in ROOT, so that nothing of this machine is used.
try() {
    root=$(CDPATH='' cd -- "$1" && pwd)
    url=http://127.0.0.1:$port
    cd "$root/var/lib/riad"
    export RIAD_OPERATOR_KEY=riad_op_of_the_container_steps RIAD_URL=$url
    "$root/opt/riad/riad" serve --config "$root/etc/riad/riad.toml" --data "$root/var/lib/riad/data" --listen "127.0.0.1:$port" &
    server=$!
    trap 'kill "$server" 2>/dev/null || true' EXIT
    waited=0
    until curl --silent --fail --output /dev/null "$url/readyz"; do
        kill -0 "$server" 2>/dev/null || fail "the server has ended"
        [ "$waited" -lt 300 ] || fail "the server is not ready after $waited s"
        sleep 1
        waited=$((waited + 1))
    done
    curl --silent --show-error --fail "$url/healthz"
    echo
    "$root/opt/riad/riad" scale
    kill -TERM "$server"
    wait "$server"
    trap - EXIT
    echo "steps.sh: the server started from $root, was ready after $waited s, and has stopped in order"
}

case "${1:-}" in
    build) [ $# -ge 2 ] || fail "build TARGET [FEATURES]"; build "$2" "${3:-}" ;;
    assemble) [ $# -eq 3 ] || fail "assemble PROGRAM ROOT"; assemble "$2" "$3" ;;
    try) [ $# -eq 2 ] || fail "try ROOT"; try "$2" ;;
    *) fail "build TARGET [FEATURES] | assemble PROGRAM ROOT | try ROOT" ;;
esac
