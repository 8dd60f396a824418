# shellcheck shell=bash
# The servers that run.sh measures: three with pgraft, and three of etcd. To be sourced after
# build/common.sh, with dir and bindir set. Everything is below $dir, so on one file system.

declare -A pg_port raft_port etcd_port etcd_peer_port

write_settings()
{
    cat >>"$dir/node$1/postgresql.conf" <<CONF
port = ${pg_port[$1]}
listen_addresses = ''
unix_socket_directories = '$dir'
fsync = off
max_connections = 300
shared_preload_libraries = 'pgraft'
pgraft.node_id = $1
pgraft.port = ${raft_port[$1]}
pgraft.initial_cluster = '$2'
CONF
}

start_cluster()
{
    local node members=
    for node in 1 2 3; do
        pg_port[$node]=$(free_port)
        raft_port[$node]=$(free_port)
        members+="${members:+,}$node=127.0.0.1:${raft_port[$node]}"
    done
    as_server_user "$bindir/initdb" -N -U postgres -A trust -D "$dir/node1" >/dev/null
    for node in 2 3; do
        as_server_user cp -a "$dir/node1" "$dir/node$node"
    done
    for node in 1 2 3; do
        write_settings "$node" "$members"
        as_server_user "$bindir/pg_ctl" start -s -w -D "$dir/node$node" -l "$dir/node$node.log"
        sql "$node" 'CREATE EXTENSION pgraft' >/dev/null
    done
    sql 1 "SELECT pgraft_kv_put('ready', 'yes')" >/dev/null
}

stop_cluster()
{
    local node
    for node in 1 2 3; do
        if [ -f "$dir/node$node/postmaster.pid" ]; then
            as_server_user "$bindir/pg_ctl" stop -s -m immediate -D "$dir/node$node" || :
        fi
    done
}

sql()
{
    "$bindir/psql" -X -At -v ON_ERROR_STOP=1 -U postgres -h "$dir" -p "${pg_port[$1]}" -c "$2" postgres
}

# Node whose pgraft_is_leader() is t, or f.
node_where()
{
    local node
    for node in 1 2 3; do
        if [ "$(sql "$node" 'SELECT pgraft_is_leader()')" = "$1" ]; then
            printf '%s\n' "$node"
            return
        fi
    done
    die "no such node"
}

# Prints etcd's path: an installed one, or the one that `build/setup.sh --bench` has unpacked.
find_etcd()
{
    command -v etcd || { [ -x "$PGRAFT_ROOT/artifacts/etcd/usr/bin/etcd" ] &&
        printf '%s\n' "$PGRAFT_ROOT/artifacts/etcd/usr/bin/etcd"; }
}

# At its defaults, which for heartbeats and elections are pgraft's.
start_etcd()
{
    local program=$1 node members=
    for node in 1 2 3; do
        etcd_port[$node]=$(free_port)
        etcd_peer_port[$node]=$(free_port)
        members+="${members:+,}node$node=http://127.0.0.1:${etcd_peer_port[$node]}"
    done
    # A server's user may not be able to look into the tree.
    install -m 755 "$program" "$dir/etcd"
    for node in 1 2 3; do
        # shellcheck disable=SC2016
        as_server_user sh -c 'log=$1; shift; "$@" >"$log" 2>&1 </dev/null & echo $! >"$log.pid"' sh \
            "$dir/etcd$node.log" "$dir/etcd" --name "node$node" --data-dir "$dir/etcd$node" --logger zap \
            --log-level error --listen-client-urls "http://127.0.0.1:${etcd_port[$node]}" \
            --advertise-client-urls "http://127.0.0.1:${etcd_port[$node]}" \
            --listen-peer-urls "http://127.0.0.1:${etcd_peer_port[$node]}" \
            --initial-advertise-peer-urls "http://127.0.0.1:${etcd_peer_port[$node]}" \
            --initial-cluster "$members"
    done
}

stop_etcd()
{
    local node pid
    for node in 1 2 3; do
        pid=$(cat "$dir/etcd$node.log.pid" 2>/dev/null) || continue
        kill "$pid" 2>/dev/null || continue
        timeout 10 tail --pid="$pid" -f /dev/null || :
    done
}
