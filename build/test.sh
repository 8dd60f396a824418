#!/usr/bin/env bash
# Runs the tests and sums up.
#
#   build/test.sh [--tier NAME]... [--long] [--filter QUERY]
#   TIER="NAME..." build/test.sh
#
# Tiers: unit, engine, server, abi, regress, cluster, chaos, upgrade (and any other project
# tests/PgRaft.NAME.Tests, by its lower-case name); all of them by default.
# --long runs the tests marked with the trait `long`, which are left out
# otherwise, as does TIER=long.  --filter runs only test classes that match (xunit's wildcards).
#
# The last line is `N passed, N failed, N skipped`.  Ends non-zero when a test
# failed, a tier broke, or nothing ran.  Everything must be built first, which
# `make test` sees to; test projects are built here.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly CONFIGURATION=Release
readonly RESULTS=$PGRAFT_ROOT/artifacts/results

# A test is named when it has run for so long. If it hangs, its tier ends after limit_of_tier.
readonly SLOW_TEST_SECONDS=300

# What `timeout` ends with.
readonly TIMED_OUT=124

passed=0
failed=0
skipped=0
failures=()
tiers=()
default_tiers=()
runner_options=(-trait- "Category=long")
has_limit=true

# Whoever ends a server waits until it has been waited for. That is the business of the machine's
# first process, and in some containers it attends to it once a second.
waiter=()
! command -v tini >/dev/null || waiter=(tini -s --)

add_results()
{
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
    say "== $4: $1 passed, $2 failed, $3 skipped"
}

project_of_tier()
{
    local project name
    case $1 in
        unit) name=core ;;
        engine) name=consensus ;;
        *) name=$1 ;;
    esac
    for project in "$PGRAFT_ROOT"/tests/PgRaft.*.Tests; do
        project=${project##*/}
        if [ "$(printf '%s' "$project" | tr '[:upper:]' '[:lower:]')" = "pgraft.$name.tests" ]; then
            printf '%s\n' "$project"
            return
        fi
    done
    return 1
}

all_tiers()
{
    local project name
    printf 'unit\nengine\n'
    for project in "$PGRAFT_ROOT"/tests/PgRaft.*.Tests; do
        name=$(basename "$project" .Tests | tr '[:upper:]' '[:lower:]')
        case $name in
            pgraft.core | pgraft.consensus | pgraft.cluster) ;;
            *) printf '%s\n' "${name#pgraft.}" ;;
        esac
    done
    printf 'regress\ncluster\n'
}

# An attribute of the summary element of xunit's report; nothing when there is
# no report.
attribute()
{
    [ -f "$1" ] || return 0
    sed -n "s/.*<assembly [^>]*[ ]$2=\"\([0-9]*\)\".*/\1/p" "$1" | head -n 1
}

# Names of the failed tests in xunit's report.
failed_tests()
{
    [ -f "$1" ] || return 0
    grep -o '<test [^>]*result="Fail"' "$1" | sed 's/.* name="\([^"]*\)".*/\1/'
}

# A run that ends badly without naming a failed test (a crash, a class that
# does not load) counts as one failure.
count_project()
{
    local report=$1 status=$2 tier=$3 pass fail skip errors
    pass=$(attribute "$report" passed)
    fail=$(attribute "$report" failed)
    skip=$(attribute "$report" skipped)
    errors=$(attribute "$report" errors)
    fail=$((${fail:-0} + ${errors:-0}))
    if [ "$fail" -eq 0 ] && { [ "$status" -ne 0 ] || [ -z "$pass" ]; }; then
        fail=1
    fi
    mapfile -t -O "${#failures[@]}" failures < <(failed_tests "$report")
    add_results "${pass:-0}" "$fail" "${skip:-0}" "$tier"
}

# Several times what a tier takes on two cores; none for the long tests.
limit_of_tier()
{
    if [ "$has_limit" = false ]; then
        echo 0
    elif [ "$1" = cluster ]; then
        echo 3000
    else
        echo 900
    fi
}

