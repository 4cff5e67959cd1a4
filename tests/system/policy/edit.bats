#!/usr/bin/env bats
# Commands on single policies: show, get, set, unset, delete, log, rollback, diff.
load ../registry

@test "a registry without versions has no changes" {
    gives 0 bide init
    gives 0 bide log
    [ "$output" = "No changes." ]
}

@test "show prints the text after a comment with version and author" {
    shop
    gives 0 bide show pay
    [[ ${lines[0]} == "# version 1, by "* ]]
    says "[pay]" "attempts = 4" "wait_max = 2s"
    bide show pay >pay.ini
    gives 0 bide apply pay.ini
    says "0 changed"
}

@test "show prints a long note as a comment that apply accepts" {
    shop
    bide set pay attempts=5 --note "$(printf 'word%.0s ' $(seq 60))" >/dev/null
    bide show pay >pay.ini
    [ "$(grep -o word pay.ini | wc -l)" -eq 60 ]
    gives 0 bide apply pay.ini
    says "0 changed"
}

@test "show --version prints an earlier version" {
    shop
    bide set pay attempts=9 >/dev/null
    gives 0 bide show pay --version 1
    says "attempts = 4"
    gives 3 bide show pay --version 7
    says "pay: no such version: 7 (in force: 2)"
    gives 2 bide show pay --version x
}

@test "show --resolved prints the origin of each value" {
    shop
    gives 0 bide show mail --resolved
    [[ $output =~ wait_initial\ +1s\ +order ]]
    [[ $output =~ attempts\ +unlimited\ +mail ]]
    [[ $output =~ wait_max\ +10s\ +default ]]
    gives 0 bide show mail --json
    json 'j["policy"] == "mail" and j["keys"]["wait_initial"] == {"value": "1s", "from": "order"}'
}

@test "get prints the value in force: own, inherited or default" {
    shop
    [ "$(bide get mail attempts)" = unlimited ]
    [ "$(bide get mail wait_initial)" = 1s ]
    [ "$(bide get mail wait_max)" = 10s ]
    gives 5 bide get mail attemps
    says "attemps: no such key; did you mean attempts?"
}

