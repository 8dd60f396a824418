#!/usr/bin/env bash
# Proof that the guards are tested: takes each one out, in a copy of the tree, and demands that its
# test fails. Takes about ten seconds a guard. Usage: run.sh [part of a name]
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
only=${1:-}
work=$(mktemp -d "${TMPDIR:-/tmp}/pgraft-mutations.XXXXXX")
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

cp -r "$top/src" "$top/build" "$top/global.json" "$top/.editorconfig" "$work/"
mkdir "$work/tests"
cp -r "$top/tests/Directory.Build.props" "$top/tests/PgRaft.Core.Tests" \
    "$top/tests/PgRaft.Consensus.Tests" "$top/tests/PgRaft.Server.Tests" "$top/tests/PgRaft.Histories" \
    "$work/tests/"

# Style is not the question here: a mutation may leave something unused.
tests_in() {
    local project=$1
    shift
    dotnet build "$work/tests/$project" -v q --nologo \
        -p:TreatWarningsAsErrors=false -p:EnforceCodeStyleInBuild=false -p:RunAnalyzers=false \
        >"$work/build.log" 2>&1 || return 2
    "$work/tests/$project/bin/Debug/net10.0/$project" \
        "$@" -noColor >"$work/test.log" 2>&1
}

try() {
    local name=$1 file=$2 find=$3 put=$4 test=$5 outcome=0
    [[ $name == *"$only"* ]] || return 0
    cp "$work/$file" "$work/original"
    if ! FIND=$find PUT=$put perl -0pi -e \
        's/\Q$ENV{FIND}\E/$ENV{PUT}/g or die "not found\n"' "$work/$file"; then
        echo "BROKEN    $name: the text is no longer in $file"
        failed=$((failed + 1))
        cp "$work/original" "$work/$file"
        return 0
    fi
    local project=PgRaft.Consensus.Tests
    if [[ $test == */* ]]; then
        project=${test%%/*}
        test=${test#*/}
    fi
    if [[ $test == *Tests ]]; then
        tests_in "$project" -class "*.$test" || outcome=$?
    else
        tests_in "$project" -method "*.$test" || outcome=$?
    fi
    cp "$work/original" "$work/$file"
    case $outcome in
        0) echo "SURVIVED  $name: $test passes without the guard"; failed=$((failed + 1)) ;;
        2) echo "BROKEN    $name: does not compile"; tail -3 "$work/build.log"; failed=$((failed + 1)) ;;
        *) echo "caught    $name ($test)"; passed=$((passed + 1)) ;;
    esac
}

name='' file='' find='' put='' test=''
while IFS= read -r line || [[ -n $line ]]; do
    case $line in
        'name   '*) name=${line#name   } ;;
        'file   '*) file=${line#file   } ;;
        'find   '*) find=${line#find   } ;;
        'put    '*) put=${line#put    } ;;
        'test   '*)
            test=${line#test   }
            try "$name" "$file" "$find" "$put" "$test"
            ;;
    esac
done <"$top/tests/mutations/mutations.txt"

echo "$passed passed, $failed failed, 0 skipped"
[[ $failed -eq 0 && $passed -gt 0 ]]
