#!/usr/bin/env bats
# Changes for a time (--for): what they change, what they leave, and their end.
load registry

# in_force NAME VERSION: that version holds now.
in_force() {
    bide show "$1" | grep -q "^# version $2,"
}

# what NAME VERSION: what the log says it changed.
what() {
    bide log "$1" --json | python3 -c "import json, sys
print([c['what'] for c in json.load(sys.stdin)['changes'] if c['version'] == $2][0])"
}

# lapsed NAME SETTING: changed for so short that it is over.
lapsed() {
    bide set "$1" "$2" --for 1ms >/dev/null
    until_it in_force "$1" "$3"
}

@test "what a change changed is the difference to what was in force" {
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

@test "the same of apply, and of what one change after the other left" {
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

@test "a change in the time of another one is a change to that" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    bide set pay attempts=6 >/dev/null
    [ "$(what pay 3)" = "attempts 9 -> 6" ]
    gives 1 bide diff pay
    says "pay v2 -> v3" "- attempts = 9" "+ attempts = 6"
}

@test "audit tells the end of what came to its end" {
    shop
    lapsed pay attempts=9 1
    gives 0 bide audit pay
    says "v2 is over, as planned: back to v1"
}

# ends NAME VERSION: it is past the time at which that was to end.
ends() {
    bide log "$1" --json | python3 -c "import json, sys, time
j = json.load(sys.stdin)['changes']
sys.exit(time.time() < [c['until'] for c in j if c['version'] == $2][0])"
}

@test "audit invents no end of what a later change replaced" {
    shop
    bide set pay attempts=9 --for 3s >/dev/null
    gives 0 bide set pay wait_initial=20ms
    says "v2 -> v3"
    until_it ends pay 2
    gives 0 bide audit pay
    says "v3: wait_initial"
    says_not "is over"
}

@test "audit tells both ends of a change within another" {
    shop
    bide set pay attempts=9 --for 3s >/dev/null
    gives 0 bide set pay wait_initial=20ms --for 1ms
    says "v2 -> v3"
    until_it in_force pay 1
    gives 0 bide audit pay
    says "v3 is over, as planned: back to v2" "v2 is over, as planned: back to v1"
}