@test "an unknown name exits 3, an invalid name exits 5" {
    shop
    for command in show log rollback diff preview "get pax attempts" "set pax attempts=1" \
        "unset pax attempts" delete stats export; do
        set -- $command
        [ $# -gt 1 ] || set -- "$command" pax
        gives 3 bide "$@"
        says "pax: no such policy"
    done
    gives 3 bide show paz
    says "did you mean pay?"
    for command in show log delete preview; do
        gives 5 bide "$command" Pay
        says "Pay: not a name"
    done
}

# ---- set and unset ----

@test "set prints both versions, and each key with old and new value" {
    shop
    gives 0 bide set pay wait_initial=250ms attempts=3 --note "gateway overloaded, INC-311"
    [ "${lines[0]}" = "pay v1 -> v2" ]
    [[ ${lines[1]} =~ ^\ +attempts\ +4\ +-\>\ +3$ ]]
    [[ ${lines[2]} =~ ^\ +wait_initial\ +100ms\ \(default\)\ +-\>\ +250ms$ ]]
    gives 0 bide log pay
    says "attempts 4 -> 3" "gateway overloaded, INC-311"
}

@test "set of an inherited key prints the name of the parent" {
    shop
    gives 0 bide set mail wait_initial=3s
    says "1s (order)"
    gives 0 bide unset mail wait_initial
    says "1s (order)"
    [ "$(bide get mail wait_initial)" = 1s ]
}

@test "blanks around the equals sign are ignored" {
    shop
    gives 0 bide set pay 'attempts = 8'
    [ "$(bide get pay attempts)" = 8 ]
}

@test "setting the same value again changes nothing" {
    shop
    gives 0 bide set pay attempts=4
    says "pay v1" "nothing was changed"
    gives 0 bide unset pay paused
    says "nothing was changed"
    gives 0 bide log pay
    [ "${#lines[@]}" -eq 2 ]
}

@test "one invalid setting refuses the whole change" {
    shop
    unchanged gives 5 bide set pay attempts=9 wait_initial=100 wait_maxx=1s
    says "wait_initial = 100: a duration needs its unit" "100ms?" wait_maxx "nothing was changed"
    unchanged gives 5 bide set pay wait_min=5s
    unchanged gives 5 bide set pay 'description=a ;b'
    unchanged gives 5 bide set pay $'description=a\nattempts = 9'
    unchanged gives 5 bide set order extends=mail
    says circle
    unchanged gives 2 bide set pay attempts
    unchanged gives 2 bide set pay =4
    unchanged gives 2 bide set pay
    unchanged gives 5 bide unset pay attemps
    unchanged gives 2 bide unset pay
}

@test "a key that is given twice is refused" {
    shop
    unchanged gives 2 bide set pay attempts=2 wait_max=1s "attempts =4"
    says "attempts is given twice"
    gives 2 bide preview pay attempts=2 attempts=4
    says "attempts is given twice"
    gives 2 bide simulate pay attempts=2 attempts=2 --calls 10/s --fail 50%
    says "attempts is given twice"
}

@test "set is refused if it makes a child invalid, and names the child" {
    shop
    bide set mail wait_max=2s wait_min=1s >/dev/null
    bide set order wait_max=5s >/dev/null
    bide unset mail wait_max >/dev/null
    unchanged gives 5 bide set order wait_max=500ms wait_initial=100ms
    says mail
}

@test "--if-version refuses a change to another version" {
    shop
    bide set pay attempts=5 >/dev/null
    unchanged gives 4 bide set pay attempts=9 --if-version 1
    says "pay: the version in force is 2, not 1: changed by" "today" "see: bide diff pay 1 2"
    unchanged gives 4 bide unset pay attempts --if-version 3
    unchanged gives 4 bide delete pay --if-version 1
    unchanged gives 4 bide rollback pay --if-version 1
    gives 0 bide set pay attempts=9 --if-version 2
    unchanged gives 2 bide set pay attempts=9 --if-version 0
}

@test "--for reverts the change at its end" {
    shop
    gives 0 bide set pay attempts=9 --for 10m
    says "until" "then v1 is in force again"
    gives 0 bide list pay
    says "2*" "* temporary: attempts is 9 until" "bide log pay"
    gives 0 bide show pay
    says "# temporary: attempts is 9 until" "(version 2, "
    grep -q "^attempts = 4" <<<"$output"
    [ "$(bide get pay attempts)" = 9 ]
    unchanged gives 5 bide set pay attempts=9 --for 10
    unchanged gives 5 bide set pay attempts=9 --for 0
    unchanged gives 5 bide set pay attempts=9 --for none
}

@test "set --dry-run prints the change and does not make it" {
    shop
    unchanged gives 0 bide set pay attempts=9 --dry-run
    says "v1 -> v2" "nothing was changed"
}

@test "a note is one line of text" {
    shop
    unchanged gives 5 bide set pay attempts=9 --note $'two\nlines'
    unchanged gives 5 bide set pay attempts=9 --note "$(printf 'x%.0s' $(seq 501))"
    gives 0 bide set pay attempts=9 --note "$(printf 'x%.0s' $(seq 500))"
}

@test "the author is the user" {
    shop
    bide set pay attempts=5 >/dev/null
    gives 0 bide log pay
    says "$(id -un)"
    gives 0 bide log pay --json
    json "j['changes'][0]['uid'] == $(id -u)"
}

# ---- delete ----

@test "a deletion is a version, and rollback reverts it" {
    shop
    gives 0 bide delete pay
    says "pay v1 deleted" "bide rollback pay"
    gives 3 bide show pay
    says "was deleted" "bide rollback pay"
    gives 0 bide log pay
    says deleted
    gives 0 bide rollback pay
    says "(as v1)"
    [ "$(bide get pay attempts)" = 4 ]
}

@test "a policy that others extend cannot be deleted" {
    shop
    unchanged gives 5 bide delete order
    says "mail" "cannot be deleted"
    gives 0 bide delete order mail
    says "order v1 deleted" "mail v1 deleted"
}

@test "delete of several policies is atomic" {
    shop
    unchanged gives 3 bide delete pay nobody
    unchanged gives 2 bide delete pay mail --if-version 1
}

# ---- rollback ----

@test "rollback restores the previous version, or the one that is given" {
    shop
    bide set pay attempts=5 >/dev/null
    bide set pay attempts=6 >/dev/null
    gives 0 bide rollback pay --note "too many"
    says "pay v3 -> v4 (as v2)" "6  ->  5"
    gives 0 bide rollback pay 1
    says "pay v4 -> v5 (as v1)"
    [ "$(bide get pay attempts)" = 4 ]
    unchanged gives 3 bide rollback pay 77
    says "no such version: 77"
    unchanged gives 2 bide rollback pay seven
    unchanged gives 3 bide rollback order
    says "no version is before"
}

# ---- log ----

@test "log lists changes of one or all policies, newest first" {
    shop
    bide set pay attempts=5 --note why >/dev/null
    gives 0 bide log pay
    [[ ${lines[1]} =~ ^\ +2\ +today.*attempts\ 4\ -\>\ 5\ +why$ ]]
    [[ ${lines[2]} =~ ^\ +1\ +today.*created$ ]]
    gives 0 bide log
    [[ ${lines[1]} =~ ^pay\ +2 ]]
    [ "${#lines[@]}" -eq 5 ]
    gives 0 bide log pay --json
    json '[c["what"] for c in j["changes"]] == ["attempts 4 -> 5", "created"]'
}

@test "log --by shows the changes of one author" {
    shop
    SUDO_USER='' bide set pay attempts=5 >/dev/null
    local who
    who=$(bide log pay --most 1 --json | jq -r '.changes[0].who')
    gives 0 bide log --by "$who"
    says "attempts 4 -> 5" created
    gives 0 bide log pay --by "$who" --most 1 --json
    json 'len(j["changes"]) == 1'
    gives 3 bide log pay --by "${who}x"
    [ "$output" = "bide: --by ${who}x: no change has this author" ]
    gives 3 --separate-stderr bide log --by $'\033[2J' --json
    json 'j["changes"] == []'
    gives 0 bide log pay --by "$who" --since 0s
    [ "$output" = "No changes." ]
}

@test "log -p shows each change key by key" {
    shop
    bide set pay attempts=5 --note why >/dev/null
    bide set pay wait_initial=1s --for 1h >/dev/null
    bide delete pay >/dev/null
    gives 0 bide log pay -p
    [[ ${lines[0]} == "pay v4 (deleted), "* ]]
    says "- attempts = 5" "+ wait_initial is 1s until" ": why" "- attempts = 4"$'\n'"+ attempts = 5"
    local long=$output
    gives 0 bide log pay --patch
    [ "$output" = "$long" ]
    gives 0 bide log pay -p --json
    json 'j["changes"][1]["keys"] == [{"key": "wait_initial", "old": None, "new": "1s"}]'
    json 'j["changes"][2]["keys"] == [{"key": "attempts", "old": "4", "new": "5"}]'
    gives 2 bide list -p
    bide log -p | head -n 1 >/dev/null
}

@test "log --json has the layers that a change ended or brought back" {
    shop
    bide set pay attempts=9 --for 1h >/dev/null
    bide rollback pay --layer 2 >/dev/null
    bide rollback pay >/dev/null
    gives 0 bide log pay --json
    json '[len(c["ended"]) for c in j["changes"]] == [0, 1, 0, 0]'
    json '[len(c["brought_back"]) for c in j["changes"]] == [1, 0, 0, 0]'
    json 'j["changes"][0]["brought_back"][0]["until"] == j["changes"][2]["until"]'
    json 'j["changes"][0]["brought_back"][0]["keys"] == {"attempts": "9"}'
    json 'j["changes"][1]["ended"][0]["version"] == 2'
}

@test "log prints the changes after a damaged version, then the failure" {
    shop
    bide set pay attempts=7 >/dev/null
    bide set pay attempts=8 >/dev/null
    bide delete pay >/dev/null
    LC_ALL=C sed -i 's/attempts = 7/attempts = 9/g' "$DIR/policies/registry.mdb"
    gives 6 bide log pay
    says "deleted" "the record of pay is damaged"
    gives 6 bide log pay --patch
    says "pay v4 (deleted)" "the record of pay is damaged"
    output=$(bide log pay --json 2>failure) || [ $? -eq 6 ]
    json '[c["version"] for c in j["changes"]] == [4]'
    grep "the record of pay is damaged" failure
    gives 6 bide audit pay
    says "the record of pay is damaged"
}

@test "log --since accepts dates, times and durations" {
    shop
    for since in today yesterday -2h 2020-01-31 2020-01-31T08:00 "2020-01-31 08:00:30" 00:00; do
        gives 0 bide log pay --since "$since"
        says created
    done
    for since in soon -2 2020-02-31 2020-13-01 ""; do
        gives 2 bide log pay --since "$since"
    done
}

# ---- diff ----

@test "diff compares keys, and exits 0 if they are equal, else 1" {
    shop
    bide set pay attempts=3 wait_initial=250ms >/dev/null
    gives 1 bide diff pay
    [ "${lines[0]}" = "pay v1 -> v2" ]
    [ "${lines[1]}" = "- attempts = 4" ]
    [ "${lines[2]}" = "+ attempts = 3" ]
    [ "${lines[3]}" = "+ wait_initial = 250ms" ]
    gives 1 bide diff pay 2 1
    says "- attempts = 3" "+ attempts = 4"
    gives 0 bide diff pay 2
    [ -z "$output" ]
    gives 3 bide diff pay 1 9
    gives 3 bide diff order
    gives 3 bide diff pay x
    says "x: no such policy" "or give a version (3), @TIME (@14:00), now, or a file"
}

@test "diff compares what was in force at a time" {
    under_clock -3h apply - <<<$'[pay]\nattempts = 4\n' >/dev/null
    under_clock -1h set pay attempts=3 >/dev/null
    gives 1 bide diff pay @2h now
    [ "$output" = $'pay v1 -> v2\n- attempts = 4\n+ attempts = 3' ]
    gives 0 bide diff pay @30m
    gives 1 bide diff pay @2h @30m
    gives 3 bide diff pay @4h
    says "pay: its first version is later than @4h" "see: bide log pay"
    gives 2 bide diff pay @noon
    says "@noon: not a time, such as @14:00 or @2h" "usage: bide diff NAME|FILE [FROM [TO]]"
}

@test "a time of the future is refused" {
    shop
    for command in "diff pay @2999-01-01" "diff pay 1 @2999-01-01" "log --since 2999-01-01" \
        "audit --since 2999-01-01" "deferred list --since 2999-01-01"; do
        # shellcheck disable=SC2086 # words
        gives 2 bide $command
        says "2999-01-01: this time is in the future"
    done
}

@test "set --preview says which policies inherit the keys" {
    shop
    bide apply - <<<$'[post]\nextends = mail\nattempts = 8\n' >/dev/null
    gives 1 bide set order attempts=7 wait_max=3s --preview
    says "Also in what inherits it: mail, post"
    gives 1 bide set order attempts=7 --preview
    says_not "Also in"
    gives 1 bide unset order wait_initial --preview
    says "Also in what inherits it: mail, post"
}

@test "diff compares any two of version, policy and file" {
    bide apply - <<<$'[pay]\nattempts = 4\n' >/dev/null
    bide set pay attempts=3 >/dev/null
    bide apply - <<<$'[mail]\nattempts = 9\n' >/dev/null
    gives 1 bide diff pay mail
    [ "$output" = $'pay v2 -> mail v1\n- attempts = 3\n+ attempts = 9' ]
    gives 1 bide diff pay 1 mail
    says "pay v1 -> mail v1"
    bide export pay >a.ini
    printf '[new]\n[pay]\nattempts = 5\n' >b.ini
    bide set pay attempts=6 --for 1h >/dev/null # a file has no layers
    gives 0 bide diff a.ini pay
    gives 0 bide diff pay a.ini
    gives 0 bide diff a.ini
    gives 1 bide diff pay v1 a.ini
    says "pay v1 -> a.ini" "- attempts = 4"
    printf '[gone]\n' >>a.ini
    gives 1 bide diff a.ini b.ini
    [ "$output" = $'new (new) -> b.ini\npay a.ini -> b.ini\n- attempts = 3\n+ attempts = 5\ngone a.ini -> b.ini (deleted)' ]
    gives 3 bide diff mail a.ini
    says "a.ini: it has no section [mail]"
    gives 2 bide diff a.ini b.ini pay
    gives 5 bide diff pay 1 none.ini
    bide delete mail >/dev/null
    gives 1 bide diff mail 1 now
    says "mail v1 -> v2 (deleted)"
    gives 3 bide diff mail
}

@test "diff FILE prints what apply would change" {
    shop
    gives 0 bide diff shop.ini
    sed -i 's/attempts = 4/attempts = 6/; s/\[mail\]/[post]/' shop.ini
    unchanged gives 1 bide diff shop.ini
    says "pay v1 -> shop.ini" "- attempts = 4" "+ attempts = 6" "post (new) -> shop.ini"
    gives 5 bide diff missing.ini
    gives 3 bide diff shop.ini 1
}
