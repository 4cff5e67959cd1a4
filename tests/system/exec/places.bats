#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031 # the command expands; tests are subshells
# The examples of bide(1) for scripts, cron, units, Makefiles and hooks, in use.
load ../registry

setup() {
    new_registry
    BIDE_DIR=$DIR
    mkdir bin
    ln -s "$BIDE" bin/bide
    PATH=$T/bin:$PATH
    export BIDE_DIR PATH
    bide apply - >/dev/null <<'INI'
[web]
attempts = 3
wait_initial = 1ms
retry_on = connect, timeout, throttle, http.5xx

[backup]
attempts = 3
wait_initial = 1ms
retry_on = any

[notify]
attempts = 2
wait_initial = 1ms
retry_on = any
importance = postponable
INI
}

teardown() {
    [ -z "${SERVER:-}" ] || kill "$SERVER"
}

# stand_in NAME TIMES: makes a program that fails TIMES times with status 12, prints
# its number, and then writes its arguments to NAME.did.
stand_in() {
    cat >"bin/$1" <<SH
#!/bin/sh
echo x >>"$T/$1.runs"
n=\$(wc -l <"$T/$1.runs")
echo "$1 \$n"
[ \$n -gt $2 ] || exit 12
echo "\$@" >>"$T/$1.did"
while [ "\$1" ]; do [ "\$1" != -o ] || echo got >"\$2"; shift; done
SH
    chmod +x "bin/$1"
}

@test "a script around curl: status, Retry-After and errors of curl reach the policy" {
    command -v curl >/dev/null || skip "needs the package curl"
    example "A shell script" >bin/fetch
    chmod +x bin/fetch
    cat >server.py <<'PY'
import http.server
ANSWERS = {"/slow": (503, "0"), "/gone": (404, None), "/later": (429, "7200"), "/ok": (200, None)}
counts = {}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        counts[self.path] = counts.get(self.path, 0) + 1
        status, after = ANSWERS[self.path] if self.path != "/third" or counts[self.path] < 3 else (200, None)
        self.send_response(status)
        if after:
            self.send_header("Retry-After", after)
        self.end_headers()
        self.wfile.write(b"body %d" % counts[self.path])
    def log_message(self, *_):
        pass
ANSWERS["/third"] = (503, None)
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
PY
    mkfifo listening
    python3 server.py >listening 3>&- &
    SERVER=$!
    read -r port <listening
    gives 0 bide exec web -- fetch "http://127.0.0.1:$port/ok" page
    gives 0 bide exec web -- fetch "http://127.0.0.1:$port/third" page
    [ "$(cat page)" = "body 3" ]
    gives 1 bide exec web -- fetch "http://127.0.0.1:$port/slow" page
    says "gave up after 3 attempts, last http.503"
    gives 1 bide exec web -- fetch "http://127.0.0.1:$port/gone" page
    [ -z "$output" ]
    gives 1 bide exec web -- fetch "http://127.0.0.1:$port/later" page
    says "gave up after 1 attempt, last http.429 (reason: retry_after)"
    kill "$SERVER"
    wait "$SERVER" || true
    SERVER=
    gives 7 bide exec web -- fetch "http://127.0.0.1:$port/ok" page
    says "gave up after 3 attempts, last curl.7 (reason: attempts)"
}

@test "cron: only what the last attempt printed is mailed" {
    stand_in rsync 2
    example Cron >job
    path=$(sed -n 's/^PATH=//p' job)
    command=$(sed -n 's/^[0-9*]* [0-9*]* [0-9*]* [0-9*]* [0-9*]* root //p' job)
    [ -n "$command" ]
    [[ $command != *%* ]] # cron takes it for the end of a line
    gives 0 env -i SHELL=/bin/sh HOME="$T" LOGNAME=root PATH="$T/bin:$path" BIDE_DIR="$DIR" \
        setsid sh -c "$command" </dev/null
    [ "$output" = "rsync 3" ]
    [ "$(cat rsync.did)" = "-a /srv nas:/srv" ]
    rm rsync.runs
    stand_in rsync 9
    gives 12 env -i SHELL=/bin/sh HOME="$T" PATH="$T/bin:$path" BIDE_DIR="$DIR" setsid sh -c "$command" </dev/null
    [ "$output" = $'rsync 3\nbide: exec backup: gave up after 3 attempts, last exit.12 (reason: attempts)' ]
}

