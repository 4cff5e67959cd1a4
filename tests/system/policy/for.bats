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

@test "a change during a temporary one changes the base, and says what covers it" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    bide set pay attempts=6 >changed 2>said
    grep -q "attempts  4  ->  6" changed
    [[ $(sed -n 1p said) =~ ^"bide: pay: attempts is 9 until "[0-9a-z\ :-]*" (version 2, "[a-z]+")"$ ]]
    [ "$(sed -n 2p said)" = "bide: to end that: bide rollback pay --layer 2" ]
    [ "$(bide get pay attempts)" = 9 ]
    [ "$(what pay 3)" = "attempts 4 -> 6" ]
    gives 1 bide diff pay
    says "pay v2 -> v3" "- attempts = 4" "+ attempts = 6"
    gives 0 bide rollback pay --layer 2
    says "pay v3 -> v4" "9  ->  6"
    [ "$(bide get pay attempts)" = 6 ]
    unchanged gives 3 bide rollback pay --layer 2
    says "pay: version 2 is no temporary change that is in force"
    unchanged gives 2 bide rollback pay 1 --layer 2
    unchanged gives 2 bide rollback pay --layer 2 --for 1h
}

@test "a value that no layer changes is not said to be covered" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    gives 0 bide set pay wait_initial=30ms
    says_not "until"
    gives 0 bide set pay attempts=9
    says_not "until"
    gives 0 bide set pay attempts=9
    says "nothing was changed"
    says_not "until"
    bide set pay attempts=5 >/dev/null
    gives 0 bide set pay attempts=5
    says "nothing was changed" "attempts is 9 until"
    gives 0 bide set pay attempts=5 --dry-run
    says "attempts is 9 until"
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

@test "audit shows the end of a layer under a newer base, and not of one that was undone" {
    shop
    bide set pay attempts=9 --for 2s >/dev/null
    bide set order attempts=9 --for 2s >/dev/null
    gives 0 bide set pay wait_initial=20ms
    says "v2 -> v3"
    bide rollback order >/dev/null
    until_it ends pay 2
    until_it ends order 2
    gives 0 bide audit pay
    says "v3: wait_initial" "v2 ended as planned: in force is v3"
    gives 0 bide audit order
    says_not "ended as planned"
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

@test "the time in force of a temporary version ends with it" {
    shop
    bide exec pay -- true
    bide set pay attempts=9 --for 100ms >/dev/null
    bide exec pay -- true
    until_it in_force pay 1
    bide exec pay -- true
    gives 0 bide stats pay --by version --json
    json 'sum(r["in_force_s"] for r in j["rows"]) <= j["until"] - j["rows"][0]["when"] + 0.01'
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
    says_not temporary
}

@test "rollback says when there is nothing to undo" {
    shop
    lapsed pay attempts=9 1
    unchanged gives 3 bide rollback pay
    says "pay: nothing to undo: no version is before 1"
}

@test "rollback undoes the newest change in force, and again redoes it" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    bide set pay wait_max=8s >/dev/null
    bide set pay wait_initial=20ms --for 1h >/dev/null
    gives 0 bide rollback pay
    says "pay v4 -> v5 (as v3)" "wait_initial  20ms"
    [ "$(bide get pay attempts)" = 9 ]
    gives 0 bide rollback pay
    says "pay v5 -> v6 (as v4)"
    [ "$(bide get pay wait_initial)" = 20ms ]
    [ "$(bide get pay wait_max)" = 8s ]
}

@test "rollback of a version restores its base and leaves the layers" {
    shop
    bide set pay attempts=5 >/dev/null
    bide set pay attempts=9 --for 1h >/dev/null
    gives 0 bide rollback pay 1
    says "pay v3 -> v4 (as v1)" "attempts  5  ->  4" "attempts is 9 until" "(version 3,"
    [ "$(bide get pay attempts)" = 9 ]
    # The base of a temporary version is the one below it.
    gives 0 bide rollback pay 3
    says "(as v2)"
    gives 0 bide rollback pay 1 --for 1h
    says "9  ->  4" "then v5 is in force again"
    [ "$(bide get pay attempts)" = 4 ]
}

@test "rollback for a time lays what was before over the rules" {
    shop
    bide set pay attempts=5 >/dev/null
    gives 0 bide rollback pay --for 1h
    says "pay v2 -> v3 (as v1)" "5  ->  4" "then v2 is in force again"
    bide set pay attempts=6 >/dev/null 2>&1
    [ "$(bide get pay attempts)" = 4 ]
    bide rollback pay --layer 3 >/dev/null
    [ "$(bide get pay attempts)" = 6 ]
}

