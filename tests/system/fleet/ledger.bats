#!/usr/bin/env bats
# Random kills of agents, of etcd and of operators.  KILLS sets how many.

load fleet

setup_file() {
    needs_fleet
}

# push_until_done N: pushes until etcd has a release with N attempts; pushes that
# are killed come before.  Prints its number.
push_and_be_killed() {
    policies "$1" payments extra >next.ini
    timeout -s KILL "0.0$((RANDOM % 9 + 1))" "$BIDE" --dir "$T/web-1" fleet push next.ini >/dev/null 2>&1 || true
}

# roll_and_be_killed N: begins a rollout by stages, or ends one, and is killed.
roll_and_be_killed() {
    local words=(rollout "$1" --hosts "web-$((RANDOM % 3 + 1))" --then "50%,100%" --every 1s --guard "failed<2%")
    ((RANDOM % 3)) || words=(abort)
    timeout -s KILL "0.$((RANDOM % 2))$((RANDOM % 9 + 1))" "$BIDE" --dir "$T/web-1" fleet "${words[@]}" >/dev/null 2>&1 || true
}

point_until_done() {
    until_true point "\"release\":$1,\"percent\":100" 2>/dev/null
}

# newest_release: prints the number of the newest release that can be read.
newest_release() {
    on web-1 fleet releases --json 2>/dev/null |
        python3 -S -c 'import json, sys; print(json.load(sys.stdin)["releases"][0]["release"])'
}

@test "each host ends at the pointer's release, with each change once in its log" {
    local kills=0 host n=2 number
    start_etcd
    for host in web-1 web-2 web-3; do
        new_host "$host"
        follow "$host"
    done
    policies 1 payments extra | on web-1 fleet push - >/dev/null
    while [ "$kills" -lt "${KILLS:-30}" ]; do
        case $((RANDOM % 5)) in
        0)
            kill_now etcd
            start_etcd
            ;;
        1)
            push_and_be_killed $((n++))
            ;;
        *)
            host=web-$((RANDOM % 3 + 1))
            kill_now "$host"
            follow "$host"
            ;;
        esac
        kills=$((kills + 1))
        number=$(newest_release) || continue
        if ((RANDOM % 2)); then
            roll_and_be_killed $((RANDOM % number + 1))
        else
            point_until_done $((RANDOM % number + 1))
        fi
        sleep "0.0$((RANDOM % 9))"
    done
    policies 99 payments extra | on web-1 fleet push - >/dev/null
    number=$(newest_release)
    point_until_done "$number"
    for host in web-1 web-2 web-3; do
        until_true has "$host" payments attempts 99
        until_true record_has "$host" "g('release') == $number"
        gives 0 on "$host" log --json
        # One version for each change, and no change that changes nothing.
        json '[c["version"] for c in j["changes"] if c["policy"] == "payments"] ==
            list(range(len([c for c in j["changes"] if c["policy"] == "payments"]), 0, -1))
            and all(a["note"] != b["note"] or a["policy"] != b["policy"]
                    for a, b in zip(j["changes"][:-1], j["changes"][1:]))
            and all("via fleet" in c["note"] for c in j["changes"])'
        gives 0 on "$host" doctor
    done
    # Each release that is listed is whole.
    for ((n = 1; n <= number; n++)); do
        run on web-1 fleet diff "$n"
        [ "$status" -le 1 ]
    done
}
