#!/usr/bin/env bats
# Three kinds of users on one host: a service counts, an operator changes, an
# observer looks.
load ../registry

setup_file() {
    [ "$(id -u)" -eq 0 ] || skip_all "needs root, to be other users"
    command -v setpriv >/dev/null || skip_all "needs the package util-linux"
}

# as WHO COMMAND...: runs bide as service, operator, observer or root.
as() {
    local ids
    case $1 in
    service) ids="--reuid 70003 --regid 70003 --groups 70100" ;;
    operator) ids="--reuid 70002 --regid 70002 --groups 70100,70200" ;;
    observer) ids="--reuid 70001 --regid 70001 --clear-groups" ;;
    root) ids="--reuid 0 --regid 0 --clear-groups" ;;
    esac
    # shellcheck disable=SC2086 # words
    timeout 20 setpriv $ids "$BIDE" --dir "$DIR" "${@:2}"
}

host() {
    admit_others
    bide init --group 70100 --operators 70200 "$@" >/dev/null
    as root apply - <<<$'[pay]\nattempts = 2\n' >/dev/null
}

# rights: all that belongs to the registry, with group and mode.
rights() {
    find "$DIR" "$T/live" -printf '%P %G %m\n' | sed "s/[0-9a-f]*\.live/LIVE/" | sort
}

# everybody: what each may and may not do.
everybody() {
    gives 0 as service exec pay -- true
    gives 0 as service deferred put pay <<<x
    gives 6 as service set pay attempts=9
    gives 6 as service record
    gives 0 as operator set pay attempts=$((RANDOM % 90 + 3))
    gives 0 as operator pause pay
    gives 0 as operator record
    gives 0 as operator rollback pay
    gives 0 as observer list --json
    json 'j["policies"][0]["calls"] >= 1'
    gives 0 as observer stats pay --since 1h --json
    gives 6 as observer set pay attempts=9
    gives 6 as observer wake pay
    gives 6 as observer wake pay --dry-run
    gives 0 as root set pay attempts=$((RANDOM % 90 + 3))
    gives 0 as root record
    gives 0 as root exec pay -- true
    gives 0 as root deferred put pay <<<x
    gives 0 bide init
    says "there was nothing to do"
}

@test "whoever makes a file first, the others can use it" {
    local first
    host
    everybody
    for first in root operator; do
        rm -f "$DIR"/policies/registry.{lock,checked} "$DIR"/history/* "$T"/live/*
        gives 0 as $first set pay attempts=$((RANDOM % 90 + 3))
        gives 0 as $first exec pay -- true
        gives 0 as $first record
        everybody
    done
    for first in root operator service; do
        rm -f "$DIR"/deferred/* "$T"/live/*
        gives 0 as $first exec pay -- true
        as $first deferred put pay <<<x >/dev/null || true
        gives 0 as $first deferred repair
        everybody
    done
}

@test "a stranger to a private registry reads nothing, until it is public" {
    host --private
    gives 0 as service exec pay -- true
    gives 0 as operator set pay attempts=7
    for command in list "stats pay" calls log doctor; do
        # shellcheck disable=SC2086 # words
        gives 6 as observer $command
    done
    gives 1 setpriv --reuid 70001 --regid 70001 --clear-groups cat "$T"/live/*.live
    # At a boot the live directory is made for all registries, and may be passed.
    rm -r "$T/live"
    install -d -m 2771 -g 70100 "$T/live"
    gives 0 as service exec pay -- true
    gives 1 setpriv --reuid 70001 --regid 70001 --clear-groups cat "$T"/live/*.live
    gives 0 bide doctor
    gives 0 bide init # stays private
    says "nothing to do"
    gives 6 as observer list
    gives 0 bide init --public
    gives 0 as observer list --json
    json 'j["policies"][0]["calls"] == 1'
}

@test "init mends what was changed, and says each thing once" {
    host
    everybody
    local before fault
    before=$(rights)
    while read -r fault; do
        eval "$fault"
        gives 1 bide doctor
        gives 0 bide init --group 70100 --operators 70200
        says ": was "
        [ -z "$(cut -d: -f1 <<<"$output" | grep ^/ | sort | uniq -d)" ]
        [ "$(rights)" = "$before" ]
        gives 0 bide init
        says "there was nothing to do"
        everybody
    done <<'END'
chown -R root:root "$DIR"
chmod -R 777 "$DIR"
chmod -R u=rwX,go= "$DIR/policies" "$DIR/deferred"
chmod 700 "$T/live"; chmod 600 "$T"/live/*
chown 0:0 "$T/live"; chmod 755 "$T/live"
END
    rm -r "$DIR/history"
    gives 0 bide init
    says "$DIR/history: was missing, now made"
    gives 0 as operator record
    # A link is not followed, and said.
    : >victim
    chmod 600 victim
    mv "$DIR/policies/registry.checked" kept
    ln -s "$T/victim" "$DIR/policies/registry.checked"
    gives 1 bide init
    says "registry.checked" "this is a symbolic link"
    [ "$(stat -c %a:%u:%g victim)" = 600:0:0 ]
}

@test "two at once, one killed, the wrong user, no such group" {
    host
    chown -R root:root "$DIR"
    bide init --group 70100 --operators 70200 >one &
    bide init --group 70100 --operators 70200 >two
    wait
    gives 0 bide doctor
    local i
    for i in 1 2 3 4 5 6; do
        chown -R root:root "$DIR"
        chmod -R 755 "$DIR"
        timeout -s KILL "0.00$i" "$BIDE" --dir "$DIR" init --group 70100 --operators 70200 >/dev/null || true
        gives 0 bide init --group 70100 --operators 70200
        gives 0 bide doctor
    done
    chmod g-w "$DIR/policies/registry.mdb"
    gives 1 as operator init
    gives 6 as observer init
    gives 0 bide init
    gives 1 bide init --group no-such-group
    says "there is no group no-such-group" "addgroup --system no-such-group"
    gives 1 "$BIDE" --dir "$T/none" init --operators no-such-group
    [ ! -e "$T/none" ]
    gives 2 bide init --private --public
    gives 2 bide init --journal --no-journal
    says "choose one of --journal and --no-journal"
    gives 0 bide doctor
}

@test "doctor does not tell root to copy what an operator's link names" {
    host
    echo secret >secret
    rm "$DIR/policies/registry.checked"
    setpriv --reuid 70002 --regid 70002 --groups 70200 ln -s "$T/secret" "$DIR/policies/registry.checked"
    gives 1 bide doctor
    says "registry.checked: this is a symbolic link" "mv $DIR/policies/registry.checked "
    says_not "cp -p"
}
