#!/usr/bin/env bash
# Proof that the guards are tested: takes each one out, in a copy of the tree, and demands that each
# of its tests fails. Before that the tests must pass with every guard in place.
#
#   run.sh [PART]...              only guards with one of the parts in their names
#   run.sh --build DIR [PART]...  builds them into a new directory only; an hour on a small machine
#   run.sh --run DIR [PART]...    runs what was built there; ten seconds a guard, some much longer
#   run.sh --check                builds nothing: each text that is taken out is where it is meant
#                                 to be, each test exists, and docs/consensus-engine.md and
#                                 mutations.txt say the same
#
# mutations.txt says what is taken out, and how to write that down.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
readonly top
readonly TEST_LIMIT=600
readonly DEFAULT_PROJECT=PgRaft.Consensus.Tests
readonly ENGINE_PAGE=docs/consensus-engine.md

# Guard i is called names[i] and closes hazards[i]; edit j belongs to guard edit_guard[j], test k to
# test_guard[k].
names=() hazards=()
edit_guard=() edit_file=() edit_find=() edit_put=() edit_times=()
test_guard=() tests=()

parse() {
    local line file='' times=1 guard=-1 edit=-1
    while IFS= read -r line || [[ -n $line ]]; do
        case $line in
            'name   '*)
                guard=$((guard + 1)) file='' times=1
                names[guard]=${line#name   }
                hazards[guard]=''
                ;;
            'hazard '*) hazards[guard]=${line#hazard } ;;
            'file   '*) file=${line#file   } ;;
            'times  '*) times=${line#times  } ;;
            'find   '*)
                edit=$((edit + 1))
                edit_guard[edit]=$guard
                edit_file[edit]=$file
                edit_find[edit]=$(unescaped "${line#find   }")
                edit_times[edit]=$times
                times=1
                ;;
            'put    '*) edit_put[edit]=$(unescaped "${line#put    }") ;;
            'test   '*)
                test_guard+=("$guard")
                tests+=("${line#test   }")
                ;;
            '' | '#'*) ;;
            *) printf 'mutations.txt: what is "%s"?\n' "$line" >&2 && exit 1 ;;
        esac
    done <"$1"
}

unescaped() {
    printf '%s' "${1//\\n/$'\n'}"
}

count_of() {
    local rest=${1//"$2"/}
    printf '%s' "$(((${#1} - ${#rest}) / ${#2}))"
}

project_of() {
    case $1 in
        */*) printf '%s' "${1%%/*}" ;;
        *) printf '%s' "$DEFAULT_PROJECT" ;;
    esac
}

# ---- --check

problems=0
complain() {
    printf '%s\n' "$*"
    problems=$((problems + 1))
}

check_edits() {
    local j found content
    for j in "${!edit_guard[@]}"; do
        if [[ ! -f $top/${edit_file[j]} || -z ${edit_find[j]} ]]; then
            complain "${names[edit_guard[j]]}: no file \"${edit_file[j]}\", or nothing to find in it"
            continue
        fi
        content=$(<"$top/${edit_file[j]}")
        found=$(count_of "$content" "${edit_find[j]}")
        [[ $found -eq ${edit_times[j]} ]] ||
            complain "${names[edit_guard[j]]}: found $found times, not ${edit_times[j]}, in" \
                "${edit_file[j]}: ${edit_find[j]}"
    done
}

check_guards() {
    local i
    for i in "${!names[@]}"; do
        [[ " ${edit_guard[*]} " == *" $i "* ]] || complain "${names[i]}: nothing is taken out"
        [[ " ${test_guard[*]} " == *" $i "* ]] || complain "${names[i]}: no test"
    done
    printf '%s\n' "${names[@]}" | sort | uniq -d | while read -r name; do
        printf 'two guards are called "%s"\n' "$name"
    done | grep . && problems=$((problems + 1))
    return 0
}

# Classes and methods of the test projects, one a line: PROJECT/NAME.
declared_tests() {
    local file project
    while IFS= read -r file; do
        project=${file#"$top/tests/"}
        project=${project%%/*}
        grep -hoE '\bclass \w+Tests\b|\b(public|internal) (async )?(void|Task) \w+\(' "$file" |
            sed -E "s|.*\b(\w+)\(?$|$project/\1|" || :
    done < <(find "$top"/tests/PgRaft.*.Tests \( -name bin -o -name obj \) -prune -o \
        -name '*.cs' -print)
}

check_tests() {
    local declared test
    declared=$(declared_tests)
    for test in $(printf '%s\n' "${tests[@]}" "$@" | sort -u); do
        [[ $(grep -cFx "$(project_of "$test")/${test#*/}" <<<"$declared") -eq 1 ]] ||
            complain "there is no one test \"$test\" in $(project_of "$test")"
    done
}

# Sections of the page that lists the hazards, one a line: NUMBER, a tab, the text.
hazard_sections() {
    awk '/^##/ { if (text) print text; text = "" }
        /^### [0-9]+[a-z]?\. / { number = $2; sub(/\.$/, "", number); text = number "\t" }
        text { text = text " " $0 }
        END { if (text) print text }' "$top/$ENGINE_PAGE"
}

