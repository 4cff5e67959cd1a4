#!/usr/bin/env bats
# Who may do what: doctor --as USER says what each user really can do.
load ../registry
load roles

setup_file() {
    needs_host
}

setup() {
    make_host
}

# made KIND: makes a registry: public, private, alone (of root, without groups),
# carol's own, carol's for herself (closed), carol's where all users can make
# files (shared).
made() {
    local live=$T/live
    case $1 in
    own | closed | shared)
        chown 70005 "$T"
        [ "$1" != shared ] || chmod 1777 "$T"
        [ "$1" != closed ] || mkdir -m 700 "$DIR"
        [ "$1" != closed ] || chown 70005:70005 "$DIR"
        bide_as carol init --live "$live" >/dev/null
        bide_as carol apply pay.ini >/dev/null
        bide_as carol exec pay -- true
        bide_as carol record >/dev/null
        ;;
    *)
        [ "$1" != alone ] || sed -i '/^bide/d' group
        [ "$1" != private ] || set -- private --private
        host "$BIDE" --dir "$DIR" init --live "$live" "${@:2}" >/dev/null
        host "$BIDE" --dir "$DIR" apply pay.ini >/dev/null
        host "$BIDE" --dir "$DIR" exec pay -- true
        host "$BIDE" --dir "$DIR" record >/dev/null
        ;;
    esac
}

# does USER: tries each thing and prints what the user could do.
does() {
    local before
    before=$(counted)
    [ "$(bide_as "$1" list --json 2>/dev/null | calls)" = "$before" ] &&
        bide_as "$1" stats --since 1h >/dev/null 2>&1 &&
        echo "read=yes" || echo "read=no"
    bide_as "$1" exec --quiet pay -- true
    [ "$(counted)" = "$before" ] && echo "count and share=no" || echo "count and share=yes"
    echo x | bide_as "$1" deferred put pay >/dev/null 2>&1 &&
        echo "defer work=yes" || echo "defer work=no"
    bide_as "$1" set pay attempts=$((RANDOM + 10)) >/dev/null 2>&1 &&
        echo "change policies=yes" || echo "change policies=no"
    bide_as "$1" record >/dev/null 2>&1 && echo "record=yes" || echo "record=no"
}

counted() {
    host "$BIDE" --dir "$DIR" list --json | calls
}

calls() {
    python3 -c 'import json, sys
print([p["calls"] for p in json.load(sys.stdin)["policies"]])' 2>/dev/null
}

# says_may CALLER USER: what doctor says, in the same form.
says_may() {
    bide_as "$1" doctor --as "$2" --json | python3 -c 'import json, sys
for m in json.load(sys.stdin)["may"]:
    print(m["what"] + "=" + m["may"])
    assert (m["may"] == "yes") == (m["why"] == ""), m'
}

# agrees USER...: fails unless doctor says of each user what the user can do.
agrees() {
    local user
    for user; do
        says_may root "$user" >said
        says_may "$user" "$user" >itself
        does "$user" >did
        diff -u said did && diff -u said itself || {
            echo "of the user $user"
            return 1
        }
    done
}

# mends USER: runs the commands of the table until it has none, as root.
mends() {
    local i command
    for i in 1 2 3 4 5 6; do
        command=$(bide_as root doctor --as "$1" --json | python3 -c 'import json, sys
print(next((m["command"] for m in json.load(sys.stdin)["may"] if m["may"] == "no"), ""))')
        case $command in
        '') break ;;
        adduser*) sed -i "s/^${command##* }:.*/&,$1/" group ;;
        *) host sh -c "$command" ;;
        esac
        echo "$command"
    done
    gives 0 bide_as root doctor --as "$1"
}

@test "in a public registry" {
    made public
    agrees root alice olga svc both
}

@test "in a private registry" {
    made private
    agrees root alice olga svc both
}

@test "in a registry of root, without groups" {
    made alone
    agrees root alice both
}

@test "in the registry of a user" {
    made own
    agrees root carol alice both
    gives 1 bide_as alice doctor --as alice
    says "only carol may change policies"
    says_not "member"
}

@test "in a registry that a user has for herself" {
    made closed
    agrees root carol alice both
}

@test "in the registry of a user, where all users can make files" {
    made shared
    agrees root carol alice
}

@test "behind a closed directory" {
    mkdir way && DIR=$T/way/registry
    made public
    chmod 700 way
    agrees root alice both
    gives 1 bide_as root doctor --as both
    says "$T/way is closed: chmod o+x '$T/way'"
    # Another user can not look behind it.
    chmod 755 way
    chmod 750 "$DIR"
    gives 1 bide_as alice doctor --as both
    says "unknown" "sudo bide --dir '$DIR' doctor --as 70004"
}

