#!/usr/bin/env bash
# Shows pgraft at work on three real PostgreSQL servers on this machine: founds a
# cluster with SQL, writes and reads through different nodes, kills the leader,
# shows that nothing was lost, and brings the old leader back.
#
# Every step is checked; the first that is not as it should be ends the demo with
# a non-zero status and the end of each server's log.  The servers live in a
# temporary directory and are gone afterwards, unless KEEP=1, which leaves them
# running and prints how to connect and how to stop them.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly KEYS_PER_NODE=100
readonly START_DEADLINE_MS=15000
readonly FAILOVER_DEADLINE_MS=15000
readonly CATCH_UP_DEADLINE_MS=20000

KEEP=${KEEP:-0}
bindir=
dir=
succeeded=
pg_port=()
raft_port=()

step()
{
    printf '\n%s\n' "$*"
}

tell()
{
    printf '    %s\n' "$*"
}

fail()
{
    printf '\n    FAILED: %s\n' "$*"
    exit 1
}

now_ms()
{
    local ns
    ns=$(date +%s%N)
    printf '%s\n' $((ns / 1000000))
}

# Seconds since a time in milliseconds, with two digits.
since()
{
    local ms=$(($(now_ms) - $1))
    printf '%d.%02d s' $((ms / 1000)) $((ms % 1000 / 10))
}

# Runs one statement on a node.
sql()
{
    "$bindir/psql" -X -At -q -v ON_ERROR_STOP=1 -U "$server_user" -h "$dir" -p "${pg_port[$1]}" \
        -d postgres -c "$2" 2>>"$dir/psql.err"
}

# Runs a statement on a node, shows it, and insists on its answer.
expect()
{
    local node=$1 wanted=$2 statement=$3 got began
    began=$(now_ms)
    got=$(sql "$node" "$statement") || fail "node $node: $statement: $(tail -n 3 "$dir/psql.err")"
    [ "$got" = "$wanted" ] || fail "node $node: $statement: got \"$got\", wanted \"$wanted\""
    [ "$got" != t ] || got=true
    tell "node $node  $statement  ->  $got   ($(since "$began"))"
}

# Waits until a statement on a node answers as wanted; the interval only limits
# how often it is asked.
wait_until()
{
    local deadline=$(($(now_ms) + $1)) node=$2 wanted=$3 statement=$4 got=
    while [ "$(now_ms)" -lt "$deadline" ]; do
        if got=$(sql "$node" "$statement") && [ "$got" = "$wanted" ]; then
            return
        fi
        sleep 0.02
    done
    fail "node $node: $statement: still \"$got\" after $1 ms, wanted \"$wanted\""
}

pg_ctl_node()
{
    local node=$1
    shift
    as_server_user "$bindir/pg_ctl" "$@" -s -w -D "$dir/node$node" >>"$dir/pg_ctl.log" 2>&1
}

start_node()
{
    pg_ctl_node "$1" start -l "$dir/node$1.log" || fail "server $1 does not start; see below"
}

write_settings()
{
    local node=$1
    cat >>"$dir/node$node/postgresql.conf" <<CONF

port = ${pg_port[$node]}
listen_addresses = '127.0.0.1'
unix_socket_directories = '$dir'
fsync = off				# PostgreSQL's own data is worth nothing here; pgraft always syncs
shared_buffers = 16MB
shared_preload_libraries = 'pgraft'
pgraft.cluster_id = 'demo'
pgraft.node_id = $node
pgraft.address = '127.0.0.1'
pgraft.port = ${raft_port[$node]}
CONF
}

stop_servers()
{
    local node
    for node in 1 2 3; do
        if [ -f "$dir/node$node/postmaster.pid" ]; then
            pg_ctl_node "$node" stop -m immediate || :
        fi
    done
}

show_logs()
{
    local node
    for node in 1 2 3; do
        [ -f "$dir/node$node.log" ] || continue
        printf '\n--- end of the log of server %d\n' "$node"
        tail -n 15 "$dir/node$node.log"
    done
}