@test "a deletion ends all layers, and its rollback brings back those with time left" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    bide set pay wait_initial=20ms --for 10ms >/dev/null
    until_it in_force pay 2
    bide delete pay >/dev/null
    gives 0 bide rollback pay
    says "(as v2)"
    [ "$(bide get pay attempts)" = 9 ]
    bide delete pay >/dev/null
    bide apply shop.ini >/dev/null
    [ "$(bide get pay attempts)" = 4 ]
    gives 0 bide show pay
    says_not temporary
}

# ---- layers ----

@test "a pause over a temporarily forced breaker: resume leaves the forcing temporary" {
    shop
    bide breaker pay open --for 1h >/dev/null
    bide pause pay --for 2h >/dev/null
    gives 0 bide resume pay
    says "paused  yes  ->  no"
    gives 0 bide show pay
    says "breaker is open until" "(version 2,"
    says_not paused "breaker = "
    bide set pay attempts=5 --for 3h >/dev/null
    gives 0 bide breaker pay auto
    says "breaker  open  ->  off"
    gives 0 bide show pay
    says "attempts is 5 until" "(version 5,"
    says_not breaker
}

@test "resume ends a pause in layers and base, and keeps other keys of the layers" {
    shop
    bide set pay paused=yes attempts=9 --for 1h >/dev/null
    bide pause pay >/dev/null
    bide pause pay --for 2h >/dev/null
    gives 0 bide resume pay
    [ "$(bide get pay paused)" = no ]
    [ "$(bide get pay attempts)" = 9 ]
    gives 0 bide show pay
    says_not "paused = "
    gives 0 bide resume pay
    says "nothing was changed"
    # Of the base alone, and inherited.
    bide rollback pay >/dev/null
    [ "$(bide get pay paused)" = yes ]
    printf '[up]\npaused = yes\n[down]\nextends = up\n' | bide apply - >/dev/null
    bide pause down --for 1h >/dev/null
    gives 0 bide resume down
    [ "$(bide get down paused)" = no ]
}

@test "of two layers with one key the newer wins, whichever ends first" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    gives 0 bide set pay attempts=8 --for 300ms
    says "then v2 is in force again"
    [ "$(bide get pay attempts)" = 8 ]
    until_it in_force pay 2
    [ "$(bide get pay attempts)" = 9 ]
    bide set pay wait_initial=20ms --for 300ms >/dev/null
    gives 0 bide set pay wait_initial=30ms --for 2h
    says "then v1 is in force again"
    until_it ends pay 4
    [ "$(bide get pay wait_initial)" = 30ms ]
    in_force pay 5
    gives 0 bide show pay
    says "attempts is 9 until" "(version 2," "wait_initial is 30ms until" "(version 5,"
    says_not "20ms"
}

@test "a layer that changes nothing until its end is none" {
    shop
    unchanged gives 0 bide set pay attempts=4 --for 1h
    says "pay v1" "nothing was changed"
    says_not "in force again"
    bide set pay attempts=9 --for 1h >/dev/null
    unchanged gives 0 bide set pay attempts=9 --for 1m
    gives 0 bide set pay attempts=9 --for 2h
    says "pay v2 -> v3" "then v1 is in force again"
    gives 0 bide log pay
    says "same rules, until"
    says_not " , until"
    gives 0 bide audit pay
    says "v3: same rules, until"
}

@test "a layer unsets a key, and the base may change under it" {
    shop
    gives 0 bide unset pay wait_max --for 1h
    says "wait_max  2s  ->  10s" "then v1 is in force again"
    gives 0 bide show pay
    says "wait_max is not set until" "(version 2," "wait_max = 2s"
    [[ $(bide get pay wait_max) == 10s* ]]
    gives 0 bide set pay wait_max=3s
    says "pay: wait_max is not set until"
    [[ $(bide get pay wait_max) == 10s* ]]
    gives 1 bide diff pay 1 2
    says "+ wait_max is not set until"
    bide rollback pay --layer 2 >/dev/null
    [ "$(bide get pay wait_max)" = 3s ]
}

@test "apply changes the base under layers; with --for it is a layer" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    bide export >held.ini
    gives 0 bide apply held.ini
    says "0 changed"
    sed -i 's/attempts = 4/attempts = 6/' shop.ini
    gives 0 bide apply shop.ini
    says "attempts 4 -> 6" "pay: attempts is 9 until" "bide rollback pay --layer 2"
    gives 1 bide diff held.ini
    says "- attempts = 6" "+ attempts = 4"
    gives 0 bide apply held.ini --for 1h
    says "attempts 9 -> 4" "until "
    [ "$(bide get pay attempts)" = 4 ]
    printf '[new]\n' >new.ini
    unchanged gives 5 bide apply new.ini --for 1h
    says "new: a policy cannot be created for a time only" "apply it without --for"
    printf '[pay]\nattempts=4\n' >one.ini
    unchanged gives 5 bide apply one.ini --prune --for 1h
    says "a policy cannot be deleted for a time only"
}

