#!/usr/bin/env bats
# shellcheck disable=SC2016 # the command expands
# Commands of deferred work report outcomes and keep output as those of bide exec.
load deferred

setup() {
    new_registry
    PATH=$(dirname "$BIDE"):$PATH
    BIDE_DIR=$DIR
    export PATH BIDE_DIR
    later
}

# outcomes OUTCOME=COUNT...: fails unless these are the outcomes of the policy mail.
outcomes() {
    gives 0 bide stats mail --json
    json "j['policies'][0]['outcomes'] == dict((k, int(v)) for k, v in (w.split('=') for w in '$*'.split()))"
}

@test "an outcome that is reported decides, whatever the exit status" {
    put mail a >/dev/null
    gives 0 bide deferred replay mail --until-empty --exec 'bide outcome ok; exit 9'
    says "1 done, 0 failed"
    put mail b >/dev/null
    gives 1 bide deferred replay mail --until-empty --exec 'bide outcome http.503'
    says "0 done, 1 failed" "last failure: http.503 after 2 attempts"
    outcomes http.503=2
}

@test "the service's wait is a hint for a piece" {
    bide set mail wait=exponential wait_initial=1h wait_max=1h >/dev/null
    put mail a >/dev/null
    gives 1 bide deferred replay mail --until-empty --exec 'bide outcome http.503 --after never'
    says "last failure: http.503 after 1 attempt (reason: retry_after)"
}

@test "what a piece reported is not the outcome of its next attempt, nor of others" {
    put mail a >/dev/null
    put mail b >/dev/null
    gives 1 bide deferred replay mail --until-empty --exec '
        [ "$(cat)" = a ] && [ "$BIDE_ATTEMPT" = 1 ] && bide outcome http.503; exit 9'
    outcomes http.503=1 exit.9=3
}

@test "a command that reports was found, whatever its exit status" {
    put mail a >/dev/null
    gives 1 bide deferred replay mail --until-empty --exec 'bide outcome http.404; exit 127'
    says "0 done, 1 failed" "last failure: http.404"
    bide deferred replay mail >/dev/null
    gives 0 bide deferred replay mail --until-empty --success-on 127 --exec 'exit 127'
    says "1 done, 0 failed"
}

@test "what is no outcome is said with the piece" {
    id=$(put mail a)
    gives 0 bide deferred replay mail --until-empty --exec 'echo what >&$BIDE_OUTCOME_FD'
    says "bide: deferred $id of mail: ignored: what: no such outcome"
}

@test "commands of exec --defer report as well" {
    cd "$T" || return
    gives 0 bide exec --defer mail -- sh -c '[ -e back ] || exit 9; bide outcome ok; exit 9'
    bide deferred replay mail >/dev/null
    touch back
    gives 0 bide deferred work mail --until-empty
    says "1 done, 0 failed"
}

@test "--success-on names exit statuses that are success too" {
    for number in 1 2 3; do
        put mail $number >/dev/null
    done
    gives 1 bide deferred replay mail --until-empty --success-on 1,64-78 --exec \
        'case $(cat) in 1) exit 1 ;; 2) exit 70 ;; 3) exit 79 ;; esac'
    says "2 done, 1 failed" "last failure: exit.79"
    gives 2 bide deferred work mail --success-on 1-
    says "must be exit statuses"
    gives 2 bide deferred replay mail --output all --exec true
    says "--output all: must be last"
    gives 2 bide deferred replay mail --output last
    says "only with --exec CMD"
}

@test "--output last prints what the last attempt of each piece printed, whole" {
    put mail a >/dev/null
    put mail b >/dev/null
    mkfifo one two
    # Both run at a time; the second ends first.
    "$BIDE" deferred replay mail --until-empty --jobs 2 --output last --exec '
        name=$(cat); [ "$BIDE_ATTEMPT" = 2 ] || { echo hidden; exit 9; }
        echo "$name begins"; printf "%s complains" "$name" >&2
        if [ "$name" = a ]; then echo >one; read -r _ <two; else read -r _ <one; echo >two; fi
        printf "%s ends" "$name"' >out 2>words
    says_lines=$(sort out | tr '\n' ';')
    [ "$says_lines" = "2 done, 0 failed; remaining: 0 waiting, 0 leased, 0 dead;a begins;a ends;b begins;b ends;" ]
    grep -A1 "a begins" out | grep "^a ends$"
    grep -A1 "b begins" out | grep "^b ends$"
    [ "$(sort words | tr '\n' ';')" = "a complains;b complains;" ]
}

@test "output that cannot be printed is a failure" {
    put mail a >/dev/null
    gives 1 sh -c 'bide deferred replay mail --until-empty --output last --exec "echo x" --json >/dev/full'
    says "output: No space left on device"
}

@test "workers keep no descriptor of a piece that has ended" {
    for number in 1 2 3 4 5; do
        put soon $number >/dev/null
    done
    # Without a folder for files, output is kept in memory too.
    TMPDIR=$T/none gives 0 bide deferred replay soon --until-empty --output last --exec \
        'ls -l /proc/$PPID/fd | grep -c memfd:'
    [ "$(sed -n '1,5p' <<<"$output" | sort -u | wc -l)" -eq 1 ]
}