finish()
{
    local status=$?
    trap - EXIT INT TERM
    if [ -n "$dir" ]; then
        [ -n "$succeeded" ] || show_logs
        if [ -n "$succeeded" ] && [ "$KEEP" = 1 ]; then
            exit "$status"
        fi
        stop_servers
        rm -rf -- "$dir"
    fi
    remove_temporary_stage
    exit "$status"
}

prepare()
{
    local began node
    began=$(now_ms)
    step "Three PostgreSQL servers"
    choose_stage
    bindir=$("$PGRAFT_ROOT/build/stage.sh" 2>/dev/null) ||
        { "$PGRAFT_ROOT/build/stage.sh" >/dev/null; fail "no private PostgreSQL"; }
    dir=$(make_server_dir)
    tell "$("$bindir/postgres" --version) with pgraft, in $dir"
    as_server_user "$bindir/initdb" -N -A trust -U "$server_user" -D "$dir/node1" >/dev/null
    for node in 2 3; do
        as_server_user cp -a "$dir/node1" "$dir/node$node"
    done
    for node in 1 2 3; do
        pg_port[node]=$(free_port)
        raft_port[node]=$(free_port)
        write_settings "$node"
        start_node "$node"
        sql "$node" 'CREATE EXTENSION pgraft' >/dev/null || fail "CREATE EXTENSION on node $node: $(tail -n 3 "$dir/psql.err")"
        tell "node $node  PostgreSQL on port ${pg_port[$node]}, Raft on port ${raft_port[$node]}"
    done
    tell "ready ($(since "$began"))"
}

found()
{
    local node
    step "Founding the cluster: one node, then two more"
    wait_until "$START_DEADLINE_MS" 1 WAITING 'SELECT pgraft_get_worker_state()'
    expect 1 t 'SELECT pgraft_init()'
    for node in 2 3; do
        wait_until "$START_DEADLINE_MS" "$node" WAITING 'SELECT pgraft_get_worker_state()'
        expect 1 t "SELECT pgraft_add_node($node, '127.0.0.1', ${raft_port[$node]})"
    done
    for node in 1 2 3; do
        wait_until "$START_DEADLINE_MS" "$node" 1 'SELECT pgraft_get_leader()'
    done
    show_members 1
}

show_members()
{
    local line
    while IFS='|' read -r line; do
        tell "        $line"
    done < <(sql "$1" "SELECT format('member %s at %s:%s%s', node_id, address, port,
        CASE WHEN is_leader THEN '  (leader)' END) FROM pgraft_get_nodes() ORDER BY node_id")
}

