#!/usr/bin/env bash
# Runs real servers under faults, checks what clients saw, and sums up
# (docs/reliability.md).
#
#   build/chaos.sh [--seconds N] [--seed N] [--nodes N] [--faults KIND,...] [--keep-history]
#       [--stale-reads] [--blind-swaps] [--output DIR]
#
# Everything must be built first, which `make chaos` sees to.  Ends with 0 when
# all is well, 1 when the cluster broke a promise (the evidence is then below
# artifacts/chaos), 2 when there was no run.  Partitions need root.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

main()
{
    local project=$PGRAFT_ROOT/tests/PgRaft.Chaos status=0
    choose_stage
    trap remove_temporary_stage EXIT
    PGRAFT_BINDIR=$("$PGRAFT_ROOT/build/stage.sh") || die "staging failed"
    export PGRAFT_BINDIR
    say "chaos: building"
    dotnet build "$project" -c Release --nologo -v q >&2 || exit 2
    "$project/bin/Release/net10.0/PgRaft.Chaos" "$@" || status=$?
    exit "$status"
}

main "$@"
