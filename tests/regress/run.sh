#!/usr/bin/env bash
# Runs the pg_regress suite: the SQL surface on one throwaway server.
#
#   tests/regress/run.sh [TEST]...
#
# With names, only those tests run, after the ones that prepare (setup, found).
# Uses the staged PostgreSQL of PGRAFT_BINDIR, and stages one otherwise.  The
# suite runs in four parts: without the library preloaded, with it, as a member
# whose peers do not exist, and with a core library whose answers are wrong, in a
# copy of the staged PostgreSQL.
#
# A failure prints the differences and the end of the server's log.  The last
# line is `N passed, N failed, N skipped`; ends non-zero when a test failed or
# none ran.  UPDATE=1 takes the results over as the expected ones, for review
# as a diff.

. "$(dirname "${BASH_SOURCE[0]}")/../../build/common.sh"

readonly HERE=$PGRAFT_ROOT/tests/regress
readonly UNLOADED_TESTS=(unloaded)
readonly TESTS=(setup surface privileges arguments no_cluster found status findings kv log
    membership recovery session encoding extension)
readonly NO_QUORUM_TESTS=(no_quorum)
readonly HOSTILE_TESTS=(hostile)
readonly PREPARING_TESTS=" setup found "

passed=0
failed=0

server()
{
    as_server_user "$BINDIR/pg_ctl" -s -w -D "$WORK/data" -l "$WORK/log" "$@"
}

sql()
{
    as_server_user "$BINDIR/psql" -X -q -h "$WORK" -p "$PORT" -d "${2:-regression}" \
        -v ON_ERROR_STOP=1 -c "$1"
}

finish()
{
    [ ! -f "$WORK/data/postmaster.pid" ] || server -m immediate stop || :
    rm -rf -- "$WORK"
    remove_temporary_stage
}

find_postgres()
{
    choose_stage
    if [ -n "${PGRAFT_BINDIR:-}" ]; then
        BINDIR=$PGRAFT_BINDIR
    else
        BINDIR=$("$PGRAFT_ROOT/build/stage.sh")
    fi
    PG_REGRESS=$(dirname "$("$PG_CONFIG" --pgxs)")/../test/regress/pg_regress
    [ -x "$PG_REGRESS" ] || die "$PG_REGRESS is not there; run build/setup.sh"
}

create_server()
{
    PORT=$(free_port)
    as_server_user "$BINDIR/initdb" -A trust -N -E UTF8 --locale=C -D "$WORK/data" >/dev/null
    cat >>"$WORK/data/postgresql.conf" <<CONF
port = $PORT
unix_socket_directories = '$WORK'
listen_addresses = ''
fsync = off
log_error_verbosity = verbose
log_line_prefix = '%m [%p] %d '
CONF
    server start
    sql "CREATE DATABASE regression TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'" postgres
    sql "CREATE DATABASE latin1 TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'" postgres
    sql "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'" postgres
}

preload_pgraft()
{
    cat >>"$WORK/data/postgresql.conf" <<CONF
shared_preload_libraries = 'pgraft'
pgraft.port = $(free_port)
CONF
    server restart
}

# Goes on as a founding member of a cluster whose other two members do not exist.
lose_quorum()
{
    local port
    server -m fast stop
    port=$(sed -n 's/^pgraft.port = //p' "$WORK/data/postgresql.conf")
    cat >>"$WORK/data/postgresql.conf" <<CONF
pgraft.data_dir = 'pgraft_no_quorum'
pgraft.initial_cluster = '1=127.0.0.1:$port,2=127.0.0.1:$(free_port),3=127.0.0.1:$(free_port)'
CONF
    server start
}

# pg_regress reads and writes as the server's user, who may not see the tree.
prepare_files()
{
    mkdir "$WORK/regress"
    cp -R "$HERE/sql" "$HERE/expected" "$WORK/regress/"
    if [ -n "${UPDATE:-}" ]; then
        (cd "$WORK/regress/sql" && for file in *.sql; do touch "../expected/${file%.sql}.out"; done)
    fi
    if [ "$(id -u)" -eq 0 ]; then
        chown -R "$PGRAFT_SERVER_USER" "$WORK/regress"
    fi
}

# Counts the result lines of pg_regress, whose form changed in PostgreSQL 16.
# What is not reported as good, because pg_regress gave up, has failed.
count_results()
{
    local output=$1 asked=$2 ok
    ok=$(grep -cE '^(test .* \.\.\. ok|ok +[0-9])' "$output" || :)
    passed=$((passed + ok))
    failed=$((failed + asked - ok))
}

run_tests()
{
    local output=$WORK/output
    as_server_user env PGOPTIONS= "$PG_REGRESS" --use-existing --bindir="$BINDIR" \
        --inputdir="$WORK/regress" --outputdir="$WORK/regress" \
        --host="$WORK" --port="$PORT" --dbname=regression "$@" >"$output" 2>&1 </dev/null || :
    grep -E '^(test |ok |not ok )' "$output" || cat "$output"
    count_results "$output" $#
    if [ -s "$WORK/regress/regression.diffs" ]; then
        cat "$WORK/regress/regression.diffs"
        mv "$WORK/regress/regression.diffs" "$WORK/regress/regression.diffs.shown"
    fi
    if [ -n "${UPDATE:-}" ]; then
        cp "$WORK"/regress/results/*.out "$HERE/expected/"
    fi
}

# Goes on with a copy of the staged PostgreSQL that has another core library.
install_hostile_core()
{
    local pkglibdir prefix copy=$WORK/stage
    pkglibdir=$("$PG_CONFIG" --pkglibdir)
    prefix=${BINDIR%"$("$PG_CONFIG" --bindir)"}
    server -m fast stop
    for directory in "$("$PG_CONFIG" --bindir)" "$pkglibdir" "$("$PG_CONFIG" --sharedir)"; do
        mkdir -p "$copy$directory"
        cp -R "$prefix$directory/." "$copy$directory/"
    done
    rm "$copy$pkglibdir/pgraft_core.so"
    gcc -std=gnu11 -shared -fPIC -I "$PGRAFT_ROOT/shim" -o "$copy$pkglibdir/pgraft_core.so" \
        "$PGRAFT_ROOT/tests/abi/hostile_core.c" -lpthread
    chmod -R a+rX "$copy"
    BINDIR=$copy$("$PG_CONFIG" --bindir)
    server start
}

select_tests()
{
    local test
    for test in "${TESTS[@]}"; do
        if [ $# -eq 0 ] || [[ $PREPARING_TESTS == *" $test "* ]] || [[ " $* " == *" $test "* ]]; then
            printf '%s\n' "$test"
        fi
    done
}

main()
{
    local -a selected
    find_postgres
    WORK=$(make_server_dir)
    trap finish EXIT
    mapfile -t selected < <(select_tests "$@")
    create_server
    prepare_files
    if [ $# -eq 0 ]; then
        run_tests "${UNLOADED_TESTS[@]}"
    fi
    preload_pgraft
    run_tests "${selected[@]}"
    if [ $# -eq 0 ] || [[ " $* " == *" no_quorum "* ]]; then
        lose_quorum
        run_tests "${NO_QUORUM_TESTS[@]}"
    fi
    if [ $# -eq 0 ]; then
        install_hostile_core
        run_tests "${HOSTILE_TESTS[@]}"
    fi
    if [ "$failed" -ne 0 ]; then
        tail -n 60 "$WORK/log"
    fi
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" 0
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

main "$@"
