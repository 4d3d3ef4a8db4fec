#!/bin/sh
# Starts the server with its secrets. systemd gives them as files (LoadCredential=), the server reads them from the environment.
set -eu

for name in RIAD_OPERATOR_KEY RIAD_METRICS_KEY RIAD_WEBHOOK_SECRET HF_TOKEN; do
    file="$CREDENTIALS_DIRECTORY/riad_$name"
    if [ -f "$file" ]; then
        value=$(cat "$file")
        export "$name=$value"
    fi
done
# `exec`, so that signals reach the server.
exec /opt/riad/riad serve --config /etc/riad/riad.toml
