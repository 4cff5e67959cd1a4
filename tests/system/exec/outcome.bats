#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031 # the command expands; tests are subshells
# A command of bide exec reports its outcome, and knows its limits.
load ../registry

setup() {
    new_registry
    PATH=$(dirname "$BIDE"):$PATH
    BIDE_DIR=$DIR
    export PATH BIDE_DIR
    bide apply - >/dev/null <<'INI'
[web]
attempts = 3
wait = fixed
wait_initial = 1ms
wait_jitter = none
retry_on = http.503, http.0
breaker = on
breaker_consecutive = 50

[limited]
attempts = 1
attempt_timeout = 90s
deadline = 60s

[strict]
attempts = 1
breaker = on
breaker_consecutive = 2
retry_on = http.503

[bounded]
attempts = 1
attempt_timeout = 50ms
INI
}

# counts NAME OUTCOME=COUNT...: fails unless these are the outcomes of the policy.
counts() {
    gives 0 bide stats "$1" --json
    json "j['policies'][0]['outcomes'] == dict((k, int(v)) for k, v in (w.split('=') for w in '${*:2}'.split()))"
}

@test "an outcome that is reported decides, and the exit status is the command's" {
    gives 9 bide exec web sh -c 'echo "$BIDE_ATTEMPT" >>runs; bide outcome http.503; exit 9'
    says "gave up after 3 attempts, last http.503 (reason: attempts)"
    [ "$(wc -l <runs)" -eq 3 ]
    gives 9 bide exec web sh -c 'bide outcome http.404; exit 9'
    gives 9 bide exec web sh -c 'bide outcome ok; exit 9'
    gives 0 bide stats web --json
    json 'j["policies"][0]["calls"]["succeeded"] == 1 and j["policies"][0]["calls"]["rejected"] == 1'
    counts web http.503=3 http.404=1
}

@test "a failed call never exits with 0" {
    gives 1 bide exec web bide outcome http.404
    [ "$output" = "bide: exec web: gave up after 1 attempt, last http.404 (reason: rejected)" ]
    gives 1 bide exec --quiet web bide outcome http.503
    [ -z "$output" ]
}

@test "without a report the exit status decides" {
    gives 3 bide exec web sh -c 'exit 3'
    counts web exit.3=1
}

@test "the last outcome wins, also without an end of its line, by any writer" {
    gives 1 bide exec web sh -c '
        bide outcome ok; echo http.503 >&$BIDE_OUTCOME_FD; echo http.500 >/dev/fd/$BIDE_OUTCOME_FD
        for i in 1 2 3; do sh -c "bide outcome http.418"; done; printf http.404 >&$BIDE_OUTCOME_FD'
    says "last http.404"
    # A shell that opens the file anew cuts it off; the other writers go on at its end.
    gives 1 bide exec web sh -c 'echo ok >&$BIDE_OUTCOME_FD; : >/proc/self/fd/$BIDE_OUTCOME_FD; echo http.404 >&$BIDE_OUTCOME_FD'
    says "last http.404"
    says_not "ignored"
    # More than is read: the end counts.
    gives 1 bide exec web sh -c 'yes app.ab | head -n 9999 >&$BIDE_OUTCOME_FD; bide outcome http.404'
    says "last http.404"
    says_not "ignored"
}

@test "the service's wait is a hint" {
    bide set web wait_initial=1h wait_max=1h >/dev/null
    gives 1 bide exec --verbose web bide outcome http.503 --after never
    says "last http.503 (reason: retry_after)"
    gives 1 bide exec web bide outcome http.503 --after 2h
    says "reason: retry_after"
    gives 1 bide exec web bide outcome http.503 --retry-after 7200
    says "reason: retry_after"
    gives 1 bide exec web bide outcome http.503 --retry-after 'Fri, 31 Dec 9999 23:59:59 GMT'
    says "reason: retry_after"
    # No hint: the header is missing, cannot be read, or asks for nothing.
    bide set web wait_initial=1ms >/dev/null
    for header in '' soon 0 'Fri, 31 Dec 1999 23:59:59 GMT'; do
        gives 1 bide exec web bide outcome http.503 --retry-after "$header"
        says "gave up after 3 attempts"
    done
}

@test "reported outcomes open the breaker of the policy" {
    gives 1 bide exec --quiet strict bide outcome http.503
    gives 1 bide exec --quiet strict bide outcome http.503
    gives 75 bide exec strict touch ran
    says "refused: breaker"
    [ ! -e ran ]
}

