#!/usr/bin/env bash
# Makes a private, relocatable copy of PostgreSQL with pgraft installed in it, so
# that tests and the demo need no root and change nothing outside the tree.
#
#	build/stage.sh [--check]
#
# The copy keeps the absolute layout below the stage (PGRAFT_STAGE, default
# artifacts/stage): PostgreSQL finds its libraries and share directory relative
# to its own binary, so they must be real files and not links.  PostgreSQL itself
# is copied only when its version or place changed; pgraft's files every time.
# --check proves the result: a throwaway server must load pgraft from the copy.
# Prints the copy's bin directory as its only line on standard output.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ -n "${PGRAFT_STAGE:-}" ] || PGRAFT_STAGE=$PGRAFT_ROOT/artifacts/stage

copy_tree()
{
    mkdir -p "$PGRAFT_STAGE$1"
    cp -RL --preserve=mode,timestamps "$1/." "$PGRAFT_STAGE$1/"
}

postgres_identity()
{
    local bindir
    bindir=$("$PG_CONFIG" --bindir)
    printf '%s %s %s\n' "$("$PG_CONFIG" --version)" "$bindir" \
        "$(stat -Lc '%s %Y' "$bindir/postgres")"
}

stage_postgres()
{
    local stamp=$PGRAFT_STAGE/postgres.stamp
    if [ "$(cat "$stamp" 2>/dev/null)" = "$(postgres_identity)" ]; then
        return
    fi
    say "stage: copying $("$PG_CONFIG" --version) to $PGRAFT_STAGE"
    mkdir -p "$PGRAFT_STAGE"
    find "$PGRAFT_STAGE" -mindepth 1 -delete
    copy_tree "$("$PG_CONFIG" --bindir)"
    copy_tree "$("$PG_CONFIG" --pkglibdir)"
    copy_tree "$("$PG_CONFIG" --sharedir)"
    postgres_identity >"$stamp"
}

stage_pgraft()
{
    say "stage: installing pgraft"
    make -C "$PGRAFT_ROOT" --no-print-directory install \
        DESTDIR="$PGRAFT_STAGE" PG_CONFIG="$PG_CONFIG" >&2
    chmod -R a+rX "$PGRAFT_STAGE"
}

# Starts a throwaway server from the copy and asks it where it is.
check_stage()
{
    local bindir dir port found
    bindir=$(stage_bindir)
    dir=$(make_server_dir)
    port=$(free_port)
    # shellcheck disable=SC2064
    trap "as_server_user '$bindir/pg_ctl' stop -s -m immediate -D '$dir/data' 2>/dev/null || :; rm -rf -- '$dir'" EXIT
    as_server_user "$bindir/initdb" -A trust -N -D "$dir/data" >/dev/null
    as_server_user "$bindir/pg_ctl" start -s -w -D "$dir/data" -l "$dir/data/log" \
        -o "-p $port -k $dir -c listen_addresses= -c shared_preload_libraries=pgraft -c pgraft.port=$(free_port)" \
        || { cat "$dir/data/log" >&2; die "a server from $PGRAFT_STAGE does not start"; }
    found=$(as_server_user "$bindir/psql" -X -At -v ON_ERROR_STOP=1 -h "$dir" -p "$port" -d postgres -c 'CREATE EXTENSION pgraft' \
        -c "SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'" | tail -n 1)
    [ "$found" = "$PGRAFT_STAGE$("$PG_CONFIG" --pkglibdir)" ] ||
        die "the copy is not self-contained: its library directory is $found"
    say "stage: checked with a throwaway server"
}

main()
{
    stage_postgres
    stage_pgraft
    if [ "${1:-}" = --check ]; then
        check_stage
    fi
    stage_bindir
}

main "$@"
