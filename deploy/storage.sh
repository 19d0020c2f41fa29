#!/bin/sh
# The store of files, and an account for the service that may use one bucket and nothing else. The root's words stay in this container.
set -eu

export MC_CONFIG_DIR=/tmp/mc "MC_HOST_local=http://$MINIO_ROOT_USER:$MINIO_ROOT_PASSWORD@127.0.0.1:9000"
rm -f /tmp/ready
minio server /data &
server=$!
trap 'kill -TERM "$server"' TERM INT
until mc admin info local > /dev/null 2>&1; do
    kill -0 "$server"
    sleep 1
done
mc mb --ignore-existing local/stories
mc admin policy create local stories /policy.json
mc admin user add local complex-stories "$STORAGE_PASSWORD"
# It says no where that is so already, as after a restart.
mc admin policy attach local stories --user complex-stories || mc admin user info local complex-stories | grep -q stories
touch /tmp/ready
wait "$server" || wait "$server"
