#!/usr/bin/env bats
# The installed units under a systemd that boots in namespaces of its own, and again.
load ../registry
load machine

# unit NAME LINE...: a service of POLICY NAME that notes the number of its calls.
unit() {
    printf '%s\n' '[Service]' Type=exec "StateDirectory=$1" Environment=BIDE_DIR=/var/lib/bide \
        'ExecStartPre=test -d /run/bide' "ExecStart=/opt/service $1 10 /var/lib/$1/calls" "${@:2}" \
        '[Install]' WantedBy=multi-user.target >"$MACHINE/over/etc/systemd/system/$1.service"
}

setup_file() {
    MACHINE=$BATS_FILE_TMPDIR
    export SKIP="needs namespaces"
    ! can_boot || find_tree
    [ -z "$SKIP" ] || return 0
    DESTDIR=$MACHINE/installed cmake --install "$BUILD" >/dev/null
    install -D "$SERVICE" "$MACHINE/over/opt/service"
    mkdir -p "$MACHINE/over/etc/systemd/system"
    unit pay User=alice
    unit mail User=bob SupplementaryGroups=bide ProtectSystem=strict ReadWritePaths=/run
    printf '%s\n' '[Service]' Type=oneshot User=bob SupplementaryGroups=bide ProtectSystem=strict \
        'ReadWritePaths=/run -/var/lib/bide/deferred' Environment=BIDE_DIR=/var/lib/bide \
        'ExecStart=-bide exec --quiet --defer mail -- sh -c "exit 9"' >"$MACHINE/over/etc/systemd/system/later.service"
    boot "$MACHINE/state" "$MACHINE/over" "$MACHINE/installed" "$TREE"
    in_machine bash -ec "ldconfig
        useradd --system --groups bide alice
        useradd --system bob
        bide init >/dev/null
        printf '[pay]\n[mail]\nimportance = postponable\nattempts = 1\nretry_on = exit.9\n' >/root/shop.ini
        bide apply /root/shop.ini >/dev/null
        systemctl enable --quiet --now bide-record.service bide-serve.socket pay mail"
}

teardown_file() {
    power_off "$BATS_FILE_TMPDIR/state"
}

setup() {
    enter_test
    STATE=$BATS_FILE_TMPDIR/state
}

# counted POLICY: the calls that the history and the live state have, on stdout.
counted() {
    in_machine bide stats "$1" --since -1h --json |
        python3 -c 'import json, sys; print(sum(r["calls"]["succeeded"] for r in json.load(sys.stdin)["rows"]))'
}

# grows POLICY: succeeds when more calls are counted than at the last look.
grows() {
    local now
    now=$(counted "$1")
    [ "$now" -gt "${seen[$1]:-$now}" ] || {
        seen[$1]=$now
        return 1
    }
}

all_count() {
    declare -gA seen=()
    until_it grows pay
    until_it grows mail
}

nothing_failed() {
    gives 0 in_machine systemctl --failed --quiet --no-legend
    [ -z "$output" ]
    gives 0 in_machine systemctl is-active bide-record.service bide-serve.socket pay mail
    run in_machine journalctl --boot --quiet --unit 'bide-*' --grep 'bide: |Failed|226|status='
    [ -z "$output" ]
}

# made POLICY: the calls that a service made, which it notes when it ends.
made() {
    in_machine cat "/var/lib/$1/calls" | python3 -c 'import sys; print(sum(map(int, sys.stdin)))'
}

page() {
    in_machine curl --silent --show-error --max-time 20 "http://127.0.0.1:9747$1"
}

@test "the units have no warning, and an exposure below 2" {
    for unit in bide-record.service bide-serve.service bide-serve.socket bide-fleet.service; do
        gives 0 in_machine systemd-analyze verify --man=no --recursive-errors=yes \
            "$(in_machine systemctl show --property=FragmentPath --value "$unit")"
        [ -z "$output" ]
    done
    for unit in bide-record.service bide-serve.service bide-fleet.service; do
        gives 0 in_machine systemd-analyze security --threshold=20 --no-pager "$unit"
    done
}