@test "on a read-only file system" {
    made public
    touch readonly
    agrees root olga svc
}

@test "without a live file and a history" {
    made private
    rm live/* "$DIR"/history/*
    says_may root svc >said
    grep -q "count and share=yes" said
    says_may root alice >said
    grep -q "count and share=no" said
    does svc >did
    grep -q "count and share=yes" did
    chmod 660 live/*
    agrees both alice
}

@test "the commands of the table mend what is missing" {
    made private
    mends alice
    does alice >did
    [ "$(grep -c yes did)" -eq 5 ]
    agrees alice
}

@test "the owner may have lost a right" {
    made own
    chmod u-w "$DIR/policies/registry.mdb"
    chmod u-r live/*.live
    agrees carol
    mends carol
    agrees carol
}

@test "a user that the host does not have is a usage error, a number is not" {
    made public
    gives 2 bide_as root doctor --as nobody-here
    says "--as nobody-here: this host has no such user"
    gives 2 bide_as root doctor --as 4294967295
    gives 2 bide_as root doctor --as -1
    gives 2 bide_as root doctor --as ""
    gives 1 bide_as root doctor --as 70099
    says "be a member of bide"
    says_not "adduser"
    sed -i '/^bide:/d' group # a group without a name
    gives 1 bide_as root doctor --as alice
    says "be a member of 70100"
}

@test "doctor says in one line what its caller may do" {
    made public
    run bide_as svc doctor
    says "you       svc may read, count and share, defer work; not change policies, record"
    run bide_as root doctor
    says "you       root may read, count and share, defer work, change policies, record"
    chmod 0750 "$DIR"
    run bide_as alice doctor
    says "you       alice may not read, count and share"
}

@test "a refusal names the role that is missing, and the command that gives it" {
    made public
    gives 6 bide_as svc set pay attempts=7
    says "bide: to change policies, be a member of bide-ops: adduser svc bide-ops, then log in again"
    gives 6 bide_as svc apply pay.ini
    says "to change policies, be a member of bide-ops: adduser svc bide-ops"
    gives 6 bide_as svc record
    says "to record, be a member of bide-ops: adduser svc bide-ops"
    gives 6 bide_as alice deferred list
    says "to defer work, be a member of bide: adduser alice bide"
    gives 6 bide_as alice record
    says "be a member of bide"
    host "$BIDE" --dir "$DIR" set pay breaker=on >/dev/null
    host "$BIDE" --dir "$DIR" exec pay -- true
    gives 6 bide_as alice breaker pay reset
    says "to count and share, be a member of bide: adduser alice bide"
    chmod 0750 "$DIR"
    gives 6 bide_as alice list
    says "to read, be a member of bide: adduser alice bide"
    gives 6 bide_as alice set pay attempts=7
    says "to read, be a member of bide: adduser alice bide"
}

@test "a command that mends names the registry, or is left out" {
    made alone
    printf '[pay]\nattempts = 3\n' >pay.ini
    gives 6 bide_as svc wake pay
    says "only root may count and share"
    says_not "--dir ''"
}

@test "a user without groups never hears of them" {
    made own
    chmod u-w "$DIR/policies/registry.mdb"
    gives 6 bide_as carol set pay attempts=7
    says "chmod u+rw '$DIR/policies/registry.mdb'"
    says_not "member"
}

@test "a change of an operator who can not announce it is followed all the same" {
    made public
    printf '[pay]\nattempts = 3\nretry_on = exit.9\nwait = fixed\nwait_initial = 1h\n' >pay.ini
    bide_as both apply pay.ini >/dev/null
    bide_as svc exec --quiet pay -- sh -c 'exit 9' 3>&- &
    until_it eval 'bide_as svc calls | grep -q "1 call is waiting"'
    gives 0 bide_as olga set pay wait_initial=0
    says "services follow within 5 s; for at once: adduser olga bide"
    until_it eval 'bide_as svc calls | grep -q "No calls"'
    wait $! || true
    gives 0 bide_as olga pause pay
    says "services follow within 5 s; for at once: adduser olga bide"
    run bide_as svc exec pay -- touch made
    says "paused"
    [ ! -e made ]
    bide_as olga resume pay >/dev/null 2>&1
    # Without a change there is nothing to follow.
    bide_as olga set pay attempts=9 >/dev/null 2>&1
    gives 0 bide_as olga set pay attempts=9
    says_not "services follow"
    gives 0 bide_as both set pay attempts=8
    says_not "services follow"
}