write_and_read()
{
    local node began written
    step "Writing through one node, reading through another"
    expect 2 t "SELECT pgraft_kv_put('greeting', 'hello from node 2')"
    expect 3 'hello from node 2' "SELECT pgraft_kv_get('greeting')"
    began=$(now_ms)
    for node in 1 2 3; do
        written=$(sql "$node" "SELECT count(*) FILTER (WHERE pgraft_kv_put(format('demo/%s/%s', $node, i), 'value ' || i))
            FROM generate_series(1, $KEYS_PER_NODE) i") || fail "writing through node $node: $(tail -n 3 "$dir/psql.err")"
        [ "$written" = "$KEYS_PER_NODE" ] || fail "node $node acknowledged $written of $KEYS_PER_NODE writes"
    done
    tell "$((3 * KEYS_PER_NODE)) more keys, $KEYS_PER_NODE through each node, each acknowledged by a majority ($(since "$began"))"
}

# Insists that every key written so far reads back through a node.
read_everything()
{
    local node=$1 found began
    began=$(now_ms)
    found=$(sql "$node" "SELECT count(*) FROM generate_series(1, 3) n, generate_series(1, $KEYS_PER_NODE) i
        WHERE pgraft_kv_get(format('demo/%s/%s', n, i)) = 'value ' || i") || fail "reading through node $node: $(tail -n 3 "$dir/psql.err")"
    [ "$found" = $((3 * KEYS_PER_NODE)) ] || fail "node $node has $found of $((3 * KEYS_PER_NODE)) keys"
    tell "node $node  reads all $found keys back ($(since "$began"))"
}

# Writes through a node again and again until a write is acknowledged.
first_write()
{
    local deadline=$(($(now_ms) + FAILOVER_DEADLINE_MS))
    while [ "$(now_ms)" -lt "$deadline" ]; do
        if [ "$(sql "$1" "SELECT pgraft_kv_put('after', 'the failover')")" = t ]; then
            return
        fi
        sleep 0.02
    done
    fail "no write through node $1 within $FAILOVER_DEADLINE_MS ms of the leader's death"
}

kill_leader()
{
    local began
    old_leader=$(sql 1 'SELECT pgraft_get_leader()')
    survivor=$((old_leader % 3 + 1))
    other=$((survivor % 3 + 1))
    step "Killing the leader: pg_ctl stop -m immediate on node $old_leader"
    pg_ctl_node "$old_leader" stop -m immediate || fail "server $old_leader does not stop"
    began=$(now_ms)
    first_write "$survivor"
    tell "node $survivor  acknowledged a new write $(since "$began") later"
    wait_until "$FAILOVER_DEADLINE_MS" "$other" t "SELECT pgraft_get_leader() NOT IN (0, $old_leader)"
    tell "the new leader is node $(sql "$other" 'SELECT pgraft_get_leader()'), in term $(sql "$other" 'SELECT pgraft_get_term()')"
    read_everything "$other"
    expect "$other" 'hello from node 2' "SELECT pgraft_kv_get('greeting')"
}

bring_back()
{
    local began index status
    step "Bringing node $old_leader back"
    expect "$survivor" t "SELECT pgraft_kv_put('meanwhile', 'node $old_leader was away')"
    began=$(now_ms)
    start_node "$old_leader"
    index=$(sql "$survivor" 'SELECT pgraft_get_applied_index()')
    wait_until "$CATCH_UP_DEADLINE_MS" "$old_leader" t "SELECT pgraft_get_applied_index() >= $index"
    tell "node $old_leader  started and caught up to log index $index ($(since "$began"))"
    expect "$old_leader" "node $old_leader was away" "SELECT pgraft_kv_get('meanwhile', 'local')"
    read_everything "$old_leader"
    compare_states
}

# The same log applied must give the same state: equal index, equal hash.
compare_states()
{
    local node status first='' deadline
    deadline=$(($(now_ms) + CATCH_UP_DEADLINE_MS))
    while [ "$(now_ms)" -lt "$deadline" ]; do
        status=$(for node in 1 2 3; do
            sql "$node" "SELECT format('log index %s, revision %s, state %s', applied_index, revision, state_hash)
                FROM pgraft.endpoint_status WHERE node_id = $node"
        done | sort | uniq -c)
        if [[ $status =~ ^\ *3\ (.*)$ ]]; then
            first=${BASH_REMATCH[1]}
            break
        fi
        sleep 0.05
    done
    [ -n "$first" ] || fail "the members' states differ: $status"
    tell "all three members: $first"
}

how_to_go_on()
{
    local node run=''
    [ "$(id -u)" -ne 0 ] || run="runuser -u $PGRAFT_SERVER_USER -- "
    step "The cluster stays up. To connect:"
    for node in 1 2 3; do
        tell "$bindir/psql -U $server_user -h $dir -p ${pg_port[$node]} postgres"
    done
    printf '\nTo stop it and remove it:\n'
    for node in 1 2 3; do
        tell "$run$bindir/pg_ctl stop -D $dir/node$node"
    done
    tell "rm -rf $dir ${PGRAFT_STAGE_IS_TEMPORARY:+$PGRAFT_STAGE}"
}

main()
{
    local began
    if [ "$(id -u)" -eq 0 ]; then
        server_user=$PGRAFT_SERVER_USER
    else
        server_user=$(id -un)
    fi
    trap finish EXIT
    trap 'exit 130' INT TERM
    began=$(now_ms)
    prepare
    found
    write_and_read
    kill_leader
    bring_back
    succeeded=1
    step "Everything as it should be ($(since "$began") in all)."
    if [ "$KEEP" = 1 ]; then
        how_to_go_on
    fi
}

main "$@"
