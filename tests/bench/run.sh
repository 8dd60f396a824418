#!/usr/bin/env bash
# Measures pgraft on three servers on this machine, beside what it is made of (a write and its
# fdatasync, a round trip on loopback) and beside etcd where that is installed, all in one run:
# compare its lines with each other, never with another run's.
#
#   tests/bench/run.sh [SECONDS PER LINE, default 5] [PART]...
#
# Parts: log, put, calls, many_puts, scrape, lines; all of them by default.
# Ends with 1 when a demand is missed. Everything must be built first, which `make bench` sees to.

. "$(dirname "${BASH_SOURCE[0]}")/../../build/common.sh"
. "$PGRAFT_ROOT/tests/bench/servers.sh"

readonly SECONDS_PER_LINE=${1:-5}
readonly LOG_LIMIT=1.3 PUT_LIMIT=4 PUTS_LIMIT=12000 CALLS_LIMIT=1000000
readonly SCRAPE_LIMIT_US=20000 SCRAPED_PUTS_LIMIT=1.05
readonly SLICES=5 SCRAPE_PAIRS=10
readonly VALUE="repeat('x', 128)"
readonly PUT="SELECT pgraft_kv_put('k' || :k, $VALUE)"
readonly GET="SELECT pgraft_kv_get('k' || :k)"
readonly PROBES=$PGRAFT_ROOT/tests/bench/Probes
dir=
bindir=
leader=
follower=
missed=0

finish()
{
    stop_etcd
    stop_cluster
    rm -rf -- "$dir"
    remove_temporary_stage
}

probe()
{
    "$PROBES/bin/Release/net10.0/PgRaft.Probes" "$@" || die "probe $1 failed"
}

# What is worked out of numbers, with two digits.
calculate()
{
    awk "BEGIN { printf \"%.2f\", $1 }"
}

# file, percent: of the numbers in a file.
percentile()
{
    sort -n "$1" | awk -v p="$2" '{ n[NR] = $1 }
        END { at = int(NR * p / 100) + 1; printf("%.0f\n", n[(at > NR) ? NR : at]) }'
}

# node, clients, seconds, statement, file: prints the rate, and adds what each transaction took, in
# microseconds, to the file.
pgbench()
{
    local rate
    rm -f "$dir"/transactions.*
    printf '\\set k random(1, 10000)\n%s;\n' "$4" >"$dir/script.sql"
    rate=$("$bindir/pgbench" -n -U postgres -h "$dir" -p "${pg_port[$1]}" -c "$2" -j 2 -M prepared \
        -T "$3" -l --log-prefix="$dir/transactions" -f "$dir/script.sql" postgres 2>"$dir/pgbench.err" |
        sed -n 's/^tps = \([0-9]*\)\..*/\1/p') || die "$(tail -n 3 "$dir/pgbench.err")"
    awk '{ print $3 }' "$dir"/transactions.* >>"$5"
    printf '%s\n' "$rate"
}

# label, clients, rate, file
line()
{
    printf '%-32s %4d clients %8d /s   p50 %7.3f ms   p99 %7.3f ms\n' "$1" "$2" "$3" \
        "$(calculate "$(percentile "$4" 50) / 1000")" "$(calculate "$(percentile "$4" 99) / 1000")"
}

# condition, text: one demand and whether it is met.
judge()
{
    if awk "BEGIN { exit !($1) }"; then
        printf 'met     %s\n' "$2"
    else
        printf 'MISSED  %s\n' "$2"
        missed=$((missed + 1))
    fi
}

# label, node, clients, statement
measure()
{
    local rate
    : >"$dir/line"
    rate=$(pgbench "$2" "$3" "$SECONDS_PER_LINE" "$4" "$dir/line")
    line "$1" "$3" "$rate" "$dir/line"
}

measure_lines()
{
    local clients
    measure 'SELECT 1 (round trip)' "$leader" 1 'SELECT 1'
    for clients in 1 64 256; do
        measure 'put on the leader' "$leader" "$clients" "$PUT"
        measure 'put on a follower' "$follower" "$clients" "$PUT"
        measure 'linearizable get on the leader' "$leader" "$clients" "$GET"
        measure 'linearizable get on a follower' "$follower" "$clients" "$GET"
        measure 'local get' "$follower" "$clients" "${GET%)}, 'local')"
    done
}

