#!/usr/bin/env bash
# Installs what the build and the tests need with apt: the PostgreSQL server and
# its headers, a C compiler, make and zlib.  Says what it does; when everything
# is there it changes nothing and does not touch the network.  The .NET SDK is
# checked, not installed.  Ends non-zero when something is still missing.
#
#   build/setup.sh [--tests | --bench]
#
# --tests also installs what tests need to cut servers off from one another, and
# chromium for the status page, and fetches Prometheus, HAProxy and pgbouncer; where
# that is not possible it says so, and those tests fail.
# --bench also fetches etcd, which `make bench` compares with.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly DOTNET_MAJOR=10
readonly PG_OLDEST=14
readonly CLUSTER_CONF=/etc/postgresql-common/createcluster.conf

run_as_root()
{
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "need root to run: $* (no sudo here; run build/setup.sh as root once)"
    fi
}

have_server()
{
    local bindir
    bindir=$("$PG_CONFIG" --bindir 2>/dev/null) || return 1
    [ -x "$bindir/postgres" ] && [ -x "$bindir/initdb" ]
}

have_headers()
{
    local include pgxs
    include=$("$PG_CONFIG" --includedir-server 2>/dev/null) || return 1
    pgxs=$("$PG_CONFIG" --pgxs 2>/dev/null) || return 1
    [ -f "$include/postgres.h" ] && [ -f "$pgxs" ]
}

have_program_and_header()
{
    command -v gcc >/dev/null && printf '#include <%s>\n' "$1" |
        gcc -E -x c - >/dev/null 2>&1
}