@test "children see the layers of their parents, and their ends" {
    printf '[up]\nattempts = 4\n[down]\nextends = up\n' | bide apply - >/dev/null
    bide set up attempts=9 --for 300ms >/dev/null
    [ "$(bide get down attempts)" = 9 ]
    until_it in_force up 1
    [ "$(bide get down attempts)" = 4 ]
}

# ---- rules that a layer makes invalid ----

@test "a change that is invalid with a layer is refused, and the layer named" {
    shop
    bide set pay wait_max=5s >/dev/null
    bide set pay wait_max=1s --for 1h >/dev/null
    unchanged gives 5 bide set pay wait_min=2s
    says "wait_min" "bide: pay: wait_max is 1s until 20" "(version 3, "
    # In a child, by a change of its parent.
    printf '[up]\nwait_max = 5s\n[down]\nextends = up\n' | bide apply - >/dev/null
    bide set down wait_max=1s --for 1h >/dev/null
    unchanged gives 5 bide set up wait_min=2s
    says "down: wait_max is 1s until 20" "(version 2, "
    # And of the layer of a parent.
    bide set up wait_max=1s --for 1h >/dev/null
    bide rollback down >/dev/null
    unchanged gives 5 bide set down wait_min=2s
    says "up: wait_max is 1s until 20"
}

@test "a change that is invalid after the end of a layer is refused, and the layer named" {
    shop
    bide set pay wait_max=1m --for 1h >/dev/null
    unchanged gives 5 bide set pay wait_min=30s
    says "bide: pay: wait_max is 1m only until 20" "(version 2, "
    unchanged gives 5 bide set pay wait_min=30s --for 2h
    says "pay: wait_max is 1m only until 20" "(version 2, "
    gives 0 bide set pay wait_min=30s --for 30m
}

# ---- more ----

@test "--json shows the layers" {
    shop
    bide set pay attempts=9 --for 1h --note why >/dev/null
    bide unset pay wait_max --for 2h >/dev/null
    gives 0 bide list pay --json
    json '[(l["version"], l["keys"], l["note"]) for l in j["policies"][0]["layers"]] == [(2, {"attempts": "9"}, "why"), (3, {"wait_max": None}, "")]'
    json 'all(l["until"] > l["when"] and l["who"] for l in j["policies"][0]["layers"])'
    gives 0 bide show pay --json
    json '[l["version"] for l in j["layers"]] == [2, 3] and j["version"] == 3'
    json 'j["keys"]["attempts"]["value"] == "9" and "attempts = 4" in j["text"]'
}

@test "--if-version compares the version in force, which show prints" {
    shop
    bide set pay attempts=9 --for 10ms >/dev/null
    until_it in_force pay 1
    unchanged gives 4 bide set pay attempts=5 --if-version 2
    says "pay: the version in force is 1, not 2"
    gives 0 bide set pay attempts=5 --for 1h --if-version 1
    says "pay v1 -> v3"
    unchanged gives 4 bide set pay attempts=6 --if-version 1
    gives 0 bide set pay attempts=6 --if-version 3
}

@test "--dry-run of a layer changes nothing" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    unchanged gives 0 bide pause pay --for 1m --dry-run
    says "pay v2 -> v3" "then v2 is in force again"
    unchanged gives 0 bide rollback pay --layer 2 --dry-run
    unchanged gives 0 bide rollback pay --dry-run
    unchanged gives 0 bide apply shop.ini --for 1h --dry-run
}

