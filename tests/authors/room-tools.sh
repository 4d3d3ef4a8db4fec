#!/bin/sh
# Builds and deploys plugins/order-desk from the folder that it is called in, a copy, and has the model call its tool.
# RIAD is the program; RIAD_URL and RIAD_KEY are a server and a tenant's key; PYTHON has OpenAI's client.
# Exit codes: 0, everything held; 3, the packages could not be fetched, so nothing was tried; else a step failed.
set -eu

scripts=$(cd "$(dirname "$0")" && pwd)
orders='[{"number": "A-1001", "status": "shipped", "placed": "2026-05-01"}]'

if ! { python3 -m venv .venv && .venv/bin/pip install --quiet --disable-pip-version-check --retries 1 --timeout 20 \
    --requirement requirements.txt; } >prepare.log 2>&1; then
    tail -n 3 prepare.log >&2
    exit 3
fi
set -x
"$RIAD" settings set "orders=$orders"
"$RIAD" plugin deploy
"$PYTHON" "$scripts/room_tools.py"
