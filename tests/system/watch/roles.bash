# shellcheck shell=bash disable=SC2034
# A host of a test's own, with users and groups, for tests that root runs.

# Makes its users: alice is in no group, svc in the services' group, olga in the
# operators', both in both; carol has a registry of her own.
make_host() {
    enter_test
    admit_others
    printf '%s:x:%s:%s::/:/bin/sh\n' root 0 0 alice 70001 70001 olga 70002 70002 \
        svc 70003 70003 both 70004 70004 carol 70005 70005 >passwd
    printf '%s:x:%s:%s\n' root 0 '' bide 70100 svc,both bide-ops 70200 olga,both \
        carol 70005 '' alice 70001 '' olga 70002 '' svc 70003 '' both 70004 '' >group
    printf '[pay]\nattempts = 3\n' >pay.ini
}

# host COMMAND...: runs a command as root of that host.  If there is a file
# "readonly", the registry is on a read-only file system.
host() {
    # shellcheck disable=SC2016 # for the inner shell
    unshare --mount sh -c 'mount --bind "$T/passwd" /etc/passwd &&
        mount --bind "$T/group" /etc/group || exit 125
        [ ! -e "$T/readonly" ] || { mount --bind "$DIR" "$DIR" &&
            mount -o remount,bind,ro "$DIR"; } || exit 125
        exec "$@"' sh "$@"
}

# as USER COMMAND...
as() {
    local user=$1 id
    id=$(sed -n "s/^$user:x:\([0-9]*\):.*/\1/p" passwd)
    shift
    host setpriv --reuid="$id" --regid="$id" --init-groups "$@"
}

# bide_as USER ARGUMENTS...
bide_as() {
    as "$1" "$BIDE" --dir "$DIR" "${@:2}"
}