# The probe takes log and raw file in turns, so that both have the same disk.
judge_log()
{
    local raw log
    probe log "$dir" 2000 "$dir/raw_us" "$dir/log_us"
    raw=$(percentile "$dir/raw_us" 50)
    log=$(percentile "$dir/log_us" 50)
    judge "$log <= $LOG_LIMIT * $raw" "100 records of 128 bytes appended and durable: p50 $log us, $(
        calculate "$log / $raw") times a raw append of $raw us; at most $LOG_LIMIT times"
}

# Disk, network and puts in turns, in slices that are pooled: what is slow for a while is slow for all.
judge_put()
{
    local slice sync echo put
    for ((slice = 0; slice < SLICES; slice++)); do
        probe sync "$dir" 500 "$dir/sync_us"
        probe echo 2000 "$dir/echo_us"
        pgbench "$leader" 1 2 "$PUT" "$dir/put_us" >/dev/null
    done
    sync=$(percentile "$dir/sync_us" 50)
    echo=$(percentile "$dir/echo_us" 50)
    put=$(percentile "$dir/put_us" 50)
    judge "$put <= $PUT_LIMIT * ($sync + $echo)" "a put from SQL, 1 client: p50 $put us, $(
        calculate "$put / ($sync + $echo)") times fdatasync $sync us + round trip $echo us; at most $PUT_LIMIT times"
}

# Puts by 64 clients, here and on etcd in turns.
judge_many_puts()
{
    local slice etcd
    if etcd=$(find_etcd); then
        start_etcd "$etcd"
    fi
    for ((slice = 0; slice < SLICES; slice++)); do
        pgbench "$leader" 64 "$SECONDS_PER_LINE" "$PUT" "$dir/puts_us" >>"$dir/puts"
        if [ -n "$etcd" ]; then
            probe etcd "${etcd_port[1]},${etcd_port[2]},${etcd_port[3]}" 64 "$SECONDS_PER_LINE" \
                "$dir/etcd_us" >>"$dir/etcd_puts"
        fi
    done
    line 'put on the leader, median slice' 64 "$(percentile "$dir/puts" 50)" "$dir/puts_us"
    judge "$(percentile "$dir/puts" 50) > $PUTS_LIMIT" \
        "64 clients: $(percentile "$dir/puts" 50) puts a second; over $PUTS_LIMIT"
    if [ -n "$etcd" ]; then
        report_etcd "$etcd"
    else
        printf 'skipped etcd is not installed (make bench ETCD=1 fetches it)\n'
    fi
}

report_etcd()
{
    local rate
    rate=$(percentile <(cut -d' ' -f1 "$dir/etcd_puts") 50)
    line "$("$1" --version | sed -n 's/^etcd Version: /put on the leader of etcd /p')" 64 "$rate" "$dir/etcd_us"
    printf '        pgraft: %s times etcd; the load generator for etcd took %s of %s cores\n' \
        "$(calculate "$(percentile "$dir/puts" 50) / $rate")" \
        "$(calculate "$(percentile <(cut -d' ' -f2 "$dir/etcd_puts" | tr -d .) 50) / 100")" "$(nproc)"
}

serve_http()
{
    sql "$leader" "ALTER SYSTEM SET pgraft.metrics_port = $1" >/dev/null
    sql "$leader" "ALTER SYSTEM SET pgraft.metrics_enabled = on" >/dev/null
    sql "$leader" 'SELECT pg_reload_conf()' >/dev/null
}

# port: puts while somebody scrapes, who must have begun and must come to a good end.
puts_beside_scrapes()
{
    local scraper
    exec {scraper}< <(probe scrape "$1" "$SECONDS_PER_LINE" "$dir/scrape_us" && echo done)
    read -r _ <&"$scraper" || die "nobody scrapes"
    pgbench "$leader" 64 "$SECONDS_PER_LINE" "$PUT" "$dir/beside_us" >/dev/null
    read -r _ <&"$scraper" || die "the scrapes failed"
    exec {scraper}<&-
}

