#!/usr/bin/env bash
# Checks the tree without writing to it: formatting, layering, banned calls,
# lengths, the C compiler's opinion, shell scripts, docker files.  One line a
# check; what is wrong follows it.  Ends non-zero when any check fails.
#
#   build/verify.sh [CHECK]...     (default: all; names as printed)
#
# Lists of files are left unquoted on purpose: names here have no blanks.
# shellcheck disable=SC2046

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$PGRAFT_ROOT"

readonly MAX_FUNCTION_LINES=70
readonly MAX_MEDIAN_LINES=15
readonly MAX_FILE_LINES=500
readonly MAX_LINE_COLUMNS=100

readonly CHECKS=(layering banned versions function_length median_length file_length line_length
    headers top_level c_warnings shell docker abi_calls mutations format)

# Source files of ours, of the kinds given as name patterns, below the given
# directories (after --).
sources()
{
    local -a names=() directories=()
    while [ "$1" != -- ]; do
        names+=(-o -name "$1")
        shift
    done
    shift
    for directory in "$@"; do
        [ ! -d "$directory" ] || directories+=("$directory")
    done
    [ ${#directories[@]} -eq 0 ] || find "${directories[@]}" \
        \( -name bin -o -name obj -o -name results -o -name tmp_check \) -prune -o \
        -type f \( "${names[@]:1}" \) -print | sort
}

# Prints every match as a finding; succeeds when there is none.
no_match()
{
    local pattern=$1
    shift
    [ $# -gt 0 ] || return 0
    ! grep -nHE -- "$pattern" "$@"
}

project_references()
{
    sed -n 's/.*<ProjectReference Include="[^"]*[\/\\]\(PgRaft\.[A-Za-z]*\)\.csproj".*/\1/p' "$1"
}

# References point one way: Native, Server, Consensus, Core.
check_layering()
{
    local -A rank=([PgRaft.Core]=1 [PgRaft.Consensus]=2 [PgRaft.Server]=3 [PgRaft.Native]=4)
    local file name reference bad=0
    while read -r file; do
        name=$(basename "$file" .csproj)
        [ -n "${rank[$name]:-}" ] || { echo "$file: not a layer we know"; bad=1; }
        while read -r reference; do
            [ "${rank[$reference]:-9}" -lt "${rank[$name]:-0}" ] ||
                { echo "$file: $name must not refer to $reference"; bad=1; }
        done < <(project_references "$file")
        [ "$name" = PgRaft.Consensus ] || no_match '<PackageReference Include="DotNext' "$file" || bad=1
        [ "$name" = PgRaft.Native ] || no_match 'AllowUnsafeBlocks' "$file" || bad=1
    done < <(sources '*.csproj' -- src)
    no_match 'DotNext' $(sources '*.cs' -- src/PgRaft.Core src/PgRaft.Server src/PgRaft.Native) || bad=1
    no_match 'AllowUnsafeBlocks' build/*.props src/Directory.Build.props || bad=1
    return "$bad"
}

# What the product code must not call.  A Task.Delay needs a comment on its line
# or the line before: it is a timer, never a way to wait for something.
check_banned()
{
    local cs c bad=0
    mapfile -t cs < <(sources '*.cs' -- src)
    mapfile -t c < <(sources '*.c' '*.h' -- shim)
    no_match '\bThread\.(Sleep|SpinWait)|\bConsole\.|\bProcess\.(Start|GetCurrentProcess)|PosixSignalRegistration|ConsoleLifetime|NotImplementedException|Environment\.(Exit|FailFast)' "${cs[@]}" || bad=1
    no_match '\b(pg_usleep|usleep|sleep|nanosleep|strcpy|strcat|sprintf|gets|system)[ \t]*\(' "${c[@]}" || bad=1
    no_match '\b(TODO|FIXME|XXX|HACK)\b' "${cs[@]}" $(sources '*.c' '*.h' '*.sql' -- shim) \
        pgraft--*.sql || bad=1
    [ ${#cs[@]} -eq 0 ] || awk '/Task\.Delay\(/ && !/\/\// && previous !~ /\/\// {
            print FILENAME ":" FNR ": Task.Delay without a comment"; bad = 1 }
        { previous = $0 } END { exit bad }' "${cs[@]}" || bad=1
    no_match '\b(Thread\.Sleep|usleep|pg_sleep)' $(sources '*.cs' -- tests) || bad=1
    return "$bad"
}

check_versions()
{
    no_match 'PG_VERSION_NUM' $(sources '*.c' '*.h' -- shim | grep -v '/compat\.h$')
}

code_files()
{
    sources '*.c' '*.h' '*.cs' -- shim src tests
}

check_function_length()
{
    code_files | xargs -r awk -f build/function-lengths.awk |
        awk -F '\t' -v max="$MAX_FUNCTION_LINES" \
            '$1 > max { printf "%s:%d: %d lines: %s\n", $2, $3, $1, $4; bad = 1 } END { exit bad }'
}

check_median_length()
{
    sources '*.c' '*.cs' -- shim src | xargs -r awk -f build/function-lengths.awk | sort -n |
        awk -v max="$MAX_MEDIAN_LINES" '{ n[NR] = $1 } END {
            median = n[int((NR + 1) / 2)]
            if (median > max) { print "median function length is " median " lines"; exit 1 } }'
}

check_file_length()
{
    { code_files; sources '*.sh' '*.awk' -- build tests docker; } | xargs -r wc -l |
        awk -v max="$MAX_FILE_LINES" \
            '$2 != "total" && $1 > max { print $2 ": " $1 " lines"; bad = 1 } END { exit bad }'
}

check_line_length()
{
    sources '*.cs' -- src tests | xargs -r awk -v max="$MAX_LINE_COLUMNS" \
        'length > max { print FILENAME ":" FNR ": " length " columns"; bad = 1 } END { exit bad }'
}

# Every file of code begins by saying what it is for.
check_headers()
{
    local file bad=0
    while read -r file; do
        head -n 40 "$file" | grep -qE '^[ \t]*(/\*|//|#[^!]| \*)' ||
            { echo "$file: no comment at its top"; bad=1; }
    done < <(sources '*.c' '*.h' '*.cs' '*.sh' -- shim src build)
    return "$bad"
}

check_top_level()
{
    local entry bad=0
    for entry in * .[!.]*; do
        case $entry in
            src | shim | tests | build | docker | docs | pgraft.control | pgraft--*.sql | Makefile | \
                PgRaft.sln | README.md | CHANGELOG.md | LICENSE | global.json | artifacts | .git | \
                .github | .ci | .editorconfig | .gitignore | .gitattributes | .dockerignore) ;;
            *)
                git check-ignore -q "$entry" 2>/dev/null || { echo "$entry: does not belong at the top"; bad=1; }
                ;;
        esac
    done
    return "$bad"
}

# Compiles each C file for its warnings alone.
check_c_warnings()
{
    local include file bad=0
    include=$("$PG_CONFIG" --includedir-server) || return 1
    for file in shim/*.c; do
        [ -f "$file" ] || continue
        gcc -std=gnu99 -O2 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare \
            -Wno-missing-field-initializers -fsyntax-only -I"$include" -Ishim "$file" || bad=1
    done
    return "$bad"
}

check_shell()
{
    local file bad=0
    while read -r file; do
        bash -n "$file" || bad=1
        if command -v shellcheck >/dev/null; then
            shellcheck -x -P build -S warning "$file" || bad=1
        fi
        no_match $'^ *\t|[ \t]+$' "$file" || bad=1
    done < <(sources '*.sh' -- build tests docker; echo .ci/run)
    return "$bad"
}

check_docker()
{
    build/check-docker.sh
}

# Every entry point of the header is exported by the core.
check_abi_calls()
{
    local name bad=0
    for name in handshake start reload request_stop next_log; do
        grep -rqs --include='*.cs' "\"pgraft_core_$name\"" src/PgRaft.Native ||
            { echo "src/PgRaft.Native: no export pgraft_core_$name"; bad=1; }
    done
    return "$bad"
}

# What the mutations take out is still there, and so are the tests that must miss it.
check_mutations()
{
    tests/mutations/run.sh --check
}

check_format()
{
    dotnet format PgRaft.sln --verify-no-changes --severity warn --exclude tests/abi
}

run_check()
{
    local output
    if output=$("check_$1" 2>&1); then
        printf 'ok    %s\n' "$1"
    else
        printf 'FAIL  %s\n%s\n' "$1" "$(printf '%s\n' "$output" | head -n 40 | sed 's/^/      /')"
        return 1
    fi
}

main()
{
    local check bad=0
    if [ $# -eq 0 ]; then
        set -- "${CHECKS[@]}"
    fi
    for check in "$@"; do
        declare -F "check_$check" >/dev/null || die "no such check: $check"
        run_check "$check" || bad=1
    done
    return "$bad"
}

main "$@"
