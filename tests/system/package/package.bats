#!/usr/bin/env bats
# The Debian packages: built as a user builds them, then installed, used, upgraded,
# removed and purged in a Debian tree.
load ../registry
load ../boot/machine
load tree

setup_file() {
    find_tree
    type dpkg-shlibdeps file &>/dev/null || SKIP=${SKIP:-needs the packages dpkg-dev and file}
    [ -z "$SKIP" ] || return 0
    cmake --build "$BUILD" --target package >"$BUILD/package.log" 2>&1 || {
        tail -n 20 "$BUILD/package.log"
        return 1
    }
    mkdir "$BATS_FILE_TMPDIR/new" "$BATS_FILE_TMPDIR/old"
    cp "$BUILD"/package/*.deb "$BATS_FILE_TMPDIR/new"
    rm "$BUILD"/package/*.deb
    # An older release: the same program, another version.
    "$TOP/cli/dist/debian/build" "$TOP" "$BUILD/package" -DBIDE_PACKAGE_VERSION=0.0.9 >>"$BUILD/package.log" 2>&1
    mv "$BUILD"/package/*.deb "$BATS_FILE_TMPDIR/old"
    cp "$BATS_FILE_TMPDIR"/new/*.deb "$BUILD/package"
}

setup() {
    enter_test
    begin_tree "$TREE" "$T"
    mkdir "$ROOT/new" "$ROOT/old"
    cp "$BATS_FILE_TMPDIR"/new/*.deb "$ROOT/new"
    cp "$BATS_FILE_TMPDIR"/old/*.deb "$ROOT/old"
}

teardown() {
    power_off "$BATS_TEST_TMPDIR/state"
    [ -n "$SKIP" ] || end_tree
}

# install_packages FOLDER: installs all packages of a folder of the tree.
install_packages() {
    inside sh -c "dpkg -i /$1/*.deb" >"$T/dpkg" 2>&1 || {
        cat "$T/dpkg"
        return 1
    }
}

counted() {
    inside bide stats payments --json | grep '"succeeded":[1-9]'
}

# Makes the users of the three kinds.
add_users() {
    inside useradd --groups bide shop
    inside useradd --groups bide,bide-ops alice
    inside useradd bob
}

store_payments() {
    printf '[payments]\nattempts = 3\nwait_initial = 1ms\nretry_on = transient\n' |
        inside bide apply - >/dev/null
}

@test "lintian finds no error and no warning" {
    command -v lintian >/dev/null || skip "needs the package lintian"
    cd "$BATS_FILE_TMPDIR/new"
    run lintian --allow-root --fail-on error,warning *.deb
    echo "$output"
    [ "$status" = 0 ]
}

@test "installed: the registry is ready, no unit is enabled, the manual is there" {
    install_packages new
    gives 0 inside bide doctor
    says "Nothing is wrong." "/var/lib/bide"
    gives 0 inside stat -c '%A %U %G' /run/bide
    says "drwxrws--x root bide"
    gives 0 inside getent group bide-ops
    says ":bide"
    [ -z "$(find "$ROOT/etc/systemd" -name 'bide*')" ]
    for page in man1/bide.1 man3/bide.3 man5/bide.5 man7/bide.7; do
        [ ! -e "$TOP/cli/man/${page#*/}" ] || gzip -t "$ROOT/usr/share/man/$page.gz"
    done
    [ -e "$ROOT/usr/share/bash-completion/completions/bide" ]
    [ -e "$ROOT/usr/share/zsh/vendor-completions/_bide" ]
    gives 0 inside bide validate /usr/share/bide/policies/purchase.ini
}

@test "a service counts, an operator changes and is named, an observer reads" {
    install_packages new
    add_users
    store_payments
    gives 0 as shop bide exec payments -- true
    gives 0 as alice bide set payments attempts=5 --note "INC-311"
    gives 0 as bob bide log payments
    says "alice" "INC-311"
    gives 0 as bob bide stats payments --json
    json 'j["policies"][0]["calls"]["succeeded"] == 1'
    for user in shop bob; do
        run as $user bide set payments attempts=9
        [ "$status" = 6 ]
        says "bide-ops"
    done
    # A registry of one's own comes first.
    gives 0 as shop env HOME=/tmp/own sh -c 'bide init && bide list'
    says "~/.local/state/bide" "no policies"
    gives 0 as shop bide list
    says "payments"
}