@test "systemd: the unit is valid, and its command runs" {
    stand_in rsync 2
    example "systemd" >backup.service
    command=$(sed -n 's/^ExecStart=//p' backup.service)
    [ -n "$command" ]
    gives 0 env -i PATH="$PATH" BIDE_DIR="$DIR" sh -c "exec $command" </dev/null
    [ "$(cat rsync.did)" = "-a /srv backup:/srv" ]
    command -v systemd-analyze >/dev/null || skip "needs the package systemd"
    sed -i "s|^ExecStart=bide|ExecStart=$BIDE|" backup.service
    SYSTEMD_LOG_TARGET=console gives 0 systemd-analyze verify --man=no "$T/backup.service"
    says_not "backup.service"
}

@test "systemd: a stop ends the command and the call, as a signal to bide exec" {
    mkfifo up
    printf '#!/bin/sh\ntrap "echo ended >>%s; exit 0" TERM\necho >up\nwhile :; do sleep 0.05; done\n' "$T/log" >bin/rsync
    chmod +x bin/rsync
    command=$(example systemd | sed -n 's/^ExecStart=//p')
    sh -c "exec $command" 3>&- &
    call=$!
    read -r _ <up
    kill -TERM "$call"
    wait "$call"
    [ "$(cat log)" = ended ]
}

@test "make: a target is fetched again until it is there, also with several jobs" {
    command -v make >/dev/null || skip "needs the package make"
    stand_in curl 2
    example Makefiles >Makefile
    printf '\nparts: one two\none two:\n\t+bide try 2 --wait 0 -- $(MAKE) -f part $@\n' >>Makefile
    printf 'one two:\n\techo >>runs\n\techo $@ >$@\n' >part
    gives 0 make url=http://example.org/tool.tar
    says "curl 3"
    says_not "curl 2"
    [ "$(cat tool.tar)" = got ]
    gives 0 make url=x
    says "Nothing to be done"
    gives 0 make -j2 parts
    says_not "warning"
    [ "$(wc -l <runs)" -eq 2 ]
    rm tool.tar curl.runs
    stand_in curl 9
    gives 2 make url=x
    says "gave up after 4 attempts" "Error 12"
    [ ! -e tool.tar ]
}

@test "git: a hook handles each ref that is pushed, and a push does not fail" {
    command -v git >/dev/null || skip "needs the package git"
    stand_in notify 1
    export GIT_CONFIG_GLOBAL=$T/gitconfig GIT_CONFIG_NOSYSTEM=1
    git config --global user.name Ann
    git config --global user.email ann@example.org
    git config --global init.defaultBranch main
    git init -q --bare there.git
    example "Git hooks" >there.git/hooks/post-receive
    chmod +x there.git/hooks/post-receive
    git init -q here
    git -C here commit -q --allow-empty -m first
    gives 0 git -C here push -q "$T/there.git" main main:refs/heads/other main:refs/heads/third
    commit=$(git -C here rev-parse main)
    sort notify.did | diff - <(printf "refs/heads/%s $commit\n" main other third)
    # What cannot be done now is stored.
    stand_in notify 99
    gives 0 git -C here push -q "$T/there.git" main:refs/heads/fourth
    says "deferred as"
    gives 0 bide deferred list --json
    json 'len(j["deferred"]) == 1 and j["deferred"][0]["type"] == "application/x-bide-exec"'
}
