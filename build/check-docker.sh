#!/usr/bin/env bash
# Checks docker/ without a Docker engine: the compose file with `docker compose
# config` where that exists, and by plain rules otherwise; the Dockerfile with
# hadolint where that exists, and by plain rules always.

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

check_dockerfile
check_compose
exit "$bad"
