#!/usr/bin/env bash
# Checks docker/ without a Docker engine: the compose file with `docker compose
# config` where that exists, and by plain rules otherwise; the Dockerfile with
# hadolint where that exists, and by plain rules always; the entrypoint by running
# it with a stand-in for the image's own.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$PGRAFT_ROOT"

readonly DOCKERFILE=docker/Dockerfile
readonly COMPOSE=docker/compose.yaml
bad=0

finding()
{
    printf '%s\n' "$*"
    bad=1
}

# Every instruction is one Docker knows, bases are pinned to a tag, and COPY
# takes only what is in the tree or in an earlier stage.
check_dockerfile()
{
    local line source
    grep -nvE '^([A-Z]+ .*|#.*|[[:space:]].*|)$' "$DOCKERFILE" && finding "$DOCKERFILE: not instructions"
    while read -r line; do
        [[ $line =~ ^(FROM|ARG|RUN|COPY|ENV|WORKDIR|LABEL|EXPOSE|USER|HEALTHCHECK|ENTRYPOINT|CMD|SHELL|VOLUME|STOPSIGNAL)\  ]] ||
            finding "$DOCKERFILE: unknown instruction: $line"
    done < <(grep -E '^[A-Z]+ ' "$DOCKERFILE")
    while read -r line; do
        [[ $line =~ [^:]+:[^:\ ]+ ]] || finding "$DOCKERFILE: base without a tag: $line"
        [[ $line != *:latest* ]] || finding "$DOCKERFILE: base is :latest: $line"
    done < <(grep -E '^FROM ' "$DOCKERFILE")
    while read -r source; do
        [ -e "$source" ] || finding "$DOCKERFILE: COPY of $source, which is not in the tree"
    done < <(sed -n 's/^COPY \([^-].*\) [^ ]*$/\1/p' "$DOCKERFILE" | tr ' ' '\n')
    if command -v hadolint >/dev/null; then
        hadolint "$DOCKERFILE" || bad=1
    fi
}

# Three members, the same initial_cluster for all, no tab, nothing latest.
check_compose()
{
    local members
    ! grep -nP '\t' "$COMPOSE" || finding "$COMPOSE: tabs"
    ! grep -n ':latest' "$COMPOSE" || finding "$COMPOSE: an image is :latest"
    members=$(grep -cE '^  pgraft[0-9]+:$' "$COMPOSE")
    [ "$members" -eq 3 ] || finding "$COMPOSE: $members members"
    if docker compose version >/dev/null 2>&1; then
        docker compose -f "$COMPOSE" config -q || bad=1
    elif command -v python3 >/dev/null && python3 -c 'import yaml' 2>/dev/null; then
        python3 -c 'import sys, yaml; yaml.safe_load(open(sys.argv[1]))' "$COMPOSE" || bad=1
    fi
}

# The one .dockerignore that every builder reads is at the top.
check_context()
{
    local pattern other
    for pattern in .git artifacts '**/bin' '**/obj'; do
        grep -qxF -- "$pattern" .dockerignore || finding ".dockerignore: $pattern is not in it"
    done
    for other in docker/*.dockerignore; do
        [ ! -e "$other" ] || finding "$other: not read by every builder; use .dockerignore"
    done
}

# What the entrypoint hands over: the expected words, then --, then its arguments.
hands_over()
{
    local stand_ins=$1 expected='' actual
    shift
    while [ "$1" != -- ]; do
        expected+="[$1]"
        shift
    done
    shift
    actual=$(env -i PATH="$stand_ins:$PATH" PGRAFT_INITIAL_CLUSTER='1=a:7001, 2=b:7001' \
        bash docker/entrypoint.sh "$@" 2>&1) || :
    [ "$actual" = "$expected" ] ||
        finding "docker/entrypoint.sh${*:+ }$*: hands over $actual instead of $expected"
}

check_entrypoint()
{
    local stand_ins
    local -a server=(postgres -c shared_preload_libraries=pgraft
        -c 'pgraft.initial_cluster=1=a:7001, 2=b:7001')
    stand_ins=$(mktemp -d)
    printf '#!/bin/sh\nprintf "[%%s]" "$@"\n' >"$stand_ins/docker-entrypoint.sh"
    chmod +x "$stand_ins/docker-entrypoint.sh"
    hands_over "$stand_ins" "${server[@]}" -- postgres
    hands_over "$stand_ins" "${server[@]}" -c port=5433 -- postgres -c port=5433
    hands_over "$stand_ins" "${server[@]}" -c port=5433 -- -c port=5433
    hands_over "$stand_ins" postgres --version -- --version
    hands_over "$stand_ins" psql -U postgres -c 'SELECT 1' -- psql -U postgres -c 'SELECT 1'
    hands_over "$stand_ins" bash -- bash
    hands_over "$stand_ins" '' --
    rm -r -- "$stand_ins"
}

check_dockerfile
check_compose
check_context
check_entrypoint
exit "$bad"
