#!/usr/bin/env bats
# The effect of rules before they are used: preview, simulate.
load ../registry

# ---- preview ----

@test "preview prints a table, a plot, and the consequence of giving up" {
    shop
    gives 0 bide preview pay
    says "ATTEMPT  WAIT BEFORE" "0 .. 100ms" "0 .. 700ms" "●" "├" "┤" \
        'Then the call gives up: attempts (at most 4). Mandatory: the caller gets "aborted".'
    gives 0 bide preview order
    says 'Postponable: the caller gets "deferred".'
}

@test "preview without UTF-8 prints ASCII only" {
    shop
    gives 0 env LC_ALL=C "$BIDE" --dir "$DIR" preview pay
    says "|--" "*"
    says_not "●"
    gives 0 env LC_ALL=C "$BIDE" --dir "$DIR" list
    says "+-full, <=2s"
}

@test "preview --json has the documented members" {
    shop
    gives 0 bide preview pay attempts=3 wait_jitter=none --json
    [ "$output" = '{"policy":"pay","waits":[{"attempt":2,"min_ms":100,"max_ms":100,"total_min_ms":100,"total_max_ms":100},{"attempt":3,"min_ms":200,"max_ms":200,"total_min_ms":300,"total_max_ms":300}],"ends":"attempts"}' ]
    gives 0 bide preview pay wait_initial=1.5ms attempts=2 --json
    says '"max_ms":1.5,'
    gives 0 bide preview pay wait_initial=100us attempts=2 --json
    says '"max_ms":0.1,'
}

@test "preview of unlimited attempts shows some attempts, or as many as --attempts" {
    shop
    gives 0 bide preview mail --json
    json 'len(j["waits"]) == 9 and j["ends"] == "none"'
    gives 0 bide preview mail --json --attempts 31
    json 'len(j["waits"]) == 30 and j["waits"][-1]["attempt"] == 31'
    gives 0 bide preview mail --attempts 3
    says "More attempts follow"
    gives 0 bide preview mail --json --attempts 1501
    json 'len(j["waits"]) == 1500 and j["ends"] == "none"'
    gives 0 bide preview mail --json attempts=5000
    json 'len(j["waits"]) == 4999 and j["ends"] == "attempts"'
    gives 0 bide preview mail attempts=1000000
    says "Not shown: 999,000 more attempts. To see all: --attempts 1000000 or --json."
    [ "$(grep -c '^[0-9]' <<<"$output")" = 1000 ]
    gives 0 bide preview mail attempts=1000
    says_not "Not shown"
    gives 0 bide preview mail attempts=1000000 --attempts 2500
    [ "$(grep -c '^[0-9]' <<<"$output")" = 2500 ]
    says_not "Not shown"
    gives 2 bide preview mail --attempts 1000001
    gives 2 bide preview mail --attempts 0
    gives 2 bide preview mail --attempts few
}

@test "preview applies KEY=VALUE and stores nothing" {
    shop
    unchanged gives 0 bide preview pay attempts=2 max_elapsed=50ms
    says "at most 2"
    unchanged gives 5 bide preview pay attempts=0
    says "attempts = 0"
    unchanged gives 5 bide preview pay wait_min=1h
    unchanged gives 2 bide preview pay attempts
}

@test "preview names the limit that ends the call" {
    printf '[a]\nattempts = unlimited\ndeadline = 1s\nwait_jitter = none\n' >a.ini
    gives 0 bide preview a.ini
    says "Then the call gives up: deadline"
    printf '[a]\nattempts = 1\npaused = yes\n' >a.ini
    gives 0 bide preview a.ini
    says "Paused: new calls are refused" "at most 1"
}

@test "preview FILE needs no registry" {
    printf '[a]\nextends = b\n[b]\nattempts = 2\n' >two.ini
    gives 0 "$BIDE" --dir "$T/none" preview two.ini --policy a
    says "at most 2"
    gives 2 "$BIDE" --dir "$T/none" preview ./two.ini
    says "contains 2 policies" "--policy a" "--policy b"
    gives 3 "$BIDE" --dir "$T/none" preview two.ini --policy c
    gives 0 "$BIDE" --dir "$T/none" preview - <<<'[a]'
    gives 5 "$BIDE" --dir "$T/none" preview - <<<'[a'
    gives 5 "$BIDE" --dir "$T/none" preview none.ini
    gives 6 "$BIDE" --dir "$T/none" preview a
}

@test "preview FILE can extend a policy of the registry" {
    shop
    gives 0 bide preview - --json <<<$'[a]\nextends = pay'
    json 'len(j["waits"]) == 3'
}

# ---- simulate ----

script() {
    cat <<'END'
0      a   http.503+5ms  http.503+5ms  ok+3ms
20ms   b   http.429+1ms;after=2s  ok+1ms
END
}

@test "simulate --json prints one object per line, in order of time" {
    shop
    script >script
    gives 0 bide simulate pay --script script --random 1 --json
    [ "${lines[0]}" = '{"t_ms":0,"call":"a","attempt":1,"says":"go"}' ]
    [ "${lines[1]}" = '{"t_ms":5,"call":"a","attempt":1,"says":"wait","until_ms":105}' ]
    says '{"t_ms":21,"call":"b","attempt":1,"says":"wait","until_ms":2021}' \
        '{"t_ms":313,"call":"a","attempt":3,"says":"done","verdict":"succeeded"}'
}

@test "simulate prints which call gave up, why, and the consequence" {
    shop
    gives 0 bide simulate order attempts=1 --script - --json <<<'0 a errno.ECONNRESET+1.5ms'
    [ "${lines[1]}" = '{"t_ms":1.5,"call":"a","attempt":1,"says":"done","verdict":"exhausted","reason":"attempts","end":"deferred"}' ]
    gives 0 bide simulate pay paused=yes --script - --json <<<'0 a ok+1ms'
    json 'j["says"] == "refused" and j["reason"] == "paused" and j["attempt"] == 0'
}

@test "simulate prints a table" {
    shop
    script >script
    gives 0 bide simulate pay --script script
    says "AT  CALL  ATTEMPT  SAYS" "until 55ms" "succeeded"
    gives 0 bide simulate pay never_on=http.404 --script - <<<'0 a http.404+1ms'
    says "  rejected"
    says_not "rejected: rejected"
}

@test "simulate --random is 0.5 by default" {
    shop
    script >script
    bide simulate pay --script script --json >half
    bide simulate pay --script script --json --random 0.5 | cmp - half
    for bad in 2 -1 nan x "" 0.5x; do
        gives 2 bide simulate pay --script script --random "$bad"
    done
}

@test "simulated calls follow changes of the policy" {
    shop
    printf '0 a errno.ETIMEDOUT+0ms ok+0ms\n10ms set wait_initial=20ms\n' >script
    gives 0 bide simulate pay wait_jitter=none --script script --json
    says '"until_ms":100' '{"t_ms":20,"call":"a","attempt":2,"says":"done","verdict":"succeeded"}'
}

@test "simulate refuses invalid scripts and names each line" {
    shop
    printf '0 a ok+1ms\nx b ok\n5 c nonsense+1ms\n' >script
    gives 5 bide simulate pay --script script
    says "script:2:" "script:3:"
    gives 5 bide simulate pay --script missing
    says "missing: cannot be read"
    gives 5 bide simulate pay --script - <<<$'0 a errno.ETIMEDOUT+0ms\n1ms set attempts=0'
}

@test "simulate needs a script, and reads standard input only once" {
    shop
    gives 2 bide simulate pay
    says "use --script FILE"
    gives 2 bide simulate - --script -
}
