#!/usr/bin/env bats
# Temporary changes (--for): their effect, their end, and changes during them.
load ../registry

# in_force NAME VERSION: succeeds if this version is in force.
in_force() {
    bide show "$1" | grep -q "^# version $2,"
}

# what NAME VERSION: prints the changes of this version in the log.
what() {
    bide log "$1" --json | python3 -c "import json, sys
print([c['what'] for c in json.load(sys.stdin)['changes'] if c['version'] == $2][0])"
}

# lapsed NAME SETTING VERSION: makes a temporary change and waits until VERSION is
# in force again.
lapsed() {
    bide set "$1" "$2" --for 1ms >/dev/null
    until_it in_force "$1" "$3"
}

@test "a change is reported as the difference to the version in force" {
    shop
    lapsed pay attempts=9 1
    gives 0 bide pause pay --note x
    says "pay v1 -> v3" "paused  no (default)  ->  yes"
    [ "$(what pay 3)" = "paused no (default) -> yes" ]
    gives 0 bide log pay
    says "paused no (default) -> yes" "attempts 4 -> 9, until"
    says_not "9 -> 4"
    gives 0 bide audit pay
    says "v3: paused no (default) -> yes"
    says_not "9 -> 4"
    gives 1 bide diff pay
    [ "${lines[0]}" = "pay v1 -> v3" ]
    [ "${lines[1]}" = "+ paused = yes" ]
    [ "${#lines[@]}" -eq 2 ]
}

@test "apply and consecutive changes are reported the same way" {
    shop
    lapsed pay attempts=9 1
    lapsed pay attempts=8 1
    sed -i 's/attempts = 4/attempts = 6/' shop.ini
    gives 0 bide apply shop.ini
    says "v1 -> v4" "attempts 4 -> 6"
    [ "$(what pay 3)" = "attempts 4 -> 8" ]
    [ "$(what pay 4)" = "attempts 4 -> 6" ]
    gives 1 bide diff pay
    says "pay v1 -> v4" "- attempts = 4"
}

@test "a change during a temporary one builds on it" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    bide set pay attempts=6 >/dev/null
    [ "$(what pay 3)" = "attempts 9 -> 6" ]
    gives 1 bide diff pay
    says "pay v2 -> v3" "- attempts = 9" "+ attempts = 6"
}

@test "audit shows the end of a temporary change" {
    shop
    lapsed pay attempts=9 1
    gives 0 bide audit pay
    says "v2 ended as planned: back to v1"
}

# ends NAME VERSION: succeeds if the end of this temporary version is past.
ends() {
    bide log "$1" --json | python3 -c "import json, sys, time
j = json.load(sys.stdin)['changes']
sys.exit(time.time() < [c['until'] for c in j if c['version'] == $2][0])"
}

@test "audit shows no end for a temporary change that was replaced" {
    shop
    bide set pay attempts=9 --for 3s >/dev/null
    gives 0 bide set pay wait_initial=20ms
    says "v2 -> v3"
    until_it ends pay 2
    gives 0 bide audit pay
    says "v3: wait_initial"
    says_not "is over"
}

@test "audit shows both ends of nested temporary changes" {
    shop
    bide set pay attempts=9 --for 3s >/dev/null
    gives 0 bide set pay wait_initial=20ms --for 1ms
    says "v2 -> v3"
    until_it in_force pay 1
    gives 0 bide audit pay
    says "v3 ended as planned: back to v2" "v2 ended as planned: back to v1"
}

# ---- rollback ----

@test "rollback restores the version in force before, not one that has ended" {
    shop
    bide set pay attempts=5 >/dev/null
    bide set pay attempts=6 >/dev/null
    lapsed pay attempts=7 3
    gives 0 bide rollback pay
    says "pay v3 -> v5 (as v2)" "6  ->  5"
    [ "$(bide get pay attempts)" = 5 ]
}

@test "rollback skips a temporary change in between" {
    shop
    lapsed pay attempts=9 1
    bide set pay attempts=5 >/dev/null
    gives 0 bide rollback pay
    says "pay v3 -> v4 (as v1)"
}

@test "rollback of a temporary change ends it" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    gives 0 bide rollback pay
    says "pay v2 -> v3 (as v1)"
    says_not "stays"
    gives 0 bide show pay
    says_not "holds until"
}

@test "rollback says when there is nothing to undo" {
    shop
    lapsed pay attempts=9 1
    unchanged gives 3 bide rollback pay
    says "pay: nothing to undo: no version is before 1"
    bide set pay attempts=8 --for 3s >/dev/null
    bide set pay attempts=4 >/dev/null
    until_it ends pay 3
    unchanged gives 1 bide rollback pay
    says "pay: nothing to undo: v4 is the same as v1 before it"
}

# ---- temporary changes that a later change keeps ----

@test "a change during a temporary one keeps its values, with a warning" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    bide set pay wait_initial=30ms >/dev/null 2>said
    [[ $(sed -n 1p said) =~ ^"bide: pay: what v2 changed until "[0-9a-z\ :-]*" stays now: attempts 4 -> 9"$ ]]
    [ "$(sed -n 2p said)" = "bide: to undo that part: bide set pay attempts=4" ]
    gives 0 bide set pay attempts=4
    says_not stays
}

