#!/usr/bin/env bats
# simulate --replay: recorded traffic under other rules.
load ../registry

# Records 40 calls: ten always fail, ten fail once, twenty never fail.
recorded() {
    shop
    bide set pay retry_on=exit.9 wait=none attempts=3 >/dev/null
    local i
    for ((i = 0; i < 40; i++)); do
        bide exec --quiet pay -- sh -c "
            case $((i % 4)) in
            0) exit 9 ;;
            1) [ \"\$BIDE_ATTEMPT\" -gt 1 ] || exit 9 ;;
            esac" || true
        [ "$i" -ne 20 ] || bide record
    done
}

@test "replay shows recorded, present and changed figures side by side" {
    recorded
    gives 0 bide simulate pay attempts=1 --replay --since -1h
    says RECORDED NOW CHANGED "attempts per call" "calls refused" Assumed: "changed: attempts=1" "In each interval"
    gives 0 bide simulate pay attempts=1 --replay --json
    json 'j["recorded"]["calls"] == j["runs"][0]["calls"] == j["runs"][1]["calls"] == 40'
    json 'j["recorded"]["attempts"] == 70 and j["recorded"]["success_share"] == 0.75'
    json 'abs(j["runs"][0]["attempts"] - 70) <= 12'
    json 'abs(j["runs"][0]["success_share"] - 0.75) <= 0.15'
    json 'j["runs"][1]["attempts"] == 40 and abs(j["runs"][1]["success_share"] - 0.5) <= 0.2'
    json 'j["recorded"]["attempt_ms"]["p50"] > 0 and j["runs"][0]["attempt_ms"]["p50"] > 0'
    json 'abs(j["runs"][0]["attempt_ms"]["p50"] / j["recorded"]["attempt_ms"]["p50"] - 1) < 0.5'
    json 'len(j["assumed"]) >= 3 and j["seed"] == 1'
    unchanged bide simulate pay attempts=9 --replay >/dev/null
}

@test "replay simulates each scope separately, or only one" {
    recorded
    bide exec --scope bank pay -- true
    gives 0 bide simulate pay --replay --json
    json 'j["scopes"] == 2 and j["recorded"]["calls"] == 41 and len(j["runs"]) == 1'
    gives 0 bide simulate pay --replay --scope bank --json
    json 'j["scopes"] == 1 and j["recorded"]["calls"] == 1 == j["runs"][0]["attempts"]'
}

@test "replay reports the versions under which calls were recorded" {
    recorded
    bide record
    bide set pay attempts=2 >/dev/null
    gives 0 bide simulate pay --replay
    says "recorded under version"
    cat >other.ini <<'END'
[pay]
attempts = 1
END
    gives 0 bide simulate other.ini --replay --json
    json 'j["present_version"] == 0 and j["runs"][0]["attempts"] == 40'
}

@test "replay reports missing history, invalid times and excluded options" {
    shop
    gives 1 bide simulate pay --replay --since -2h
    says "no calls were recorded"
    gives 3 bide simulate nobody --replay
    gives 2 bide simulate pay --replay --since tomorrow-ish
    gives 2 bide simulate pay --replay --since -1h --until -2h
    gives 2 bide simulate pay --replay --calls 5/s
    gives 2 bide simulate pay --replay --script x
    gives 2 bide simulate pay --since -2h
    says "--since: works only with --replay"
    gives 5 bide simulate pay --replay attempts=none
    gives 6 "$BIDE" --dir "$T/nowhere" simulate shop.ini --policy pay --replay
}
