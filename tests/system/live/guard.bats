#!/usr/bin/env bats
# Budgets and breakers that processes share, and the commands that show, force
# and reset them.
load ../registry

# guarded [KEY=VALUE...]: defines a policy `pay` that retries exit status 9.  Its
# breaker, once open, is shown as "OPEN 10d" for half an hour.
guarded() {
    cat >pay.ini <<'END'
[pay]
attempts = 1
retry_on = exit.9
wait = none
breaker = on
breaker_min_calls = 4
breaker_open_for = 10d
breaker_probes = 1
END
    bide apply pay.ini >/dev/null
    [ $# -eq 0 ] || bide set pay "$@" >/dev/null
}

# work STATUS [SCOPE]: a call of pay whose attempt ends with STATUS, in a process
# of its own; each attempt adds a line to the file `ran`.
work() {
    # shellcheck disable=SC2016 # for the inner shell
    bide exec --quiet ${2:+--scope "$2"} pay -- sh -c 'echo >>ran; exit "$1"' - "$1"
}

ran() {
    [ "$(wc -l 2>/dev/null <ran || echo 0)" -eq "$1" ]
}

trip() {
    for _ in 1 2 3 4; do
        run work 9 "$@"
    done
}

# spoil OFFSET VALUE: overwrites a word of every cell that has a name.
spoil() {
    python3 - "$T"/live/*.live "$1" "$2" <<'END'
import sys
path, offset, value = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, "r+b") as f:
    f.seek(88)
    for i in range(int.from_bytes(f.read(4), "little")):
        f.seek(2686976 + i * 512 + offset)
        f.write(value.to_bytes(8, "little"))
        f.seek(0)
END
}

# ---- the breaker ----

@test "a breaker that one process opens is open for all processes" {
    guarded
    trip
    ran 4
    for _ in 1 2 3; do
        run work 0
        [ "$status" -ne 0 ]
    done
    ran 4
    gives 0 bide breaker pay
    says "pay: breaker on; opens when 50% of at least 4 attempts fail within 10s; stays open for 10d; then 1 probe"
    [[ ${lines[2]} =~ ^-\ +OPEN\ 10d\ +today\ [0-9:]+\ +1$ ]]
    [[ ${lines[4]} =~ ^today\ [0-9:]+\ +-\ +open$ ]]
    gives 0 bide breaker pay --json
    json 'j["policy"] == "pay" and j["mode"] == "on" and len(j["scopes"]) == 1'
    json 'j["scopes"][0]["breaker"]["state"] == "open" and j["scopes"][0]["breaker"]["opened"] == 1'
    json '0 < j["scopes"][0]["breaker"]["open_for_ms"] <= 864000000 and j["scopes"][0]["since"] > 1e9'
    json '[t["to"] for t in j["scopes"][0]["transitions"]] == ["open"]'
}

@test "the breaker stops 40 processes that call a dead server" {
    guarded
    for _ in {1..40}; do
        work 9 &
    done
    wait
    # 4 attempts fail before it opens; attempts that had begun then run too.
    gives 0 bide stats pay --json
    json 'j["policies"][0]["calls"]["aborted"] + j["policies"][0]["calls"]["refused"] == 40'
    json "4 <= j['policies'][0]['attempts'] == $(wc -l <ran)"
    run work 0
    [ "$status" -ne 0 ]
}

@test "list, show and stats show an open breaker" {
    guarded
    gives 0 bide list
    [[ ${lines[1]} =~ \ closed\ +-\ +-\  ]]
    trip
    gives 0 bide list
    [[ ${lines[1]} =~ \ OPEN\ 10d\ +-\ +-\ +warning ]]
    says "warning: pay: breaker open, not closed for" "most often exit.9"
    gives 0 bide list --json
    json 'j["policies"][0]["breaker"]["state"] == "open" and j["policies"][0]["budget"] == {"group": "none"}'
    gives 0 bide show pay
    says "# breaker: OPEN 10d: bide breaker pay"
    bide show pay >shown.ini
    gives 0 bide validate shown.ini
    gives 0 bide show pay --version 1
    says_not "# breaker"
    gives 0 bide stats pay
    [[ ${lines[0]} =~ BREAKER$ ]] && [[ ${lines[1]} =~ OPEN\ 10d$ ]]
    gives 0 bide stats --json
    json 'j["policies"][0]["breaker"]["opened"] == 1'
}

@test "a half open breaker allows one probe, and its success closes it" {
    guarded breaker_open_for=1ms
    trip
    until bide breaker pay | grep -q 'half open'; do :; done
    gives 0 work 0
    gives 0 bide breaker pay --json
    json 'j["scopes"][0]["breaker"]["state"] == "closed"'
    json '[t["to"] for t in j["scopes"][0]["transitions"]] == ["closed", "half open", "open"]'
}

@test "a breaker forced open refuses in all scopes, also without its live state" {
    guarded
    gives 0 bide breaker pay open --note "INC-7"
    says "pay v1 -> v2" "breaker  on  ->  open" "Every call is now refused. To end that: bide breaker pay auto"
    for scope in "" a b; do
        run work 0 "$scope"
        [ "$status" -ne 0 ]
    done
    ran 0
    rm "$T"/live/*
    run work 0
    [ "$status" -ne 0 ]
    ran 0
    gives 0 bide list
    says "forced open"
    gives 0 bide log pay
    says "INC-7" "breaker on -> open"
    gives 0 bide breaker pay
    says "breaker open (forced)" "bide breaker pay auto"
    gives 0 bide breaker pay auto
    says "breaker  open  ->  on"
    gives 0 work 0
    ran 1
}

@test "a breaker forced closed allows every call, also if all fail" {
    guarded
    gives 0 bide breaker pay closed
    says "Every call is now allowed"
    for _ in {1..8}; do
        run work 9
    done
    ran 8
    gives 0 bide list
    says "forced closed"
    gives 0 bide list --json
    json 'j["policies"][0]["breaker"] == {"mode": "closed", "state": "closed", "open_for_ms": 0, "lets_out": 1, "opened": 0}'
}

@test "a forced breaker ends a waiting call" {
    guarded attempts=2 wait=fixed wait_initial=6h wait_max=6h wait_jitter=none
    work 9 &
    until bide calls | grep -q '^pay'; do :; done
    gives 0 bide breaker pay open
    says "1 waiting call decided again"
    run wait $!
    [ "$status" -ne 0 ]
    ran 1
}

@test "a forced breaker can end after a time" {
    guarded
    gives 0 bide breaker pay open --for 1h
    says "until" "then v1 is in force again"
    gives 0 bide list
    says "* temporary: breaker is open until"
}

@test "reset closes the breaker, in one scope or in all" {
    guarded
    trip a
    trip b
    gives 0 bide breaker pay reset --scope a
    says "pay a: closed, was OPEN 10d"
    gives 0 work 0 a
    run work 0 b
    [ "$status" -ne 0 ]
    gives 0 bide breaker pay reset
    says "pay a: closed, was closed" "pay b: closed, was OPEN 10d"
    gives 0 work 0 b
    gives 0 bide breaker pay
    says "closed"
    gives 3 bide breaker pay reset --scope c
    says "pay: no process has used scope c" "see: bide stats pay"
    gives 3 bide breaker pay --scope c
}

@test "reset succeeds before the first call" {
    guarded
    gives 0 bide breaker pay reset
    says "no process has used it yet"
    gives 0 bide breaker pay
    [[ ${lines[2]} =~ ^-\ +closed\ +-\ +0$ ]]
}

@test "each scope has its own state and row" {
    guarded budget=own budget_capacity=10
    trip eu
    gives 0 work 0 us
    gives 0 bide list
    [[ ${lines[1]} =~ ^pay\ .*\ OPEN\ 10d\ +100%\ +- ]]
    says "warning: pay: breaker of eu open"
    says_not pay/
    for words in --scopes pay; do
        gives 0 bide list "$words"
        [[ ${lines[2]} =~ ^pay/eu\ .*OPEN\ 10d\ +100%\ +- ]]
        [[ ${lines[3]} =~ ^pay/us\ .*closed\ +100%\ +- ]]
    done
    gives 0 bide list --json
    json '[s["scope"] for s in j["policies"][0]["scopes"]] == ["eu", "us"]'
    json 'j["policies"][0]["breaker"]["state"] == "open"'
    gives 0 bide stats pay
    [[ ${lines[2]} =~ ^pay\ +eu\ .*OPEN ]]
    [[ ${lines[3]} =~ ^pay\ +us\ .*closed ]]
    gives 0 bide breaker pay --scope us
    says_not "eu"
    gives 0 bide show pay
    says "# breaker of eu: OPEN"
}

@test "a breaker that is off gives status 1 and advice" {
    guarded breaker=off
    for word in "" reset; do
        # shellcheck disable=SC2086 # an empty word is none
        gives 1 bide breaker pay $word
        says "pay: the breaker is off" "to switch it on: bide set pay breaker=on"
    done
    run --separate-stderr bide breaker pay --json
    [ "$status" -eq 1 ]
    json 'j["mode"] == "off" and j["scopes"] == []'
    unchanged gives 0 bide breaker pay auto
    says "already so, nothing was changed"
}

@test "auto restores the value from before the breaker was forced" {
    guarded breaker=off
    bide breaker pay open >/dev/null
    bide breaker pay closed >/dev/null
    bide set pay attempts=7 >/dev/null
    gives 0 bide breaker pay auto
    says "breaker  closed  ->  off"
    bide unset pay breaker >/dev/null
    bide breaker pay open --for 1h >/dev/null
    gives 0 bide breaker pay auto
    says "breaker  open  ->  off (default)"
    says_not stays
    bide breaker pay open >/dev/null
    bide delete pay >/dev/null
    bide rollback pay >/dev/null
    gives 0 bide breaker pay auto
    says "breaker  open  ->  off (default)"
}

@test "auto switches the breaker on if no earlier value is known" {
    printf '[pay]\nbreaker = open\n' >pay.ini
    bide apply pay.ini >/dev/null
    gives 0 bide breaker pay auto
    says "breaker  open  ->  on"
}

@test "policies that inherit a forced breaker are named" {
    printf '[base]\n\n[mail]\nextends = base\n\n[own]\nextends = base\nbreaker = on\n' >base.ini
    bide apply base.ini >/dev/null
    gives 0 bide breaker base open
    says "Every call is now refused. To end that: bide breaker base auto" "Also in what inherits it: mail"
    says "Not reached, because they have another value: own (on)"
    says_not "mail, own"
    printf '[post]\nextends = mail\n' >post.ini
    bide apply post.ini >/dev/null
    gives 0 bide breaker base closed
    says "Every call is now allowed" "Also in what inherits it: mail, post"
    gives 0 bide breaker base auto
    says_not "Also"
    gives 1 bide breaker mail
    says "the breaker is off"
}

@test "an invalid scope is reported as such, not as an invalid policy" {
    guarded budget=own
    gives 125 bide exec pay --scope 'BAD SCOPE' -- true
    says "bide: --scope BAD SCOPE: not a name: use lower-case letters"
    for command in "breaker pay" "breaker pay reset" "budget pay" "simulate pay --replay"; do
        # shellcheck disable=SC2086 # words
        gives 5 bide $command --scope 'BAD SCOPE'
        says "bide: --scope BAD SCOPE: not a name: use lower-case letters"
    done
    gives 125 bide exec PAY --scope 'BAD SCOPE' -- true
    says "exec PAY"
    gives 3 bide breaker pay --scope - # no process has used it yet
    says "no process has used scope -"
}

@test "wrong names, actions and options are refused" {
    guarded
    gives 3 bide breaker pau
    says "pau: no such policy; did you mean pay?"
    gives 3 bide breaker pau open
    gives 5 bide breaker PAY
    gives 2 bide breaker pay ajar
    says "ajar: not one of open, closed, auto, reset"
    gives 2 bide breaker pay open --scope a
    says "--scope: only with reset"
    gives 2 bide breaker pay reset --note x
    says "--note: only with open, closed and auto"
    gives 2 bide breaker pay reset --json
    gives 2 bide budget pay fill
    says "fill: no such action"
    gives 3 bide budget pau
    gives 4 bide breaker pay open --if-version 7
    unchanged gives 0 bide breaker pay open --dry-run
}

@test "the state outlives the processes and a change of the policy" {
    guarded
    trip
    bide set pay description="still open" >/dev/null
    gives 0 bide list
    says "OPEN 10d"
    run work 0
    [ "$status" -ne 0 ]
    ran 4
}

# ---- the budget ----

@test "processes share one budget, and reset fills it" {
    guarded breaker=off attempts=2 budget=own budget_capacity=10 budget_cost=5
    work 9 || true
    ran 2
    gives 0 bide budget pay
    says "pay: a budget of its own; 10 tokens, a retry costs 5, a success returns 1"
    [[ ${lines[2]} =~ ^-\ +50%\ +5\ of\ 10\ +0$ ]]
    work 9 || true
    work 9 || true
    ran 5
    gives 0 bide list
    [[ ${lines[1]} =~ \ -\ +0%\ +-\  ]]
    gives 0 bide show pay
    says "# budget: 0% left: bide budget pay"
    gives 0 bide budget pay --json
    json 'j["group"] == "own" and j["members"] == ["pay"]'
    json 'j["scopes"][0]["budget"] == {"group": "own", "kind": "tokens", "level": 0, "tokens": 0, "capacity": 10, "refused": 1}'
    gives 0 work 0
    gives 0 bide stats pay
    [[ ${lines[0]} =~ BUDGET$ ]] && [[ ${lines[1]} =~ \ 10%$ ]]
    gives 0 bide budget pay reset
    says "pay: full, was at 10%"
    gives 0 bide list
    [[ ${lines[1]} =~ \ 100%\ +-\  ]]
}

@test "policies that share a budget share it in all scopes" {
    cat >group.ini <<'END'
[pay]
attempts = 2
wait = none
retry_on = exit.9
budget = gateway
budget_capacity = 20

[refund]
extends = pay

[other]
END
    bide apply group.ini >/dev/null
    work 9 eu || true
    for name in pay refund; do
        gives 0 bide budget "$name"
        says "$name: budget gateway; 20 tokens" "shared by pay, refund"
        [[ ${lines[3]} =~ ^-\ +75%\ +15\ of\ 20 ]]
    done
    gives 0 bide list
    [[ ${lines[3]} =~ ^refund\ .*\ 75%\ +-\  ]]
    gives 2 bide budget pay --scope eu
    says "budget gateway is shared"
    gives 0 bide budget refund reset
    says "refund: full, was at 75%"
    gives 1 bide budget other
    says "other: the policy has no budget" "bide set other budget=own"
}

@test "reset of a ratio budget forgets the retries in its window" {
    guarded breaker=off attempts=2 budget=own budget_kind=ratio budget_ratio=0% budget_min_rate=1/s budget_window=1h
    bide set pay budget_min_rate=0.001/s >/dev/null
    for _ in 1 2 3 4; do
        work 9 || true
    done
    ran 7
    gives 0 bide budget pay
    says "retries up to 0% of the calls plus 0.001/s, over 1h"
    gives 0 bide budget pay reset
    gives 0 bide budget pay --json
    json 'j["scopes"][0]["budget"]["level"] == 1'
    work 9 || true
    ran 9
}

# ---- pausing ----

@test "pause refuses new calls of several policies, resume allows them" {
    guarded
    printf '[mail]\n' >mail.ini
    bide apply mail.ini >/dev/null
    gives 0 bide pause pay mail --note "move of the data centre"
    says "pay v1 -> v2" "mail v1 -> v2" "paused  no (default)  ->  yes"
    run work 0
    [ "$status" -ne 0 ]
    ran 0
    gives 0 bide list
    [[ ${lines[1]} =~ PAUSED ]] && [[ ${lines[2]} =~ PAUSED ]]
    gives 0 bide log mail
    says "move of the data centre"
    gives 0 bide pause pay
    says "pay v2: already so, nothing was changed"
    gives 0 bide resume pay mail
    says "paused  yes  ->  no"
    gives 0 work 0
    gives 0 bide resume pay
    says "pay v3: already so, nothing was changed"
}

@test "a pause can end after a time" {
    guarded
    gives 0 bide pause pay --for 10m
    says "then v1 is in force again"
    gives 0 bide list
    says "PAUSED" "* temporary: paused is yes until"
}

@test "pause changes all policies or none" {
    guarded
    unchanged gives 3 bide pause pay nope
    says "nope: no such policy"
    unchanged gives 5 bide pause pay NOPE
    unchanged gives 0 bide pause pay --dry-run
    printf '[mail]\n' >mail.ini
    bide apply mail.ini >/dev/null
    unchanged gives 2 bide pause pay mail --if-version 1
    unchanged gives 4 bide pause pay --if-version 9
    gives 0 bide pause pay --if-version 1
}

# ---- too many scopes ----

@test "scopes beyond 1,024 share one, and list and stats report that" {
    guarded
    work 0
    python3 - "$T"/live/*.live <<'END'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(2686976 + 352) # scopes of the first cell
    f.write((1024).to_bytes(4, "little"))
END
    work 0 one
    work 0 two
    gives 0 bide stats pay
    says "(others)" "note: pay has the maximum of 1,024 scopes; 2 times further ones were used: they share (others)"
    gives 0 bide list --scopes
    says "pay/(others)" "note: pay has the maximum of 1,024 scopes"
    gives 0 bide list --json
    json 'j["policies"][0]["scopes_refused"] == 2'
    gives 0 bide breaker pay --scope "(others)"
    gives 0 bide breaker pay reset --scope @others
    says "pay (others): closed"
    run bide exec --scope @others pay -- true
    [ "$status" -ne 0 ]
}

# ---- keys that contradict each other ----

@test "contradictory keys are refused by apply, with file and line" {
    cat >bad.ini <<'END'
[pay]
budget = own
budget_threshold = 100%

[order]
budget = own
budget_capacity = 4
budget_cost = 5

[child]
extends = good
budget_capacity = 3

[good]
budget = own
budget_cost = 4
END
    unchanged gives 5 bide apply bad.ini
    says "bad.ini:3: budget_threshold = 100%: no retry would ever be allowed"
    says "bad.ini:8: budget_cost = 5: above budget_capacity = 4"
    says "budget_cost = 4 (from good): above budget_capacity = 3"
    printf '[pay]\nbreaker = on\nbreaker_window = 0 calls\n' >window.ini
    unchanged gives 5 bide apply window.ini
    says "window.ini:3: breaker_window = 0 calls"
    gives 5 bide validate bad.ini window.ini
}

@test "policies that give a shared budget different sizes are refused, with both names" {
    printf '[a]\nbudget = g\nbudget_capacity = 100\n\n[b]\nbudget = g\nbudget_capacity = 200\n' >group.ini
    unchanged gives 5 bide apply group.ini
    says "group.ini:7: budget_capacity = 200 in b: budget g has 100 in a, line 3"
    sed -i s/200/100/ group.ini
    gives 0 bide apply group.ini
    unchanged gives 5 bide set b budget_capacity=50
    says "budget_capacity = 50 in b: budget g has 100 in a"
    unchanged gives 5 bide set a budget_kind=ratio
    says "budget_kind"
    gives 0 bide set b budget=h budget_capacity=50
}

@test "contradictory keys are refused by set" {
    guarded
    for setting in budget_threshold=100% "breaker_window=0 calls" breaker_window=0 \
        "breaker_window=5000 calls"; do
        unchanged gives 5 bide set pay "$setting"
        says "${setting%%=*}" "nothing was changed"
    done
    unchanged gives 5 bide set pay budget=own budget_cost=501
    says "budget_cost = 501: above budget_capacity = 500 (the default)"
}

# ---- damage ----

@test "with impossible values calls continue, list reports damage, reset repairs it" {
    guarded budget=own attempts=2
    work 0
    spoil 128 18446744073709551615 # the breaker's state
    spoil 64 18446744073709551615  # the budget's tokens
    gives 0 work 0
    run work 9
    gives 0 bide list
    says pay
    spoil 128 18446744073709551615
    spoil 64 18446744073709551615
    gives 0 bide list
    says "the state of its breaker is damaged" "the state of its budget is damaged"
    gives 0 bide breaker pay
    says "(damaged)"
    gives 0 bide show pay
    gives 0 bide stats
    gives 0 bide list --json
    json 'j["policies"][0]["breaker"]["damaged"] and j["policies"][0]["budget"]["damaged"]'
    gives 0 bide breaker pay reset
    gives 0 bide budget pay reset
    gives 0 bide list
    says_not damaged
    gives 0 work 0
}

@test "an end far in the future does not keep a breaker open" {
    guarded
    work 0
    # open, in a year
    spoil 128 $((1 << 62 | ($(cut -d. -f1 /proc/uptime) * 1000 + 5000000000) % (1 << 34)))
    gives 0 work 0
}

@test "with garbage in the live file, calls continue and list works" {
    guarded
    trip
    for seed in 1 2 3 4; do
        python3 - "$T"/live/*.live "$seed" <<'END'
import random, sys
random.seed(int(sys.argv[2]))
with open(sys.argv[1], "r+b") as f:
    for _ in range(200):
        f.seek(random.choice([2686976 + random.randrange(512), 4096 + random.randrange(500000),
                              69795840 + 18 * 4096 + random.randrange(4096)]))
        f.write(random.randbytes(16))
END
        gives 0 bide list
        gives 0 bide stats
        run work 0
        [ "$status" -lt 126 ]
    done
    rm "$T"/live/*
    gives 0 work 0
    gives 0 bide list
}