run_project()
{
    local tier=$1 project=$2 report=$RESULTS/$1.xml status=0 output
    rm -f "$report"
    say "== $tier: building"
    if ! output=$(dotnet build "$PGRAFT_ROOT/tests/$project" -c "$CONFIGURATION" --nologo 2>&1); then
        say "$output"
        add_results 0 1 0 "$tier (does not build)"
        return
    fi
    say "== $tier: running"
    timeout --kill-after=10 "$(limit_of_tier "$tier")" ${waiter[@]+"${waiter[@]}"} \
        "$PGRAFT_ROOT/tests/$project/bin/$CONFIGURATION/net10.0/$project" -noLogo -noColor \
        -longRunning "$SLOW_TEST_SECONDS" \
        "${runner_options[@]}" -result-xml "$report" >&2 </dev/null || status=$?
    [ "$status" -ne "$TIMED_OUT" ] || failures+=("$tier did not end within its time")
    count_project "$report" "$status" "$tier"
}

# The script's own last line says what it counted.
run_regress()
{
    local script=$PGRAFT_ROOT/tests/regress/run.sh output=$RESULTS/regress.txt status=0 line
    say "== regress: running"
    timeout --kill-after=10 "$(limit_of_tier regress)" "$script" </dev/null 2>&1 \
        | tee "$output" >&2 || status=$?
    line=$(tail -n 1 "$output")
    if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        if [ "$status" -ne 0 ] && [ "${BASH_REMATCH[2]}" -eq 0 ]; then
            add_results "${BASH_REMATCH[1]}" 1 "${BASH_REMATCH[3]}" "regress (ended with $status)"
        else
            add_results "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}" regress
        fi
    else
        add_results 0 1 0 "regress (no result)"
    fi
}

run_tier()
{
    local project
    if [ "$1" = regress ]; then
        run_regress
    elif project=$(project_of_tier "$1"); then
        run_project "$1" "$project"
    else
        add_results 0 1 0 "$1 (no such tier)"
    fi
}

choose_long()
{
    has_limit=false
    # Live, because what they measure is told by tests that pass.
    runner_options=(-trait "Category=long" -showLiveOutput)
    default_tiers=(engine cluster)
}

parse_options()
{
    mapfile -t default_tiers < <(all_tiers)
    if [ "${TIER:-}" = long ]; then
        choose_long
    elif [ -n "${TIER:-}" ]; then
        read -ra tiers <<<"$TIER"
    fi
    while [ $# -gt 0 ]; do
        case $1 in
            --tier)
                tiers+=("${2:?--tier needs a name}")
                shift
                ;;
            --long) choose_long ;;
            --filter)
                runner_options+=(-class "${2:?--filter needs a class}")
                shift
                ;;
            *) die "unknown option $1" ;;
        esac
        shift
    done
    [ ${#tiers[@]} -gt 0 ] || tiers=("${default_tiers[@]}")
}

# The tiers with real servers share one private PostgreSQL.
stage_if_needed()
{
    case " ${tiers[*]} " in
        *" regress "* | *" cluster "* | *" chaos "* | *" upgrade "*)
            choose_stage
            trap remove_temporary_stage EXIT
            PGRAFT_BINDIR=$("$PGRAFT_ROOT/build/stage.sh" --check) || die "staging failed"
            export PGRAFT_BINDIR
            ;;
    esac
    case " ${tiers[*]} " in
        *" upgrade "*)
            PGRAFT_NEXT_BINDIR=$("$PGRAFT_ROOT/build/stage-next.sh") || die "staging failed"
            export PGRAFT_NEXT_BINDIR
            ;;
    esac
}

main()
{
    local tier name
    parse_options "$@"
    mkdir -p "$RESULTS"
    stage_if_needed
    for tier in "${tiers[@]}"; do
        run_tier "$tier"
    done
    # Last, where a log that is cut off still shows them.
    for name in ${failures[@]+"${failures[@]}"}; do
        say "FAILED: $name"
    done
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

main "$@"
