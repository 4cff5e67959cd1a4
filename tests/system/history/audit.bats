#!/usr/bin/env bats
# What audit shows of the time line: --kind, and texts on a terminal.
load ../registry

pay() {
    shop
    bide set pay retry_on=exit.9 wait=none attempts=3 >/dev/null
}

@test "audit --kind shows only entries of these kinds" {
    pay
    bide set pay attempts=1 >/dev/null
    bide pause pay >/dev/null
    bide exec --quiet pay -- true || true
    gives 0 bide audit pay --kind forced
    says "paused no"
    says_not "refused"
    says_not "attempts 3"
    gives 0 bide audit pay --kind change,forced --json
    json '{e["kind"] for e in j["entries"]} == {"change", "forced"}'
    gives 0 bide audit pay --kind calls --csv
    [ "${#lines[@]}" -eq 2 ]
    gives 0 bide audit pay --kind breaker
    says "Nothing of these kinds."
    for kinds in "" "change," chang $'\033'; do
        gives 2 bide audit --kind "$kinds"
        says "takes change, forced, breaker, warning, host, work or calls"
    done
}

@test "audit prints one line per entry on a terminal, and all with --verbose" {
    command -v script >/dev/null || skip "needs script(1)"
    pay
    bide set pay attempts=1 wait_initial=250ms wait_max=3s --note "the gateway asked for it, INC-311" >/dev/null
    local command="stty cols 80; '$BIDE' --dir '$DIR' audit pay"
    gives 0 script -qec "$command" /dev/null
    says "..." "Long texts are cut. To see all: --verbose."
    [ "$(grep -c ' change ' <<<"$output")" -eq "$(grep -cE '^(today|yesterday|20)' <<<"$output")" ]
    [ -z "$(tr -d '\r' <<<"$output" | grep -E '^.{81}')" ]
    # Wherever a text is cut, also at a blank, the row fits one line.
    for columns in 70 71 72 73 74 75 76 77 78 79 80; do
        gives 0 script -qec "${command/cols 80/cols $columns}" /dev/null
        [ "$(grep -c '^ ' <<<"$output")" -eq 0 ]
    done
    gives 0 script -qec "$command --verbose" /dev/null
    says_not "Long texts are cut"
    says "INC-311"
    gives 0 bide audit pay
    says "wait_max 2s -> 3s" "INC-311"
}