@test "a program is compiled with pkg-config, and links the library statically" {
    install_packages new
    add_users
    store_payments
    printf '%s\n' '#include <bide.h>' 'int main(void)' '{' 'struct bide *b;' \
        'return bide_open(NULL, 0, &b) || bide_close(b);' '}' >"$ROOT/one.c"
    gives 0 inside sh -c 'cc one.c -o one $(pkg-config --cflags --libs bide)'
    gives 0 as shop /one
    gives 0 inside sh -c 'rm /usr/lib/*/libbide.so && cc one.c -o fixed $(pkg-config --static --cflags --libs bide)'
    gives 0 as shop /fixed
}

# The newcomer's walk: the commands of README's "Install" as they stand, in a folder
# with the packages, and the first program of README.
@test "README: package, policy, program and live change" {
    mkdir -p "$ROOT/srv/build/package"
    cp "$BATS_FILE_TMPDIR"/new/*.deb "$ROOT/srv/build/package"
    sed -n '/^## Install/,/^## /{/^```sh$/,/^```$/{/^```/!p}}' "$TOP/README.md" >"$T/walk"
    awk '/^## A first program/{seen=1} seen && /^```$/{exit} begun{print} seen && /^```c$/{begun=1}' "$TOP/README.md" >"$ROOT/srv/first.c"
    grep -q "^cmake -S . -B build && cmake --build build --target package$" "$T/walk"
    sed '/^cmake /d' "$T/walk" >"$ROOT/srv/walk"
    gives 0 inside timeout 240 bash -exc 'cd /srv; . ./walk'
    says "succeeded after 3 attempts" "payments v1 -> v2" "wait_initial  1h  ->  100ms" alice
}

@test "an upgrade while a service runs: every call is counted, a change is followed" {
    install_packages old
    add_users
    store_payments
    cp "$BATS_TEST_DIRNAME/program/service.c" "$ROOT"
    gives 0 inside sh -c 'cc service.c -o /usr/bin/shop $(pkg-config --cflags --libs bide)'
    as shop sh -c 'echo $$ >/tmp/pid; exec shop' >"$T/said" 3>&- &
    service=$!
    until_it counted

    gives 0 inside sh -c 'apt-get -qq install -y /new/*.deb'
    [ ! -s "$T/said" ] # no call failed
    gives 0 inside bide version
    says "$(sed -nE 's/^project\(bide VERSION ([0-9.]+).*/\1/p' "$TOP/CMakeLists.txt")"
    gives 0 inside dpkg -s libbide0
    says_not "Version: 0.0.9"
    as alice bide set payments attempts=1 >/dev/null
    until_it grep -qx changed "$T/said"
    inside sh -c 'kill "$(cat /tmp/pid)"'
    wait "$service"
    read -r calls _ attempts _ failed _ < <(tail -n 1 "$T/said")
    gives 0 inside bide stats payments --json
    json "j['policies'][0]['attempts'] == $attempts and sum(j['policies'][0]['calls'][k] for k in ('succeeded', 'exhausted')) == $calls"
    json "j['policies'][0]['calls']['exhausted'] == $failed and $failed > 0"
}

# main_pids: the processes of the units, 0 where one does not run.
main_pids() {
    in_machine systemctl show --property MainPID --value bide-record.service bide-serve.service | xargs
}

