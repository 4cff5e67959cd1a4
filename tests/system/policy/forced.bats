#!/usr/bin/env bats
# The end of a pause and of a forced breaker: what is in force then, and what the
# log, the audit and the results say about layers.
load ../registry

# policies TEXT: applies policies; \n in the text is a line break.
policies() {
    printf "$1" | bide apply - >/dev/null
}

# sets NAME TEXT: succeeds if the text of the policy has it.
sets() {
    bide show "$1" | grep -q "^$2"
}

sets_not() {
    ! bide show "$1" | grep -q "^$2"
}

@test "auto and resume change nothing if nothing is forced" {
    policies '[x]\n[y]\nextends = x\n'
    for command in "breaker x auto" "breaker y auto" "resume x y" \
        "breaker x auto --for 1h" "resume x --for 1h"; do
        # shellcheck disable=SC2086 # words
        unchanged gives 0 bide $command
        says "already so, nothing was changed"
    done
    bide breaker x open --for 1ms >/dev/null
    until_it eval '[ "$(bide get x breaker)" = off ]'
    unchanged gives 0 bide breaker x auto
    bide breaker x open >/dev/null
    gives 0 bide breaker x auto
    says "open  ->  off (default)"
    unchanged gives 0 bide breaker x auto
    says "already so"
}

@test "the end of an inherited forcing restores the value of the parent from before" {
    policies '[base]\n[kid]\nextends = base\n'
    bide breaker base open --for 1h >/dev/null
    gives 0 bide breaker kid auto
    says "open (base)  ->  off" "kid now has its own breaker = off"
    bide unset kid breaker >/dev/null
    bide breaker base auto >/dev/null
    bide breaker base open >/dev/null
    gives 0 bide breaker kid auto
    says "kid now has its own breaker = off"
    policies '[up]\nbreaker = on\n[down]\nextends = up\n'
    bide set up breaker=off --for 2h >/dev/null
    bide breaker up open --for 1h >/dev/null
    gives 0 bide breaker down auto
    says "down now has its own breaker = off"
    bide unset down breaker >/dev/null
    gives 0 bide breaker down auto --for 1h
    says "open (up)  ->  off" "until"
    says_not "its own"
    [ "$(bide get down breaker)" = off ]
}

@test "auto under a forced parent allows the calls, also if the policy was forced itself" {
    policies '[base]\n[kid]\nextends = base\n'
    bide breaker base open --for 1h >/dev/null
    bide breaker kid open >/dev/null
    gives 0 bide breaker kid auto
    says "open  ->  off" "kid now has its own breaker = off"
    gives 0 bide exec kid -- true
    unchanged gives 0 bide breaker kid auto
}

@test "resume of several policies leaves nothing behind, in any order" {
    policies '[q]\n[p]\nextends = q\n[c]\nextends = p\n'
    for names in "p c" "c p"; do
        # shellcheck disable=SC2086 # names
        bide pause $names --for 1h >/dev/null
        # shellcheck disable=SC2086 # names
        gives 0 bide resume $names
        says_not "its own"
        sets_not c paused
        sets_not p paused
    done
    # A parent that is not named stays paused: only the nearest needs a value.
    bide pause q >/dev/null
    for names in "p c" "c p"; do
        # shellcheck disable=SC2086 # names
        bide pause $names --for 1h >/dev/null
        # shellcheck disable=SC2086 # names
        gives 0 bide resume $names --dry-run
        says_not "->  yes"
        # shellcheck disable=SC2086 # names
        gives 0 bide resume $names
        says "p now has its own paused = no"
        sets_not c paused
        [ "$(bide get c paused)" = no ]
        bide unset p paused >/dev/null
    done
}

@test "resume restores an inherited or unset value, and keeps layers that do not pause" {
    policies '[p]\n[c]\nextends = p\n[n]\npaused = yes\n'
    bide pause c >/dev/null
    gives 0 bide resume c
    says "yes  ->  no (default)"
    sets_not c paused
    gives 0 bide resume n
    sets n "paused = no"
    # A layer that allows calls over a pause: resume makes that permanent.
    bide pause p >/dev/null
    bide resume p --for 1h >/dev/null
    [ "$(bide get p paused)" = no ]
    gives 0 bide resume p
    sets_not p paused
    says_not "ended"
    # The same under a paused parent.
    policies '[up]\n[down]\nextends = up\n'
    bide pause up >/dev/null
    bide resume down --for 1h >/dev/null
    gives 0 bide resume down
    says "down now has its own paused = no"
    sets down "paused = no"
}

@test "a value that the policy had of its own is not called new" {
    policies '[base]\n[mid]\nextends = base\nbreaker = on\n[leaf]\nextends = mid\n'
    gives 0 bide breaker base open
    says "Not reached, because they have another value: leaf (on from mid), mid (on)"
    bide breaker mid open >/dev/null
    gives 0 bide breaker mid auto
    says "open  ->  on"
    says_not "its own"
}

@test "a result shows inherited values from before the command" {
    policies '[base]\n[kid]\nextends = base\n'
    gives 0 bide pause kid base --for 1h
    says "paused  no (default)  ->  yes"
    says_not "(base)"
}

@test "log, audit and rollback name layers that come back or end under another" {
    policies '[pay]\n'
    bide pause pay --for 1h >/dev/null
    bide resume pay >/dev/null
    bide rollback pay >/dev/null
    gives 0 bide log pay --most 1
    says "brought back: paused is yes until" "(version 2,"
    bide delete pay >/dev/null
    bide rollback pay >/dev/null
    gives 0 bide log pay --most 1
    says "created, brought back: paused is yes until"
    bide resume pay >/dev/null
    bide breaker pay closed >/dev/null
    bide delete pay >/dev/null
    bide rollback pay >/dev/null
    gives 0 bide audit pay --json
    json '[e["kind"] for e in j["entries"]] == ["change", "forced", "forced", "forced", "forced", "forced", "forced", "forced", "change", "forced"]'
    says "created, breaker is forced"
    bide set pay attempts=5 --for 1h >/dev/null
    bide set pay attempts=6 --for 1h >/dev/null
    gives 0 bide rollback pay --layer 11
    says "the rules in force are the same"
    gives 0 bide rollback pay
    gives 0 bide log pay --most 1
    says "brought back: attempts is 5 until"
    says_not nothing
}

@test "apply --for lays only the keys in which the file differs from the base" {
    policies '[base]\nattempts = 4\n'
    printf '[base]\nattempts = 5\n' >k.ini
    bide pause base --for 1h >/dev/null
    bide set base wait_max=2s --for 1h >/dev/null
    gives 0 bide apply k.ini --for 1h
    says "attempts 4 -> 5" "base: paused is yes until" "bide rollback base --layer 2" \
        "base: wait_max is 2s until"
    says_not "paused yes"
    says_not "base: attempts"
    [ "$(bide get base paused)" = yes ]
    [ "$(bide get base attempts)" = 5 ]
    printf '[base]\nattempts = 4\n' >k.ini
    unchanged gives 0 bide apply k.ini --for 1h
    says "0 changed" "base: attempts is 5 until"
}