@test "services of two users count, the page answers, the recorder records" {
    all_count
    nothing_failed
    gives 3 in_machine systemctl is-active bide-serve.service
    run page /metrics
    says $'\nbide_up 1' 'bide_calls_total{policy="pay"'
    for what in counts history deferred; do
        says $'\n'"bide_${what}_up 1"
    done
    # A confined service defers work, and the page shows it.
    run in_machine systemctl start later.service
    run page /api/deferred
    json 'sum(p["waiting"] for p in j["policies"]) == 1'
    # The socket survives its service.
    in_machine systemctl restart bide-serve.service
    run page /metrics
    says $'\nbide_up 1'
    in_machine systemctl stop bide-serve.service 2>/dev/null
    run page /api/now
    json 'len(j["list"]["policies"]) == 2'
    gives 0 in_machine bash -c 'ls -l /var/lib/bide/history/history.mdb'
    says "bide"
    nothing_failed
}

# rebooted PID: succeeds when a systemd other than process PID has started its units.
rebooted() {
    [ "$(cat "$STATE/pid")" != "$1" ] && in_machine systemctl is-system-running --wait
}

@test "after a reboot all go on, and no call is lost" {
    local before
    before=$(<"$STATE/pid")
    all_count
    in_machine systemctl reboot || true
    until_it rebooted "$before"
    all_count
    nothing_failed
    run page /metrics
    says $'\nbide_up 1'
    in_machine systemctl stop pay mail
    for policy in pay mail; do
        [ "$(made $policy)" = "$(counted $policy)" ] || {
            echo "$policy: made $(made $policy), counted $(counted $policy)"
            in_machine bide stats $policy --since -1h
            return 1
        }
    done
    gives 0 in_machine bide doctor
    in_machine systemctl start pay mail
}

@test "without /run/bide and history the units start, and follow when they are there" {
    in_machine systemctl stop bide-record.service bide-serve.service bide-serve.socket 2>/dev/null
    in_machine rm -r /run/bide /var/lib/bide/history
    in_machine systemctl start bide-record.service bide-serve.socket
    run page /metrics
    says $'\nbide_up 1'
    gives 0 in_machine systemctl is-active bide-record.service bide-serve.service
    in_machine systemd-tmpfiles --create
    in_machine bide init
    all_count
    gives 0 in_machine systemctl is-active bide-record.service
    gives 0 in_machine systemctl restart bide-record.service # records
    gives 0 in_machine ls /var/lib/bide/history/history.mdb
}

# state_of_backup STATE: succeeds when the unit is in it.
state_of_backup() {
    [ "$(in_machine systemctl show --property=ActiveState --value backup)" = "$1" ]
}

backup_waits() {
    in_machine bide calls --json | grep -q '"policy":"backup"'
}

@test "the example unit of bide(1) retries under its policy, follows it, and can be stopped" {
    example systemd | in_machine tee /etc/systemd/system/backup.service >/dev/null
    # Fails twice, then succeeds.
    # shellcheck disable=SC2016 # for the command
    printf '%s\n' '#!/bin/sh' 'echo "$@" >>/run/backups' '[ $(($(wc -l </run/backups) % 3)) -eq 0 ]' |
        in_machine install -m 755 /dev/stdin /usr/bin/rsync
    printf '[backup]\nattempts = 3\nwait = fixed\nwait_initial = 1h\nwait_max = 1h\nretry_on = any\n' |
        in_machine bide apply - >/dev/null
    in_machine systemctl daemon-reload
    in_machine systemctl start --no-block backup
    until_it backup_waits
    gives 0 in_machine systemctl show --property=ActiveState --value backup
    [ "$output" = activating ]
    in_machine bide set backup wait_initial=1ms >/dev/null
    until_it state_of_backup inactive
    gives 0 in_machine cat /run/backups
    [ "$output" = "$(printf -- '-a /srv backup:/srv\n%.0s' 1 2 3)" ]

    in_machine bide set backup wait_initial=1h >/dev/null
    in_machine systemctl start --no-block backup
    until_it backup_waits
    in_machine systemctl stop backup
    run in_machine bide stats backup --json
    json 'j["policies"][0]["calls"]["succeeded"] == 1 and j["policies"][0]["calls"]["cancelled"] == 1'

    in_machine bide pause backup >/dev/null
    gives 0 in_machine systemctl start backup # 75: refused
    gives 0 in_machine cat /run/backups
    [ "${#lines[@]}" -eq 4 ]
}
