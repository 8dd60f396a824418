# shellcheck shell=bash
# Shared by the scripts in build/: where things are, who runs PostgreSQL, free
# ports.  To be sourced, never executed; sets no trap and starts nothing.
#
# PostgreSQL refuses to run as root, so for root every server is run as the user
# `postgres`; anybody else runs servers as himself.

set -euo pipefail

PGRAFT_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PGRAFT_SERVER_USER=${PGRAFT_SERVER_USER:-postgres}
PG_CONFIG=${PG_CONFIG:-pg_config}

say()
{
    printf '%s\n' "$*" >&2
}

die()
{
    say "$(basename "$0"): $*"
    exit 1
}

# Runs a command as the user that may run PostgreSQL, from a directory he may be
# in.
as_server_user()
{
    if [ "$(id -u)" -ne 0 ]; then
        "$@"
    else
        (cd / && runuser -u "$PGRAFT_SERVER_USER" -- "$@")
    fi
}

# Makes a temporary directory that the server's user owns; prints its name.
# Kept short: Unix socket paths end after 107 bytes.
make_server_dir()
{
    local dir
    dir=$(mktemp -d /tmp/pgraft.XXXXXX)
    if [ "$(id -u)" -eq 0 ]; then
        chown "$PGRAFT_SERVER_USER" "$dir"
    fi
    chmod 0711 "$dir"
    printf '%s\n' "$dir"
}

port_is_free()
{
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Prints a port nobody listens on, below the kernel's range of ephemeral ports
# so that an outgoing connection does not take it in the meantime.
free_port()
{
    local port
    while :; do
        port=$((10000 + (RANDOM * 32768 + RANDOM) % 22000))
        if port_is_free "$port"; then
            printf '%s\n' "$port"
            return
        fi
    done
}

# True when the server's user can reach and read the directory.
server_user_can_read()
{
    as_server_user test -r "$1" -a -x "$1" 2>/dev/null
}

# Decides where the private PostgreSQL goes: PGRAFT_STAGE when the caller has
# one, artifacts/stage when the server's user can read the tree, and otherwise
# (a checkout under /root) a temporary directory, which the caller removes when
# PGRAFT_STAGE_IS_TEMPORARY is set.
choose_stage()
{
    PGRAFT_STAGE_IS_TEMPORARY=
    if [ -n "${PGRAFT_STAGE:-}" ]; then
        export PGRAFT_STAGE
        return
    fi
    mkdir -p "$PGRAFT_ROOT/artifacts"
    if server_user_can_read "$PGRAFT_ROOT/artifacts"; then
        PGRAFT_STAGE=$PGRAFT_ROOT/artifacts/stage
    else
        PGRAFT_STAGE=$(mktemp -d /var/tmp/pgraft-stage.XXXXXX)
        chmod 0755 "$PGRAFT_STAGE"
        PGRAFT_STAGE_IS_TEMPORARY=1
    fi
    export PGRAFT_STAGE
}

remove_temporary_stage()
{
    if [ -n "${PGRAFT_STAGE_IS_TEMPORARY:-}" ]; then
        rm -rf -- "$PGRAFT_STAGE" "$PGRAFT_STAGE-next"
    fi
}

# The staged server's bin directory.
stage_bindir()
{
    printf '%s%s\n' "$PGRAFT_STAGE" "$("$PG_CONFIG" --bindir)"
}
