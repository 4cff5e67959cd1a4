#!/usr/bin/env bats
# bide rename: versions, history, layers and children follow, or nothing does.

load ../registry

family() {
    printf '[pay]\nattempts = 4\nwait_initial = 1ms\nimportance = postponable\n\n[kid]\nextends = pay\n\n[default]\nattempts = 2\n' >family.ini
    bide apply family.ini >/dev/null
}

teardown() {
    touch down # ends what still waits for it
}

# The name that exists of two, and that its child extends it.
one_of() {
    local name found=
    for name; do
        ! bide show "$name" >/dev/null 2>&1 || found+=$name
    done
    [ "$(bide get kid extends)" = "$found" ]
    echo "$found"
}

# calls_of NAME: the number of calls in its history.
calls_of() {
    bide stats "$1" --since -1h --json | python3 -S -c "import json, sys
print(sum(sum(r['calls'].values()) for r in json.load(sys.stdin)['rows']))"
}

@test "versions, temporary changes and children follow, and the log says so" {
    family
    bide set pay attempts=5 >/dev/null
    bide set pay attempts=6 --for 1h >/dev/null
    gives 0 bide rename pay refunds --json
    gives 0 bide show refunds
    says "attempts is 6 until"
    gives 0 bide get kid extends
    says refunds
    gives 0 bide show refunds --version 1
    says "[refunds]" "attempts = 4"
    gives 0 bide log refunds --json
    json "[c['version'] for c in j['changes']] == [5, 3, 2, 1]"
    json "j['changes'][0]['note'] == 'renamed from pay v3'"
    gives 0 bide rollback refunds 1
    gives 3 bide show pay
    gives 0 bide doctor
}

@test "history and audit follow, there and back, and nothing is counted twice" {
    family
    for _ in 1 2 3; do bide exec pay -- true; done
    bide record >/dev/null
    bide exec pay -- true # not recorded yet
    gives 0 bide rename pay refunds
    [ "$(calls_of refunds)" = 4 ]
    bide exec pay -- true # by the default: it stays with the old name
    bide record >/dev/null
    [ "$(calls_of refunds)" = 4 ]
    [ "$(calls_of pay)" = 1 ]
    gives 0 bide audit refunds
    says "v1: created" "renamed from pay"
    gives 0 bide rename refunds pay
    [ "$(calls_of pay)" -ge 4 ]
}

@test "a name in use by a running process is refused, unless --force" {
    family
    bide exec pay -- sh -c 'touch up; until [ -e down ]; do sleep 0.01; done' 3>&- &
    until [ -e up ]; do sleep 0.01; done
    gives 1 bide rename pay refunds
    says "pay: process" "bide" "--force"
    bide exec pay -- true # the last that asked has ended, the first one runs
    gives 1 bide rename pay refunds
    gives 0 bide rename pay refunds --dry-run --force
    gives 0 bide get kid extends
    [ "$output" = pay ]
    gives 0 bide rename pay refunds --force
    gives 0 bide list
    says "pay " "not defined, so default applies: used by"
    touch down
    wait
}

@test "totals since the live state was created follow, by scope" {
    family
    for _ in 1 2 3; do bide exec pay -- true; done
    bide exec pay --scope eu -- true
    bide rename pay refunds >/dev/null
    gives 0 bide list --all --json
    json '[(p["policy"], p["calls"]) for p in j["policies"] if p["calls"]] == [("refunds", 4)]'
    bide exec refunds -- true
    bide exec refunds --scope us -- true
    gives 0 bide stats refunds
    [ "$(grep -cE '^refunds +(-|eu|us) ' <<<"$output")" = 3 ]
    gives 0 bide list --all --json
    json '[(p["policy"], p["calls"]) for p in j["policies"] if p["calls"]] == [("refunds", 6)]'
    gives 3 bide stats pay
    gives 3 bide show pay
    says "pay: this policy was renamed to refunds" "see: bide log refunds"
}

@test "deferred work, default and names with a history are refused" {
    family
    gives 0 bide exec pay --defer -- sh -c 'exit 75'
    gives 1 bide rename pay other --force
    says "1 pieces" "bide deferred drop pay --until now"
    gives 0 bide deferred drop pay --until now
    gives 1 bide rename default other
    gives 1 bide rename pay kid
    says "a policy has or had this name"
    gives 3 bide rename nobody other
    gives 5 bide rename pay Bad
    printf '[gone]\nattempts = 3\n' | bide apply - >/dev/null
    bide delete gone >/dev/null
    gives 1 bide rename pay gone
    says "bide log gone"
    gives 4 bide rename pay other --if-version 7
    gives 0 bide rename pay other --if-version 1
}

@test "of two operators at once, one wins" {
    family
    bide rename pay one >a 2>&1 3>&- & local a=$!
    bide rename pay two >b 2>&1 3>&- & local b=$!
    local won=0
    ! wait $a || won=$((won + 1))
    ! wait $b || won=$((won + 1))
    [ $won = 1 ]
    [ -n "$(one_of one two)" ]
    gives 0 bide doctor
}

@test "kill -9 at any moment leaves all or nothing" {
    family
    bide exec pay -- true
    bide record >/dev/null
    local from=pay to=refunds now killed=0 status
    for i in $(seq 1 40); do
        status=0
        timeout -s KILL "0.0$((i % 4))$((i % 10))$((i % 7))" \
            "$BIDE" --dir "$DIR" rename $from $to >/dev/null 2>&1 || status=$?
        now=$(one_of pay refunds)
        [ $status -ne 0 ] || [ "$now" = $to ]
        [ $status -eq 0 ] || killed=$((killed + 1))
        bide show "$now" --version 1 >/dev/null
        [ "$now" = $from ] || { to=$from from=$now; }
        [ "$(calls_of "$now")" = 1 ]
    done
    echo "killed: $killed"
    [ $killed -gt 0 ]
    gives 0 bide doctor
}