@test "the warning has the command that undoes what is kept" {
    shop
    bide set pay wait_initial=50ms retry_on=timeout --for 1h >/dev/null
    gives 0 bide set pay attempts=5 wait_max=3s
    says "bide: to undo that part: bide unset pay wait_initial retry_on"
    bide set order 'description=a b' >/dev/null
    bide set order 'description=c' wait_max=8s --for 1h >/dev/null
    gives 0 bide set order attempts=6
    says "bide set order description='a b' && bide unset order wait_max"
}

@test "--dry-run warns of values that would stay" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    unchanged gives 0 bide set pay wait_initial=30ms --dry-run
    says "would stay: attempts 4 -> 9"
}

@test "rollback to a temporary version keeps it, and says so" {
    shop
    lapsed pay attempts=9 1
    gives 0 bide rollback pay 2
    says "pay v1 -> v3 (as v2)" "what v2 changed until" "stays now: attempts 4 -> 9"
    gives 0 bide rollback pay 2
    says "nothing was changed"
    says_not "stays"
}

@test "delete and rollback of a temporary version keep it, and say so" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    bide delete pay >/dev/null
    gives 0 bide rollback pay
    says "(as v2)" "what v2 changed until" "stays now: attempts 4 -> 9"
}

@test "rollback of a deletion does not restore a change that had ended" {
    shop
    bide set pay attempts=9 --for 10ms >/dev/null
    bide delete pay >/dev/null
    until_it ends pay 2
    gives 0 bide rollback pay
    says "(as v1)"
    says_not stays
    [ "$(bide get pay attempts)" = 4 ]
}

@test "set to a temporary value makes it permanent" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    gives 0 bide set pay attempts=9
    says "pay v2 -> v3" "stays now: attempts 4 -> 9"
    [ "$(what pay 3)" = "made permanent" ]
    unchanged gives 0 bide set pay attempts=9
    says "nothing was changed"
}

@test "setting a value that holds now and later changes nothing" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    for setting in wait_max=2s; do
        gives 0 bide set pay "$setting"
        says "pay v2" "nothing was changed"
        gives 0 bide set pay "$setting" --for 1m
        says "pay v2" "nothing was changed"
    done
}

@test "a shorter temporary change reverts to the longer one around it" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    gives 0 bide set pay wait_initial=30ms --for 1ms
    says "then v2 is in force again"
    says_not "stays"
    until_it in_force pay 2
    [ "$(bide get pay attempts)" = 9 ]
}

@test "a longer temporary change reverts to what is in force then, and warns" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    gives 0 bide set pay wait_initial=30ms --for 3h
    says "then v1 is in force again" "what v2 changed until" "stays until" "attempts 4 -> 9"
    says_not "to undo"
    gives 0 bide show pay
    says "then version 1 again"
}

@test "the same change with another --for moves the end" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    gives 0 bide set pay attempts=9 --for 2h
    says "pay v2 -> v3" "then v1 is in force again"
    says_not stays
    gives 0 bide log pay
    says "same rules, until"
    says_not " , until"
    gives 0 bide audit pay
    says "v3: same rules, until"
    gives 0 bide set pay attempts=9 --for 10ms
    says "then v1 is in force again"
    until_it in_force pay 1
}

@test "--for with the value in force changes nothing" {
    shop
    bide set pay attempts=9 >/dev/null
    unchanged gives 0 bide set pay attempts=9 --for 3s
    says "pay v2" "nothing was changed"
    says_not "in force again"
    gives 3 bide show pay --version 3
}

@test "apply during a temporary change is permanent: it replaces or keeps it" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    bide export >held.ini
    gives 0 bide apply shop.ini
    says "pay" "attempts 9 -> 4"
    says_not stays
    gives 0 bide show pay
    says_not "holds until"
    bide set pay attempts=9 --for 1h >/dev/null
    gives 0 bide apply held.ini
    says "1 changed" "what v4 changed until" "stays now: attempts 4 -> 9" "bide set pay attempts=4"
    gives 0 bide show pay
    says_not "holds until"
    gives 0 bide apply held.ini
    says "0 changed"
}

@test "pause during a temporary change keeps it, and is permanent" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    gives 0 bide pause pay
    says "stays now: attempts 4 -> 9"
    gives 0 bide resume pay
    says_not stays
    bide pause order --for 1h >/dev/null
    gives 0 bide pause order
    says "stays now: paused no (default) -> yes" "bide unset order paused"
    gives 0 bide pause order
    says "already paused"
    bide resume order >/dev/null
    bide pause order --for 1h >/dev/null
    gives 0 bide resume order
    says_not stays
    gives 0 bide resume order
    says "not paused: nothing was changed"
}

@test "forcing a breaker without --for makes a temporary forcing permanent" {
    shop
    bide set pay breaker=on >/dev/null
    bide breaker pay open --for 1h >/dev/null
    gives 0 bide breaker pay open
    says "stays now: breaker on -> open" "bide set pay breaker=on"
}

@test "extends cannot be changed temporarily: the parent could be deleted" {
    printf '[a]\nattempts=4\n[b]\nattempts=6\n[p]\nextends=a\n' | bide apply - >/dev/null
    gives 5 bide set p extends=b --for 1h
    says "p: extends cannot be changed for a time only" "set it without --for"
    gives 0 bide get p attempts
    [ "$output" = 4 ]
    gives 5 bide delete a
    # A key can be changed permanently together with temporarily changed keys.
    bide set p wait_initial=30ms --for 1h >/dev/null
    gives 0 bide set p extends=b
    gives 0 bide delete a
}