@test "what is no outcome is said once, and ignored" {
    gives 3 bide exec web sh -c 'printf "what\n\n\0\nhttp.5o3\n" >&$BIDE_OUTCOME_FD; exit 3'
    [ "${#lines[@]}" -eq 1 ]
    says "bide: exec web: ignored: what: no such outcome: use "
    counts web exit.3=1
    gives 1 bide exec web sh -c 'bide outcome http.404; echo "http.503;after=2" >&$BIDE_OUTCOME_FD'
    says "ignored: http.503;after=2: a duration needs its unit; did you mean 2ms?" "last http.404"
    gives 3 bide exec web sh -c 'head -c 5000 /dev/zero | tr "\0" x >&$BIDE_OUTCOME_FD; exit 3'
}

@test "a command that was ended by its limit or a signal did not report" {
    gives 124 bide exec bounded sh -c 'bide outcome ok; exec sleep 1000'
    counts bounded errno.ETIMEDOUT=1
    gives 137 bide exec web sh -c 'bide outcome ok; kill -KILL $$'
    counts web signal.SIGKILL=1
}

@test "a process that is left behind with the descriptor delays nothing and changes nothing" {
    mkfifo go over
    gives 1 bide exec web sh -c '
        (read -r _ <go; bide outcome ok; echo "$?" >over) >/dev/null 2>&1 3>&- &
        bide outcome http.404'
    says "last http.404"
    echo >go
    read -r status <over
    [ "$status" -eq 0 ]
    gives 0 bide stats web --json
    json 'j["policies"][0]["attempts"] == 1'
}

@test "outside of exec, or with another descriptor, nothing is written" {
    gives 1 bide outcome http.503
    [ "$output" = "bide: outcome: only a command that bide runs can report one" ]
    BIDE_OUTCOME_FD=77 gives 1 bide outcome http.503
    says "the descriptor of BIDE_OUTCOME_FD was closed"
    gives 3 bide exec web sh -c 'eval "exec $BIDE_OUTCOME_FD>&-"; bide outcome http.503; exit 3'
    says "was closed"
    gives 3 bide exec web sh -c 'eval "exec $BIDE_OUTCOME_FD>mine"; bide outcome http.503; exit 3'
    says "is another file"
    [ ! -s mine ]
}

@test "names are those of policies" {
    for wrong in http.5o3 503 transient http.5xx exit.300 app. 'http.503;after=2' 'http.503 x' ''; do
        gives 5 bide outcome "$wrong"
    done
    says "no such outcome"
    gives 5 bide outcome EAGAIN
    says "did you mean errno.EAGAIN?"
    gives 5 bide outcome http.503 --after 2
    says "a duration needs its unit" "did you mean 2ms?"
    gives 2 bide outcome exit.3 --retry-after 2
    gives 2 bide outcome http.503 --retry-after 2 --after 2s
    gives 1 bide exec web bide outcome http.000 # curl's %{http_code} without an answer
    says "last http.0 (reason: attempts)"
    gives 1 bide exec web bide outcome app.sold_out
    says "last app.sold_out (reason: rejected)"
    gives 0 bide exec web bide outcome curl.0
}

@test "a nested exec reports to itself, and the descriptor stays below 10" {
    bide set limited retry_on=any >/dev/null
    gives 9 bide exec limited -- bide exec web -- bide exec web -- sh -c '
        [ "$BIDE_OUTCOME_FD" -lt 10 ] && [ "$(ls -l /proc/self/fd | grep -c bide-outcome)" = 1 ] &&
            bide outcome http.404 && exit 9'
    counts limited exit.9=1
    gives 0 bide stats web --json
    json 'j["policies"][0]["outcomes"] == {"http.404": 1, "exit.9": 1}'
}

@test "--success-on names exit statuses that are success too, and keeps them" {
    for status in 9 64 70 78; do
        gives $status bide exec --success-on 9,64-78 web sh -c "exit $status"
        [ -z "$output" ]
    done
    gives 79 bide exec --success-on 9,64-78 web sh -c 'exit 79'
    gives 9 bide exec --success-on 9 web sh -c 'bide outcome http.404; exit 9'
    gives 0 bide stats web --json
    json 'j["policies"][0]["calls"]["succeeded"] == 4'
    for wrong in "" "," "9," "9,,3" 256 3-1 x -1 1-999999999999999999999; do
        gives 125 bide exec --success-on "$wrong" web touch ran
        says "must be exit statuses"
    done
    [ ! -e ran ]
}

