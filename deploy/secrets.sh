#!/bin/sh
# Writes .env for docker-compose.yml, readable by its owner alone: a random word for every name in .env.example. Never writes over one.
set -eu

cd "$(dirname "$0")/.."
if [ -e .env ]; then
    echo ".env is there already: nothing was written." >&2
    exit 1
fi
umask 077
new=$(mktemp .env.XXXXXX)
trap 'rm -f "$new"' EXIT
sed -n 's/^\([A-Z_]*\)=$/\1/p' .env.example | while read -r name; do
    printf '%s=%s\n' "$name" "$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')"
done > "$new"
mv "$new" .env
echo "Wrote .env. The first admin signs in as admin with its ADMIN_PASSWORD. Keep PEPPER with your back-ups."
