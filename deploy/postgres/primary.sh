#!/bin/sh
# Runs once, when the primary's cluster is made: a database whose owner is no superuser, and a role that can only replicate.
set -eu

psql --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres \
    --set=database_password="$DATABASE_PASSWORD" --set=replication_password="$REPLICATION_PASSWORD" <<'SQL'
CREATE ROLE complex_stories LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'database_password';
CREATE ROLE replicator LOGIN REPLICATION NOSUPERUSER CONNECTION LIMIT 5 PASSWORD :'replication_password';
CREATE DATABASE complex_stories OWNER complex_stories TEMPLATE template0 ENCODING 'UTF8';
REVOKE CONNECT, TEMPORARY ON DATABASE complex_stories FROM PUBLIC;
SELECT pg_create_physical_replication_slot('replica');
SQL
# Replication has lines of its own there: the image lets nobody in from another machine for it.
printf 'host replication replicator samenet scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