# Newest version that apt offers with both server and headers, or the version
# already installed.
choose_version()
{
    local installed version
    if installed=$("$PG_CONFIG" --version 2>/dev/null); then
        installed=${installed#PostgreSQL }
        installed=${installed%%.*}
    fi
    for version in ${installed:-} 18 17 16 15 14; do
        if apt-cache show "postgresql-server-dev-$version" >/dev/null 2>&1 &&
            apt-cache show "postgresql-$version" >/dev/null 2>&1; then
            printf '%s\n' "$version"
            return
        fi
    done
    return 1
}

packages_missing()
{
    local version=$1
    have_server || printf 'postgresql-%s\n' "$version"
    have_headers || printf 'postgresql-server-dev-%s\n' "$version"
    command -v gcc >/dev/null || printf 'gcc\n'
    have_program_and_header stdio.h || printf 'libc6-dev\n'
    command -v make >/dev/null || printf 'make\n'
    have_program_and_header zlib.h || printf 'zlib1g-dev\n'
}

everything_is_there()
{
    have_server && have_headers && command -v make >/dev/null &&
        have_program_and_header stdio.h && have_program_and_header zlib.h
}

# The Debian package creates and starts a cluster "main" on port 5432 when it is
# installed.  Nobody asked for one: switch that off, unless this machine has
# PostgreSQL clusters already, whose owner decides.
avoid_default_cluster()
{
    if [ -f "$CLUSTER_CONF" ] || compgen -G '/etc/postgresql/*/*' >/dev/null; then
        return
    fi
    say "setup: $CLUSTER_CONF: create_main_cluster = false (no server is to start by itself)"
    run_as_root mkdir -p "$(dirname "$CLUSTER_CONF")"
    printf 'create_main_cluster = false\n' | run_as_root tee "$CLUSTER_CONF" >/dev/null
}

install_packages()
{
    say "setup: installing: $*"
    avoid_default_cluster
    run_as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold "$@" >&2
}

update_lists()
{
    say "setup: apt-get update"
    run_as_root apt-get update -q >&2 || say "setup: apt-get update failed; going on with the lists that are there"
}

install_what_is_missing()
{
    local version
    local -a packages
    command -v apt-get >/dev/null ||
        die "no apt-get here: install PostgreSQL $PG_OLDEST or later with its server headers, gcc, make and zlib's headers yourself"
    update_lists
    version=$(choose_version) || die "apt offers no PostgreSQL $PG_OLDEST or later"
    mapfile -t packages < <(packages_missing "$version")
    install_packages "${packages[@]}"
    everything_is_there ||
        die "still missing after the installation: $(packages_missing "$version" | tr '\n' ' ')"
}

test_packages_missing()
{
    [ -x /usr/bin/chromium ] || printf 'chromium\n'
    command -v ip >/dev/null || printf 'iproute2\n'
    command -v iptables-restore >/dev/null || printf 'iptables\n'
    command -v nsenter >/dev/null || printf 'util-linux\n'
    command -v tini >/dev/null || printf 'tini\n'
}

# What tests need to cut the network between servers, and to look at the status
# page.  They fail without, and say what to install; the others are run even so.
# And what makes them faster (build/test.sh).
install_test_tools()
{
    local -a packages
    local package
    mapfile -t packages < <(test_packages_missing)
    [ ${#packages[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
        say "setup: not installed, and not installable here: ${packages[*]}"
        return
    fi
    update_lists
    for package in "${packages[@]}"; do
        install_packages "$package" || say "setup: cannot install $package"
    done
}

# directory, package...: unpacked there only, because installed the packages would start servers that
# nobody asked for.
unpack_packages()
{
    local target=$1 work status=0
    shift
    say "setup: unpacking into $target: $*"
    work=$(mktemp -d /tmp/pgraft-packages.XXXXXX)
    (cd "$work" && apt-get download -q "$@" >&2) || status=1
    if [ "$status" -eq 0 ]; then
        mkdir -p "$target"
        find "$work" -name '*.deb' -exec dpkg-deb -x {} "$target" \; || status=1
    fi
    rm -rf -- "$work"
    return "$status"
}

fetch_etcd()
{
    local target=$PGRAFT_ROOT/artifacts/etcd
    if command -v etcd >/dev/null || [ -x "$target/usr/bin/etcd" ]; then
        return
    fi
    command -v apt-get >/dev/null || die "no apt-get here: install etcd yourself"
    unpack_packages "$target" etcd-server || die "cannot fetch etcd-server (apt-get update first?)"
}

# The package itself, and those that it needs and that are not installed.
with_dependencies()
{
    command -v apt-get >/dev/null || return 0
    apt-cache show "$1" >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ] || update_lists
    apt-get install -s --no-install-recommends "$1" 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/\1/p'
}

# What watches pgraft in tests.  They fail without, and say what to install.
fetch_monitoring_tools()
{
    local tool target=$PGRAFT_ROOT/artifacts/tools
    local -a packages
    for tool in prometheus haproxy pgbouncer; do
        if [ -x "/usr/bin/$tool" ] || [ -x "/usr/sbin/$tool" ] ||
            [ -n "$(find "$target" -path "*bin/$tool" 2>/dev/null)" ]; then
            continue
        fi
        mapfile -t packages < <(with_dependencies "$tool")
        if [ ${#packages[@]} -eq 0 ] || ! unpack_packages "$target" "${packages[@]}"; then
            say "setup: cannot fetch $tool"
        fi
    done
}

check_version()
{
    local version
    version=$("$PG_CONFIG" --version)
    version=${version#PostgreSQL }
    [ "${version%%[!0-9]*}" -ge "$PG_OLDEST" ] ||
        die "$PG_CONFIG belongs to PostgreSQL $version; $PG_OLDEST or later is needed (set PG_CONFIG)"
    say "setup: PostgreSQL $version ($("$PG_CONFIG" --bindir))"
}

check_dotnet()
{
    local version
    version=$(cd "$PGRAFT_ROOT" && dotnet --version 2>/dev/null) || version=none
    if [ "$version" = none ] || [ "${version%%.*}" -lt "$DOTNET_MAJOR" ]; then
        die "the .NET SDK $DOTNET_MAJOR is needed (found: $version); see https://dotnet.microsoft.com/download or, on Ubuntu 24.04: apt-get install dotnet-sdk-$DOTNET_MAJOR.0"
    fi
    say "setup: .NET SDK $version"
}

main()
{
    if ! everything_is_there; then
        install_what_is_missing
    fi
    if [ "${1:-}" = --tests ]; then
        install_test_tools
        fetch_monitoring_tools
    elif [ "${1:-}" = --bench ]; then
        fetch_etcd
    fi
    check_version
    check_dotnet
}

main "$@"
