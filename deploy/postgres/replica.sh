#!/bin/sh
# The replica: copied from the primary when there is nothing here yet, and following it from then on.
set -eu

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    chmod 0700 "$PGDATA"
    PGPASSWORD="$REPLICATION_PASSWORD" pg_basebackup --pgdata="$PGDATA" --checkpoint=fast --wal-method=stream --slot=replica \
        --write-recovery-conf --dbname="host=${PRIMARY:-primary} port=${PRIMARY_PORT:-5432} user=replicator application_name=replica"
fi
exec postgres -c listen_addresses='*' "$@"
