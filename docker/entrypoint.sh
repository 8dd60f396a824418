#!/usr/bin/env bash
# Turns PGRAFT_* environment variables into settings on the server's command line
# and hands over to the PostgreSQL image's own entrypoint.  A setting that is
# wrong stops the server with a message that names it.
#
#   PGRAFT_CLUSTER_ID=demo      ->  -c pgraft.cluster_id=demo
#   PGRAFT_INITIAL_CLUSTER=...  ->  -c pgraft.initial_cluster=...
#
# CREATE EXTENSION is left to the user (or to a file in
# /docker-entrypoint-initdb.d), because it is needed only where SQL is used.

set -euo pipefail

# As the image's entrypoint does: options alone are options of the server.
if [[ ${1:-} == -* ]]; then
    set -- postgres "$@"
fi

# The server answers these only as its first argument.
asks_only()
{
    [[ ${1:-} == '-?' || ${1:-} == -V || ${1:-} == --help || ${1:-} == --version ||
        ${1:-} == --describe-config ]]
}

if [ "${1:-}" = postgres ] && ! asks_only "${2:-}"; then
    shift
    settings=(-c shared_preload_libraries=pgraft)
    while IFS='=' read -r -d '' name value; do
        case $name in
            PGRAFT_*)
                setting=${name#PGRAFT_}
                settings+=(-c "pgraft.${setting,,}=$value")
                ;;
        esac
    done < <(env -0)
    set -- postgres "${settings[@]}" "$@"
fi

exec docker-entrypoint.sh "$@"