check_sections() {
    local number text part guards
    while IFS=$'\t' read -r number text; do
        for part in Evidence Guard Proof Retire; do
            [[ $text == *"*$part.*"* ]] || complain "$ENGINE_PAGE: hazard $number has no \"$part\""
        done
        guards=$(guards_against "$number")
        [[ -n $guards ]] || complain "hazard $number: no guard of mutations.txt is against it"
        check_section "$number" "$text" "$guards"
    done < <(hazard_sections)
}

guards_against() {
    local i
    for i in "${!names[@]}"; do
        [[ " ${hazards[i]} " != *" $1 "* ]] || printf '%s ' "$i"
    done
}

# Both name the same tests and guards.
check_section() {
    local number=$1 text=$2 guards=$3 i k
    for i in $guards; do
        [[ $text == *"\"${names[i]}\""* ]] ||
            complain "$ENGINE_PAGE: hazard $number does not name \"${names[i]}\""
        for k in "${!tests[@]}"; do
            [[ ${test_guard[k]} -ne $i || $text == *"\`${tests[k]}\`"* ]] ||
                complain "$ENGINE_PAGE: hazard $number does not name ${tests[k]}"
        done
    done
}

check_hazards() {
    local numbers i number
    numbers=" $(hazard_sections | cut -f1 | tr '\n' ' ') "
    for i in "${!names[@]}"; do
        for number in ${hazards[i]}; do
            [[ $numbers == *" $number "* ]] ||
                complain "${names[i]}: hazard $number is not in $ENGINE_PAGE"
        done
    done
}

# What a section claims as proof: the names in backquotes after "Proof." that look like tests.
claimed_tests() {
    hazard_sections | sed 's/.*\*Proof\.\*//; s/\*Retire\.\*.*//' |
        grep -oE '`(PgRaft\.[A-Za-z]+\.Tests/)?[A-Z][A-Za-z0-9_]+`' | tr -d '`'
}

check() {
    local claimed
    mapfile -t claimed < <(claimed_tests)
    check_edits
    check_guards
    check_tests "${claimed[@]}"
    check_sections
    check_hazards
    [[ $problems -eq 0 ]]
}

# ---- taking guards out: built one by one, so that the tests can run without a pause

work=''
passed=0
failed=0

copy_tree() {
    cp -r "$top/src" "$top/build" "$top/global.json" "$top/.editorconfig" "$work/"
    mkdir "$work/tests" "$work/guards"
    cp -r "$top/tests/Directory.Build.props" "$top/tests/PgRaft.Core.Tests" \
        "$top/tests/PgRaft.Consensus.Tests" "$top/tests/PgRaft.Server.Tests" \
        "$top/tests/PgRaft.Histories" "$top/tests/PgRaft.Harness" "$top/tests/PgRaft.Chaos" \
        "$top/tests/abi" "$work/tests/"
}

# Style is not the question here: a guard taken out may leave something unused. Unsafe code is
# allowed because what must not alias can be made to alias no other way.
build() {
    dotnet build "$work/$1" -v q --nologo \
        -p:TreatWarningsAsErrors=false -p:EnforceCodeStyleInBuild=false -p:RunAnalyzers=false \
        -p:AllowUnsafeBlocks=true >"$work/build.log" 2>&1
}

output_of() {
    printf '%s' "$work/$1/bin/Debug/net10.0"
}

build_tests() {
    local project
    for project in $(for_each project_of "$@" | sort -u); do
        build "tests/$project" || { tail -5 "$work/build.log"; return 1; }
    done
}

for_each() {
    local command=$1 argument
    shift
    for argument in "$@"; do
        "$command" "$argument"
        echo
    done
}

take_out() {
    local j content file
    for j in "${!edit_guard[@]}"; do
        [[ ${edit_guard[j]} -eq $1 ]] || continue
        file=$work/${edit_file[j]}
        content=$(<"$file")
        [[ $content == *"${edit_find[j]}"* ]] || return 1
        [[ -f $file.original ]] || cp "$file" "$file.original"
        printf '%s\n' "${content//"${edit_find[j]}"/"${edit_put[j]}"}" >"$file"
    done
}

# Newer than what was built without the guard.
put_back() {
    local j file
    for j in "${!edit_guard[@]}"; do
        file=$work/${edit_file[j]}
        if [[ ${edit_guard[j]} -eq $1 && -f $file.original ]]; then
            mv "$file.original" "$file"
            touch "$file"
        fi
    done
}