@test "forcing a breaker that a layer covers does not say that it is forced" {
    shop
    bide breaker pay closed --for 1h >/dev/null
    gives 0 bide breaker pay open
    says "pay: breaker is closed until"
    says_not "Every call"
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

# ---- policies that extend one ----

# family: applies base; kid and late, which extend it; own, which extends it and
# sets both keys itself; and under, which extends own.
family() {
    printf '%s\n' '[base]' 'breaker = on' '[kid]' 'extends = base' '[late]' \
        'extends = base' '[own]' 'extends = base' 'paused = no' 'breaker = on' \
        '[under]' 'extends = own' >family.ini
    bide apply family.ini >/dev/null
}

@test "a pause names the policies that inherit it, and those that it does not reach" {
    family
    gives 0 bide pause base --for 1h
    says "Also in what inherits it: kid, late" \
        "Not reached, because they have another value: own (no), under (no from own)"
    bide resume base >/dev/null
    gives 0 bide pause base --dry-run --json
    json "j['policies'][0]['inherited_by'] == ['kid', 'late']"
    json "j['policies'][0]['not_reached'] == ['own', 'under']"
    gives 0 bide breaker base open --json
    json "j['policies'][0]['not_reached'] == ['own', 'under']"
    gives 0 bide set base paused=yes
    says "own (no), under (no from own)"
    bide pause own >/dev/null
    gives 0 bide pause base
    says "already so" "Also in what inherits it: kid, late"
    says_not "Not reached"
}

@test "the end of an inherited override says that the value is now the policy's own" {
    family
    bide pause base >/dev/null
    gives 0 bide resume kid
    says "paused  yes (base)  ->  no" "kid now has its own paused = no" \
        "does not reach kid; to inherit it again: bide unset kid paused"
    [ "$(bide get kid paused)" = no ]
    gives 0 bide unset kid paused
    [ "$(bide get kid paused)" = yes ]
    gives 0 bide resume base
    says_not "its own"
    bide breaker base open --for 1h >/dev/null
    gives 0 bide breaker kid auto --json
    json "j['policies'][0]['no_longer_follows'] == 'base'"
    gives 0 bide breaker base open
    says "kid (on)"
    gives 0 bide unset kid breaker
    gives 0 bide breaker base open
    says_not "kid (on)"
    bide breaker base auto >/dev/null
    unchanged gives 0 bide breaker kid auto
}

@test "an inherited layer is shown with its end" {
    family
    bide pause base --for 1h >/dev/null
    gives 0 bide show kid
    says "# temporary: paused is yes until 20"
    output=${output//$'\n# '/ } # a long name of the author breaks the line
    says "(version 2 of base, "
    gives 0 bide show kid --json
    json "j['layers'][0]['inherited_from'] == 'base' and j['layers'][0]['keys'] == {'paused': 'yes'}"
    gives 0 bide get kid paused
    says "temporary: paused is yes until 20" "of base"
    gives 0 bide get kid attempts
    says_not temporary
    gives 0 bide list kid
    says "1*" "* temporary: paused is yes until" "bide log base"
    gives 0 bide list kid --json
    json "j['policies'][0]['until'] == j['policies'][0]['layers'][0]['until']"
    gives 0 bide list under
    says_not temporary
    gives 0 bide show under
    says_not temporary
}

# ---- what ends layers, and what they cover ----

@test "log and audit name the layers that a change has ended" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    bide set pay attempts=8 --for 2h >/dev/null
    gives 0 bide rollback pay --layer 2
    gives 0 bide log pay --most 1
    says "ended: attempts is 9 until" "(version 2,"
    says_not nothing
    gives 0 bide audit pay
    says "v4: ended: attempts is 9 until"
    bide pause pay --for 1h >/dev/null
    bide resume pay >/dev/null
    [[ $(what pay 6) == "paused yes -> no (default), ended: paused is yes until "* ]]
}

@test "apply and rollback that change nothing name the layer that covers a value" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    unchanged gives 0 bide apply shop.ini
    says "pay: attempts is 9 until" "bide rollback pay --layer 2"
    unchanged gives 0 bide rollback pay 1
    says "already so" "pay: attempts is 9 until" "bide rollback pay --layer 2"
    unchanged gives 0 bide set pay attempts=4
    says "pay: attempts is 9 until"
    unchanged gives 0 bide set pay wait_max=2s
    says_not "attempts is 9"
}

@test "--if-version is checked also if nothing would change" {
    shop
    unchanged gives 4 bide resume pay --if-version 9
    unchanged gives 4 bide breaker pay auto --if-version 9
    unchanged gives 4 bide set pay attempts=4 --if-version 9
    unchanged gives 4 bide rollback pay 1 --if-version 9
    unchanged gives 4 bide unset pay wait_min --if-version 9
    bide pause pay >/dev/null
    unchanged gives 4 bide pause pay --if-version 1
    unchanged gives 0 bide pause pay --if-version 2
}

@test "policies that share a budget: a refusal names the layer that makes them differ" {
    printf '%s\n' '[up]' '[a]' 'extends = up' 'budget = g' '[b]' 'budget = g' >group.ini
    bide apply group.ini >/dev/null
    gives 5 bide set up budget_capacity=5 --for 1h
    says "must agree on its size"
    bide unset b budget >/dev/null
    gives 0 bide set up budget_capacity=5 --for 1h
    unchanged gives 5 bide set b budget=g
    says "up: budget_capacity is 5 until 20" "(version 2, "
    bide set b budget_capacity=5 --for 2h >/dev/null
    unchanged gives 5 bide set b budget=g
    says "budget_capacity is 5 only until 20"
}