# ---- limits ----

@test "the environment has the deadline and the limit of the attempt" {
    gives 0 bide exec limited sh -c 'echo "$BIDE_DEADLINE $BIDE_ATTEMPT_TIMEOUT_MS $(date +%s.%N)"'
    read -r deadline timeout now <<<"$output"
    [[ $deadline =~ ^[0-9]+\.[0-9]{3}$ ]]
    # The deadline of the call ends before the limit of the attempt.
    python3 -c "import sys; d, t, n = map(float, sys.argv[1:]); sys.exit(not (30000 < t <= 60000 and n < d <= n + 60.001))" \
        "$deadline" "$timeout" "$now"
    date -d "@$deadline" >/dev/null
    # As bide(1) says.
    gives 0 bide exec limited sh -c 'echo "$((${BIDE_DEADLINE%.*}-$(date +%s)))"'
    [ "$output" -gt 30 ]
    [ "$output" -le 60 ]
    gives 0 env BIDE_DEADLINE= BIDE_ATTEMPT_TIMEOUT_MS= "$BIDE" --dir "$DIR" exec web sh -c \
        'echo "${BIDE_DEADLINE-none} ${BIDE_ATTEMPT_TIMEOUT_MS-none}"'
    [ "$output" = "none none" ]
}

@test "exec obeys the limits that it finds: the shorter deadline wins" {
    gives 0 bide exec limited -- bide exec web -- sh -c 'echo "$BIDE_ATTEMPT_TIMEOUT_MS"'
    [ "$output" -le 60000 ]
    outer=$(($(date +%s) + 20)).5
    BIDE_DEADLINE=$outer gives 0 bide exec limited sh -c 'echo "$BIDE_ATTEMPT_TIMEOUT_MS"'
    [ "$output" -le 20500 ]
    BIDE_DEADLINE=$(($(date +%s) + 9999)) gives 0 bide exec limited sh -c 'echo "$BIDE_ATTEMPT_TIMEOUT_MS"'
    [ "$output" -le 60000 ]
    BIDE_ATTEMPT_TIMEOUT_MS=5000 gives 0 bide exec limited sh -c 'echo "$BIDE_ATTEMPT_TIMEOUT_MS"'
    [ "$output" -le 5000 ]
    BIDE_ATTEMPT_TIMEOUT_MS=1500 gives 124 bide try 3 sleep 1000
    says "last errno.ETIMEDOUT (reason: deadline)"
}

@test "exec reads every limit that it writes, also the longest" {
    bide set limited deadline=none attempt_timeout=36500d >/dev/null
    gives 0 bide exec limited -- bide exec limited -- sh -c 'echo "$BIDE_ATTEMPT_TIMEOUT_MS"'
    [ "$output" -gt 3153599900000 ]
    BIDE_DEADLINE=9999999999 gives 0 bide exec web true
}

@test "after the deadline nothing is run" {
    for variable in BIDE_DEADLINE=1 BIDE_DEADLINE=0 BIDE_ATTEMPT_TIMEOUT_MS=0; do
        gives 124 env $variable "$BIDE" --dir "$DIR" exec web touch ran
        [ "$output" = "bide: exec web: the deadline has passed: nothing was run" ]
    done
    [ ! -e ran ]
}

@test "commands of deferred work have their limits" {
    bide deferred put limited <<<x >/dev/null
    gives 0 bide exec limited bide deferred replay limited --until-empty --exec \
        'echo "$BIDE_DEADLINE $BIDE_ATTEMPT_TIMEOUT_MS" >seen'
    read -r deadline timeout <seen
    [[ $deadline == *.??? ]]
    [ "$timeout" -le 60000 ]
}

@test "limits that cannot be read are refused" {
    for wrong in x 12m -1 1.2.3 ' 1' none 1e9 99999999999999999999999999999; do
        BIDE_DEADLINE=$wrong gives 125 bide exec web touch ran
        says "BIDE_DEADLINE=$wrong: not a time in seconds since 1970, such as"
        BIDE_ATTEMPT_TIMEOUT_MS=$wrong gives 125 bide try 3 touch ran
        says "BIDE_ATTEMPT_TIMEOUT_MS=$wrong: not a whole number of milliseconds"
    done
    [ ! -e ran ]
}
