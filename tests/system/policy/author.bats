#!/usr/bin/env bats
# The author of a change: a name that the environment alone can not forge, and
# the real uid beside it.
load ../registry

setup_file() {
    needs_host
}

# The users of a host of this test's own.
setup() {
    new_registry
    admit_others
    cat >passwd <<'END_OF_USERS'
root:x:0:0::/root:/bin/sh
alice:x:70001:70001::/:/bin/sh
bob:x:70002:70002::/:/bin/sh
nobody:x:65534:65534::/:/bin/sh
END_OF_USERS
    unset SUDO_USER SUDO_UID
    LOGIN=4294967295
    printf '[pay]\nattempts = 3\n' >pay.ini
    bide apply pay.ini >/dev/null
    N=3
}

# host COMMAND...: runs a command, after a login as the user LOGIN.
host() {
    # shellcheck disable=SC2016 # for the inner shell
    unshare --mount sh -c '
        mount --bind "$T/passwd" /etc/passwd || exit 125
        cd / || exit 125
        [ "$(cat /proc/self/loginuid)" = '$LOGIN' ] ||
            echo '$LOGIN' >/proc/self/loginuid || exit 125
        exec "$@"' sh "$@"
}

# A login is needed, or none; the kernel lets a process of root set it.
needs_login() {
    LOGIN=$1
    host true || skip "can not set the login"
}

# by WHO UID COMMAND...: fails unless the version that the command makes has
# that author.
by() {
    local who=$1 uid=$2
    shift 2
    N=$((N + 1))
    run host "$@" "$BIDE" --dir "$DIR" set pay attempts=$N
    [ "$status" -eq 0 ] || {
        echo "status $status: $*"
        echo "$output"
        return 1
    }
    run bide show pay --json
    json "(j['who'], j['uid']) == ('$who', $uid)"
}

# as UID COMMAND...: the registry is that user's.
as() {
    chown -R "$1:$1" "$DIR" live
    by "$2" "$3" setpriv --reuid="$1" --regid="$1" --clear-groups "${@:4}"
}

sudo_of() { # NAME UID: what sudo sets for a command of root
    echo "SUDO_USER=$1 SUDO_UID=$2 SUDO_GID=$2 SUDO_COMMAND=/usr/bin/bide"
    echo "USER=root LOGNAME=root HOME=/root"
}

@test "sudo: the author is the user who called it, and the uid is root's" {
    needs_login 4294967295
    # shellcheck disable=SC2046 # words
    by alice 0 env $(sudo_of alice 70001)
    needs_login 70001
    # shellcheck disable=SC2046
    by alice 0 env $(sudo_of alice 70001)
}

@test "SUDO_USER that is not SUDO_UID's, or not the login's, names nobody" {
    needs_login 4294967295
    by root 0 env SUDO_USER=alice
    by root 0 env SUDO_USER=alice SUDO_UID=
    by root 0 env SUDO_USER=alice SUDO_UID=70002
    by root 0 env SUDO_USER=alice SUDO_UID=70001x
    by root 0 env SUDO_USER=alice SUDO_UID=-1
    by root 0 env SUDO_USER= SUDO_UID=70001
    by root 0 env SUDO_USER=carol SUDO_UID=70003
    by root 0 env SUDO_USER=4294967295 SUDO_UID=4294967295
    needs_login 70002
    by root 0 env SUDO_USER=alice SUDO_UID=70001
    by bob 0 env SUDO_USER=bob SUDO_UID=70002
}

@test "a user without root is the author under any environment" {
    as 70001 alice 70001 env SUDO_USER=bob SUDO_UID=70002 USER=bob LOGNAME=bob
    as 70001 alice 70001 env SUDO_USER=root SUDO_UID=0
    as 70001 alice 70001 env SUDO_USER=bob SUDO_UID=70001
    as 70009 70009 70009 env USER=bob LOGNAME=bob # has no name
    by root 0 env USER=bob LOGNAME=bob
}

@test "in a user namespace the author is the user outside" {
    unshare --user --map-root-user true 2>/dev/null || skip "needs user namespaces"
    as 70001 alice 70001 unshare --user --map-root-user env \
        SUDO_USER=bob SUDO_UID=70002
    as 70001 alice 70001 unshare --user --map-root-user
    as 70001 nobody 65534 unshare --user --map-root-user \
        unshare --user --map-root-user env SUDO_USER=root SUDO_UID=0
}

@test "log, show, audit, history, diff: the uid is shown where root gave the name" {
    needs_login 4294967295
    # shellcheck disable=SC2046
    by alice 0 env $(sudo_of alice 70001)
    as 70002 bob 70002
    gives 0 bide log pay
    says "alice (uid 0)" " bob " " root "
    says_not "bob (uid"
    says_not "root (uid"
    gives 0 bide log --json
    json '[(c["who"], c["uid"]) for c in j["changes"]] ==
          [("bob", 70002), ("alice", 0), ("root", 0)]'
    gives 0 bide show pay --version 2
    says "# version 2, by alice (uid 0), "
    gives 0 bide audit
    says "alice (uid 0)" " bob"
    gives 0 bide audit --json
    json '[(e["who"], e["uid"]) for e in j["entries"] if "who" in e][-2:] ==
          [("alice", 0), ("bob", 70002)]'
    gives 0 bide audit --csv
    says ',"alice",0,' ',"bob",70002,'
    # shellcheck disable=SC2046
    run host env $(sudo_of alice 70001) \
        "$BIDE" --dir "$DIR" set pay attempts=9 --for 1h
    gives 0 bide show pay
    says "version 4, alice (uid"
    gives 0 bide show pay --json
    json '[(l["who"], l["uid"]) for l in j["layers"]] == [("alice", 0)]'
    gives 4 bide set pay attempts=8 --if-version 2
    says "changed by alice (uid 0) "
}

@test "a change of deferred work has both, too" {
    needs_login 4294967295
    local id
    id=$(echo x | bide deferred put pay)
    # shellcheck disable=SC2046
    run host env $(sudo_of alice 70001) "$BIDE" --dir "$DIR" deferred requeue "$id"
    says "by alice (uid 0)"
    run host env SUDO_USER=alice "$BIDE" --dir "$DIR" deferred drop "$id"
    says "by root"
    gives 0 bide audit --json
    json '[(e["who"], e["uid"]) for e in j["entries"] if e["kind"] == "work"] ==
          [("alice", 0), ("root", 0)]'
}
