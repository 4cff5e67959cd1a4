# shellcheck shell=bash
# bide serve in the background of a test, see registry.bash.

# The server must end with status 0 after every test.
teardown() {
    [ -z "$OTHER" ] || kill "$OTHER" 2>/dev/null || true
    [ -z "$SERVER" ] || end TERM
}

# The patience of until_it, in tries.
# shellcheck disable=SC2034
PATIENCE=1200

# serve OPTION...: starts the server in the background, sets URL and SERVER.
serve() {
    [ $# -gt 0 ] || set -- --listen 127.0.0.1:0
    rm -f where
    "$BIDE" --dir "$DIR" serve "$@" >where 2>said 3>&- &
    SERVER=$!
    until_it grep -q http where
    URL=$(sed -n 's,/$,,p' where)
}

# end SIGNAL: sends it to the server, which must end with status 0.
end() {
    local status=0
    kill "-$1" "$SERVER"
    wait "$SERVER" || status=$?
    SERVER=
    [ "$status" -eq 0 ]
}