@test "under systemd an upgrade restarts units that run, a removal stops them" {
    can_boot || skip "needs namespaces"
    mkdir "$T/packages"
    cp -r "$BATS_FILE_TMPDIR/old" "$BATS_FILE_TMPDIR/new" "$T/packages"
    boot "$T/state" "$T/packages" "$TREE"
    gives 0 in_machine sh -c 'dpkg -i /old/*.deb'
    [ "$(main_pids)" = "0 0" ]
    gives 0 in_machine systemctl enable --now bide-record.service bide-serve.socket
    gives 0 in_machine curl -s http://127.0.0.1:9747/api/now
    before=$(main_pids)
    gives 0 in_machine sh -c 'dpkg -i /new/*.deb'
    after=$(main_pids)
    echo "$before, then $after"
    [ "${after% *}" != "${before% *}" ]
    [ "${after#* }" != "${before#* }" ]
    [[ " $after " != *" 0 "* ]]
    gives 0 in_machine curl -s http://127.0.0.1:9747/api/now

    gives 0 in_machine dpkg --remove bide
    [ "$(main_pids)" = "0 0" ]
    gives 0 in_machine dpkg --purge bide
    gives 0 in_machine find /etc/systemd -name 'bide*'
    [ -z "$output" ]
    gives 0 in_machine systemctl list-units --all --plain --no-legend 'bide*'
    [ -z "$output" ]
}

@test "a program of Python runs under the policy of an operator" {
    [ -e "$(echo "$ROOT"/new/python3-bide_*.deb)" ] || skip "needs the package python3-dev"
    install_packages new
    add_users
    store_payments
    gives 0 as shop python3 -c 'import bide; bide.policy("payments")(print)("paid")'
    says paid
    counted
    [ -d "$ROOT/usr/lib/python3/dist-packages/bide/__pycache__" ]
}

@test "a registry that root made before the package is repaired" {
    inside sh -c 'dpkg-deb -x /new/bide_*.deb /opt'
    gives 0 inside /opt/usr/bin/bide init
    printf '[payments]\nattempts = 2\n' | inside /opt/usr/bin/bide apply -
    gives 2 inside getent group bide-ops
    install_packages new
    add_users
    gives 0 as alice bide set payments attempts=3
    gives 0 as shop bide exec payments -- true
    gives 0 as bob bide stats payments --json
    json 'j["policies"][0]["calls"]["succeeded"] == 1'
}

@test "a purge keeps a registry with policies and says so, an installation finds it" {
    install_packages new
    store_payments
    gives 0 inside apt-get -qq remove bide
    gives 0 inside apt-get -qq purge bide
    says "/var/lib/bide is kept"
    gives 0 inside getent passwd bide
    install_packages new
    gives 0 inside bide list
    says payments
    gives 0 inside bide doctor
}

@test "a purge removes an empty registry, and all that the package made" {
    install_packages new
    gives 0 inside dpkg --purge bide
    says_not "is kept"
    [ ! -e "$ROOT/var/lib/bide" ]
    [ ! -e "$ROOT/run/bide" ]
    gives 0 inside dpkg --purge python3-bide libbide-dev libbide0
    [ -z "$(find "$ROOT/usr" "$ROOT/etc" "$ROOT/var" -xdev -name '*bide*')" ]
    install_packages new
    gives 0 inside bide doctor
}

@test "a policy that is stored after the removal is kept by the purge" {
    install_packages new
    cp "$ROOT/usr/bin/bide" "$ROOT/root/bide"
    gives 0 inside dpkg --remove bide
    printf '[late]\nattempts = 2\n' | inside /root/bide apply -
    gives 0 inside dpkg --purge bide
    says "/var/lib/bide is kept"
    gives 0 inside /root/bide get late attempts
}

@test "the command and the library of two releases are refused" {
    gives 1 inside dpkg -i /new/libbide0_0.1.0_amd64.deb /old/bide_0.0.9_amd64.deb
    says "bide depends on libbide0 (= 0.0.9)"
    inside dpkg --purge bide libbide0
    install_packages old
    gives 1 inside sh -c 'dpkg -i /new/libbide0_*.deb'
    says "would break bide"
    gives 0 inside bide doctor
}

@test "a full disk fails the installation, space completes it" {
    inside mkdir /var/lib/bide
    inside mount -t tmpfs -o size=16k tmpfs /var/lib/bide
    inside dd if=/dev/zero of=/var/lib/bide/full bs=4k 2>/dev/null || true
    gives 1 inside sh -c 'dpkg -i /new/*.deb'
    says "No space left on device"
    inside mount -o remount,size=8m /var/lib/bide
    gives 0 inside dpkg --configure -a
    gives 0 inside bide list
}
