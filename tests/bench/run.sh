#!/usr/bin/env bash
# Measures puts and gets from SQL on three servers on this machine, beside what they are made of (one
# fdatasync, one round trip to a server), all in one run: compare the lines with each other, never
# with another run's. Usage: run.sh [seconds per line, default 5]

. "$(dirname "${BASH_SOURCE[0]}")/../../build/common.sh"

readonly SECONDS_PER_LINE=${1:-5}
dir=
bindir=
declare -A pg_port raft_port

finish()
{
    local node
    for node in 1 2 3; do
        if [ -f "$dir/node$node/postmaster.pid" ]; then
            as_server_user "$bindir/pg_ctl" stop -s -m immediate -D "$dir/node$node" || :
        fi
    done
    rm -rf -- "$dir"
    remove_temporary_stage
}

write_settings()
{
    cat >>"$dir/node$1/postgresql.conf" <<CONF
port = ${pg_port[$1]}
listen_addresses = ''
unix_socket_directories = '$dir'
fsync = off
max_connections = 200
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
        sql "$node" 'CREATE EXTENSION pgraft'
    done
    sql 1 "SELECT pgraft_kv_put('ready', 'yes')" >/dev/null
}

sql()
{
    "$bindir/psql" -X -At -v ON_ERROR_STOP=1 -U postgres -h "$dir" -p "${pg_port[$1]}" -c "$2" postgres
}

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

# label, node, clients, statement
measure()
{
    local report rate latency
    printf '\\set k random(1, 10000)\n%s;\n' "$4" >"$dir/script.sql"
    report=$("$bindir/pgbench" -n -U postgres -h "$dir" -p "${pg_port[$2]}" -c "$3" -j 2 -M prepared \
        -T "$SECONDS_PER_LINE" -f "$dir/script.sql" postgres 2>"$dir/pgbench.err") \
        || die "$(tail -n 3 "$dir/pgbench.err")"
    rate=$(sed -n 's/^tps = \([0-9]*\)\..*/\1/p' <<<"$report")
    latency=$(sed -n 's/^latency average = \(.*\)/\1/p' <<<"$report")
    printf '%-34s %4d clients %8d /s   mean %s\n' "$1" "$3" "$rate" "$latency"
}

main()
{
    local leader follower put get
    choose_stage
    bindir=$(stage_bindir)
    dir=$(make_server_dir)
    trap finish EXIT
    chmod 0777 "$dir"
    start_cluster
    leader=$(node_where t)
    follower=$(node_where f)
    put="SELECT pgraft_kv_put('k' || :k, repeat('x', 128))"
    get="SELECT pgraft_kv_get('k' || :k)"

    "$bindir/pg_test_fsync" -s 1 -f "$dir/fsync.probe" 2>/dev/null |
        sed -n '0,/^ *fdatasync/s/^ *fdatasync *\(.*\)/fdatasync of 8 kB: \1/p' || :
    measure 'SELECT 1 (round trip)' "$leader" 1 'SELECT 1'
    for clients in 1 64; do
        measure 'put on the leader' "$leader" "$clients" "$put"
        measure 'put on a follower' "$follower" "$clients" "$put"
        measure 'linearizable get on the leader' "$leader" "$clients" "$get"
        measure 'linearizable get on a follower' "$follower" "$clients" "$get"
        measure 'local get' "$follower" "$clients" "${get%)}, 'local')"
    done
    measure 'is_leader() x 1000' "$leader" 1 \
        'SELECT count(pgraft_is_leader()) FROM generate_series(1, 1000)'
    measure 'get_leader() x 1000' "$leader" 1 \
        'SELECT count(pgraft_get_leader()) FROM generate_series(1, 1000)'
}

main
