#!/usr/bin/env bash
# Makes a second private PostgreSQL beside the staged one, in which pgraft is what
# the next release could be: protocol and data versions one higher, version 1.1,
# an update script for the extension.  For the tests of upgrades.
#
#	build/stage-next.sh
#
# To be run after build/stage.sh, whose files of PostgreSQL it shares by hard
# links.  What pgraft is built to lies below artifacts/next and is built anew only
# when a source changed.  Prints the copy's bin directory as its only line on
# standard output.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ -n "${PGRAFT_STAGE:-}" ] || PGRAFT_STAGE=$PGRAFT_ROOT/artifacts/stage
readonly NEXT_STAGE=$PGRAFT_STAGE-next
readonly RELEASE=$PGRAFT_ROOT/tests/PgRaft.Upgrade.Tests/NextRelease

share_postgres()
{
    local directory
    rm -rf -- "$NEXT_STAGE"
    for directory in "$("$PG_CONFIG" --bindir)" "$("$PG_CONFIG" --pkglibdir)" "$("$PG_CONFIG" --sharedir)"; do
        mkdir -p "$NEXT_STAGE$directory"
        cp -al "$PGRAFT_STAGE$directory/." "$NEXT_STAGE$directory/"
    done

    # A link that is written through would change the staged release too.
    find "$NEXT_STAGE" -name 'pgraft*' -type f -delete
}

install_next()
{
    local extension
    extension=$NEXT_STAGE$("$PG_CONFIG" --sharedir)/extension
    say "stage-next: installing the next release"
    make -C "$PGRAFT_ROOT" --no-print-directory install NEXT=1 \
        DESTDIR="$NEXT_STAGE" PG_CONFIG="$PG_CONFIG" >&2
    install -m 644 "$RELEASE/pgraft--1.0--1.1.sql" "$extension/"
    sed -i "s/^default_version = .*/default_version = '1.1'/" "$extension/pgraft.control"
    chmod -R a+rX "$NEXT_STAGE"
}

main()
{
    [ -d "$PGRAFT_STAGE" ] || die "$PGRAFT_STAGE is not there; run build/stage.sh first"
    share_postgres
    install_next
    printf '%s%s\n' "$NEXT_STAGE" "$("$PG_CONFIG" --bindir)"
}

main "$@"