# Only the assemblies that differ are kept, or why there are none.
build_without() {
    local guard=$1 j project kept=$work/guards/$1
    mkdir "$kept"
    take_out "$guard" || echo 'the text is no longer there' >"$kept/broken"
    for j in "${!edit_guard[@]}"; do
        [[ ${edit_guard[j]} -eq $guard && ! -f $kept/broken ]] || continue
        project=${edit_file[j]#src/}
        project=${project%%/*}
        if build "src/$project"; then
            cp "$(output_of "src/$project")/$project.dll" "$kept/"
        else
            grep -m 1 'error' "$work/build.log" >"$kept/broken"
        fi
    done
    put_back "$guard"
}

# ---- running

run_tests() {
    local project=$1
    shift
    timeout "$TEST_LIMIT" dotnet "$(output_of "tests/$project")/$project.dll" \
        "$@" -noLogo -noColor >"$work/test.log" 2>&1
}

filter_of() {
    case $1 in
        *Tests) printf -- '-class' ;;
        *) printf -- '-method' ;;
    esac
}

# Why the last run failed, in a few words.
reason() {
    local text
    text=$(grep -A 1 -m 1 '\[FAIL\]' "$work/test.log" | sed -n '2s/^ *//p')
    printf '%.100s' "${text:-it did not end in time, or crashed}"
}

# The tests of the chosen guards, all guards in place.
all_in_place() {
    local project filter test arguments
    local -A done=()
    for test in "$@"; do
        project=$(project_of "$test")
        filter=$(filter_of "$test")
        [[ -z ${done[$project$filter]:-} ]] || continue
        done[$project$filter]=1
        mapfile -t arguments < <(of_one_run "$project" "$filter" "$@")
        if ! run_tests "$project" "${arguments[@]}" || grep -q 'Total: 0,' "$work/test.log"; then
            echo "BROKEN    with all guards in place, tests of $project fail:"
            grep -A 2 '\[FAIL\]' "$work/test.log" || tail -5 "$work/test.log"
            return 1
        fi
    done
}

of_one_run() {
    local project=$1 filter=$2 test
    shift 2
    for test in $(printf '%s\n' "$@" | sort -u); do
        if [[ $(project_of "$test") == "$project" && $(filter_of "$test") == "$filter" ]]; then
            printf '%s\n*.%s\n' "$filter" "${test#*/}"
        fi
    done
}

# Whether a test passes without a guard.
passes_without() {
    local guard=$1 test=$2 project output kept outcome=0
    project=$(project_of "$test")
    output=$(output_of "tests/$project")
    mkdir "$work/kept"
    for kept in "$work/guards/$guard"/*.dll; do
        cp "$output/${kept##*/}" "$work/kept/"
        cp "$kept" "$output/"
    done
    run_tests "$project" "$(filter_of "$test")" "*.${test#*/}" || outcome=1
    cp "$work/kept"/*.dll "$output/"
    rm -r "$work/kept"
    return "$outcome"
}

# One line for a guard, one for each of its tests: they must fail.
try() {
    local guard=$1 k verdict=caught why=''
    if [[ -f $work/guards/$guard/broken ]]; then
        verdict=BROKEN why=": $(<"$work/guards/$guard/broken")"
    fi
    for k in "${!tests[@]}"; do
        [[ ${test_guard[k]} -eq $guard && $verdict == caught ]] || continue
        if passes_without "$guard" "${tests[k]}"; then
            verdict=SURVIVED why=": ${tests[k]} passes without it"
        else
            why+=$'\n'"          ${tests[k]}: $(reason)"
        fi
    done
    printf '%-9s %s%s\n' "$verdict" "${names[guard]}" "$why"
    if [[ $verdict == caught ]]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
}

is_chosen() {
    local name=$1 part
    shift
    [[ $# -gt 0 ]] || return 0
    for part in "$@"; do
        [[ $name != *"$part"* ]] || return 0
    done
    return 1
}

guards=() chosen_tests=()
choose() {
    local i k
    for i in "${!names[@]}"; do
        is_chosen "${names[i]}" "$@" || continue
        guards+=("$i")
        for k in "${!tests[@]}"; do
            [[ ${test_guard[k]} -ne $i ]] || chosen_tests+=("${tests[k]}")
        done
    done
    [[ ${#guards[@]} -gt 0 ]] || { echo "no such guard" >&2; return 1; }
}

build_all() {
    local i
    copy_tree
    build_tests "${chosen_tests[@]}"
    cp "$top/tests/mutations/mutations.txt" "$work/"
    for i in "${guards[@]}"; do
        build_without "$i"
    done
}

run_all() {
    local i
    all_in_place "${chosen_tests[@]}"
    for i in "${guards[@]}"; do
        try "$i"
    done
    echo "$passed passed, $failed failed, 0 skipped"
    [[ $failed -eq 0 && $passed -gt 0 ]]
}

main() {
    case ${1:-} in
        --check)
            parse "$top/tests/mutations/mutations.txt"
            check
            ;;
        --build)
            work=$2
            parse "$top/tests/mutations/mutations.txt"
            choose "${@:3}"
            mkdir "$work"
            build_all
            ;;
        --run)
            work=$2
            parse "$work/mutations.txt"
            choose "${@:3}"
            run_all
            ;;
        *)
            work=$(mktemp -d "${TMPDIR:-/tmp}/pgraft-mutations.XXXXXX")
            trap 'rm -rf "$work"' EXIT
            parse "$top/tests/mutations/mutations.txt"
            choose "$@"
            build_all
            run_all
            ;;
    esac
}

main "$@"
