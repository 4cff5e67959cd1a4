#!/usr/bin/env bash
# Makes a Debian tree with systemd and the libraries of bide, once: later calls use
# it again.  Prints its path, or the reason why it cannot be made, with status 77.
# Nobody writes into the tree: tests mount an overlay on it.
#   tests/system/tree.sh BUILD
set -euo pipefail
place=$1/tree
packages=systemd,systemd-sysv,adduser,ca-certificates,curl,libinih1,libjansson4,liblmdb0,libmicrohttpd12,libncursesw6,gcc,libc6-dev,libinih-dev,liblmdb-dev,pkg-config,python3

skip() {
    echo "$1"
    exit 77
}

[ "$(id -u)" = 0 ] || skip "needs root"
command -v debootstrap >/dev/null || skip "needs the package debootstrap"
# shellcheck source=/dev/null
. /etc/os-release
[ "${ID:-}" = debian ] || skip "needs Debian" # its libraries are in the tree
mkdir -p "$place"
exec 9>"$place/lock"
flock 9 # tests run at the same time
# The tree of another list of packages is made again.
ready=$place/$VERSION_CODENAME
if [ "$(cat "$ready.packages" 2>/dev/null)" != "$packages" ]; then
    rm -rf "$ready" "$ready.packages"
    # A PID namespace: whatever a package starts ends with debootstrap.
    unshare --mount --pid --fork --kill-child debootstrap --variant=minbase --include="$packages" \
        "$VERSION_CODENAME" "$ready" >"$place/log" 2>&1 9>&- || {
        tail -n 3 "$place/log" >&2
        skip "needs a Debian mirror (see $place/log)"
    }
    rm -rf "$ready"/var/cache/apt/archives/*.deb
    echo "$packages" >"$ready.packages"
fi
echo "$ready"
