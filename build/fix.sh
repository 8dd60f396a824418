#!/usr/bin/env bash
# Rewrites what build/verify.sh complains about where a tool can: the C#
# formatting, and trailing blanks in shell, C and SQL files.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

dotnet format "$PGRAFT_ROOT/PgRaft.sln" --no-restore
find "$PGRAFT_ROOT/shim" "$PGRAFT_ROOT/build" "$PGRAFT_ROOT/docker" "$PGRAFT_ROOT/tests" \
    -type f \( -name '*.[ch]' -o -name '*.sh' -o -name '*.sql' -o -name '*.yaml' \) \
    -not -path '*/obj/*' -not -path '*/bin/*' -exec sed -i 's/[ \t]*$//' {} +
