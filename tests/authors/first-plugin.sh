#!/bin/sh
# The first hour of an author in one language, as a new user has it: from an empty folder to a plugin that serves, an edit that shows, and
# back. Each command is printed before it runs, so that the output is a transcript.
#
# first-plugin.sh LANGUAGE, in an empty folder. RIAD is the program; RIAD_URL and RIAD_KEY are a server and a tenant's key.
# Exit codes: 0, everything held; 3, the language's packages could not be fetched, so nothing was tried; else a step failed.
set -eu

language=$1
scripts=$(cd "$(dirname "$0")" && pwd)
name=hello-$language
log=$(pwd)/dev.log
# shellcheck source=/dev/null
. "$scripts/edits/$language.sh" # source, before, after, edit, prepare

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

riad() {
    "$RIAD" "$@"
}

fail() {
    printf '\nFAILED: %s\n' "$*" >&2
    exit 1
}

# Asks, and looks for a text in the answer: `chat_has TEXT`.
chat_has() {
    printf '\n$ riad chat --no-stream --max-tokens 8 "Hello?"\n'
    answer=$(riad chat --no-stream --max-tokens 8 "Hello?")
    printf '%s\n' "$answer"
    case $answer in
        *"$1"*) ;;
        *) fail "the answer has no \"$1\"" ;;
    esac
}

# Waits until `dev` has deployed so many times.
deployed() {
    waited=0
    while [ "$(grep -c '^Deployed' "$log")" -lt "$1" ]; do
        waited=$((waited + 1))
        [ "$waited" -lt 300 ] || fail "no deployment in 300 s: $(cat "$log")"
        kill -0 "$dev" 2>/dev/null || fail "dev ended: $(cat "$log")"
        sleep 1
    done
}

run riad plugin new --lang "$language" "$name"
cd "$name"
if ! prepare >prepare.log 2>&1; then
    tail -n 3 prepare.log >&2
    exit 3
fi
rm prepare.log

run riad plugin build
run riad plugin inspect "build/$name.wasm"
run riad plugin test
run riad plugin deploy
chat_has "$before"

# A real request, replayed on the author's machine.
request='{"model": "riad-mini", "max_output_tokens": 8, "input": "Hello?"}'
printf '\n$ curl %s/v1/responses -d %s\n' "$RIAD_URL" "'$request'"
number=$(curl --silent --show-error --fail "$RIAD_URL/v1/responses" --header "Authorization: Bearer $RIAD_KEY" \
    --header 'Content-Type: application/json' --data "$request" | sed -n 's/.*"number": *\([0-9]*\).*/\1/p')
printf 'receipt %s\n' "$number"
run riad plugin test --from-receipt "$number" --update
[ -s "tests/receipt-$number.json" ] || fail "the request was not kept as a case"
run riad plugin test

printf '\n$ riad plugin dev &\n'
# There before `dev` begins, which a busy machine may let wait.
: >"$log"
"$RIAD" plugin dev >"$log" 2>&1 &
dev=$!
trap 'kill "$dev" 2>/dev/null || true' EXIT
deployed 1
printf '\n$ edit %s\n' "$source"
edit
cmp -s "$source" "$source.before" && fail "the edit changed nothing"
rm "$source.before"
deployed 2
cat "$log"
chat_has "$after"
kill "$dev"
wait "$dev" 2>/dev/null || true
trap - EXIT

run riad plugin versions "$name"
run riad plugin rollback "$name"
chat_has "$before"
run riad plugin logs
printf '\n%s: everything held.\n' "$language"