# Puts by 64 clients alone and beside a scrape a second, in turns whose order changes with each pair,
# and pooled. The slices alone, parted in two, say how much is chance.
judge_scrape()
{
    local pair port p95 alone beside
    port=$(free_port)
    serve_http "$port"
    for ((pair = 0; pair < SCRAPE_PAIRS; pair++)); do
        [ $((pair % 2)) -eq 1 ] || puts_beside_scrapes "$port"
        pgbench "$leader" 64 "$SECONDS_PER_LINE" "$PUT" "$dir/alone$((pair / 2 % 2))_us" >/dev/null
        [ $((pair % 2)) -eq 0 ] || puts_beside_scrapes "$port"
    done
    p95=$(percentile "$dir/scrape_us" 95)
    judge "$p95 < $SCRAPE_LIMIT_US" "a scrape beside 64 clients that put: p50 $(percentile "$dir/scrape_us" 50) us, p95 $p95 us of $(
        wc -l <"$dir/scrape_us"); under $SCRAPE_LIMIT_US us"
    alone=$(percentile <(cat "$dir"/alone?_us) 99)
    beside=$(percentile "$dir/beside_us" 99)
    judge "$beside < $SCRAPED_PUTS_LIMIT * $alone" "puts beside a scrape a second: p99 $beside us of $(
        wc -l <"$dir/beside_us"), $(calculate "$beside / $alone") times $alone us alone; under $SCRAPED_PUTS_LIMIT times"
    printf '        two parts of those alone: p99 %s and %s us\n' "$(percentile "$dir/alone0_us" 99)" \
        "$(percentile "$dir/alone1_us" 99)"
}

# function: a million calls in one statement; prints microseconds.
million_calls()
{
    : >"$dir/calls_us"
    PGOPTIONS='-c work_mem=64MB' pgbench "$leader" 1 3 \
        "SELECT count($1()) FROM generate_series(1, 1000000)" "$dir/calls_us" >/dev/null
    percentile "$dir/calls_us" 50
}

# The time of the whole statement counts, rows and all. How much of it is the function's own is seen
# beside one of PostgreSQL's that returns a variable.
judge_calls()
{
    local function base calls
    base=$(million_calls pg_backend_pid)
    for function in pgraft_is_leader pgraft_get_leader; do
        calls=$(million_calls "$function")
        judge "1e12 / $calls > $CALLS_LIMIT" "$function(): $(awk "BEGIN { printf \"%d\", 1e12 / $calls }") calls a second in one backend, $(
            calculate "$calls / 1000") ns each with all around them, pg_backend_pid() $(
            calculate "$base / 1000") ns; over $CALLS_LIMIT"
    done
}

describe_machine()
{
    printf '%s, %s cores, Linux %s, %s, load %s\n' "$(date -u '+%F %H:%M UTC')" "$(nproc)" \
        "$(uname -r)" "$("$bindir/postgres" --version)" "$(cut -d' ' -f1 /proc/loadavg)"
}

main()
{
    local part
    local -a parts=("${@:2}")
    [ ${#parts[@]} -gt 0 ] || parts=(log put calls many_puts scrape lines)
    for part in "${parts[@]}"; do
        declare -F "judge_$part" >/dev/null || [ "$part" = lines ] || die "no such part: $part"
    done
    choose_stage
    trap remove_temporary_stage EXIT
    bindir=$("$PGRAFT_ROOT/build/stage.sh")
    dir=$(make_server_dir)
    trap finish EXIT
    chmod 0777 "$dir"
    describe_machine
    start_cluster
    leader=$(node_where t)
    follower=$(node_where f)
    for part in "${parts[@]}"; do
        case $part in
            lines) measure_lines ;;
            *) "judge_$part" ;;
        esac
    done
    [ "$missed" -eq 0 ] || die "$missed demands missed"
}

main "$@"
