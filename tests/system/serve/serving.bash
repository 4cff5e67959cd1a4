# shellcheck shell=bash
# bide serve in the background of a test, see registry.bash.

# Whatever was done to it, the server ends as it should.
teardown() {
    [ -z "$OTHER" ] || kill "$OTHER" 2>/dev/null || true
    [ -z "$SERVER" ] || end TERM
}

# Of until_it.
# shellcheck disable=SC2034
PATIENCE=1200

# serve OPTION...: in the background; then URL and SERVER are set.
serve() {
    [ $# -gt 0 ] || set -- --listen 127.0.0.1:0
    rm -f where
    "$BIDE" --dir "$DIR" serve "$@" >where 2>said 3>&- &
    SERVER=$!
    until_it grep -q http where
    URL=$(sed -n 's,/$,,p' where)
}

# end SIGNAL: the server ends by it, and says 0.
end() {
    local status=0
    kill "-$1" "$SERVER"
    wait "$SERVER" || status=$?
    SERVER=
    [ "$status" -eq 0 ]
}
