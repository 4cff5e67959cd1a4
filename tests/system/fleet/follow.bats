#!/usr/bin/env bats
# What agents make of releases and of the pointer.

load fleet

setup_file() {
    needs_fleet
}

@test "each host runs the release that the pointer gives it" {
    start_etcd
    new_host web-1
    new_host web-2
    new_host db-1 --label role=db,env=prod
    policies 4 | on web-1 fleet push - --note "first rules"
    policies 5 | on web-1 fleet push -
    for host in web-1 web-2 db-1; do follow "$host"; done
    point '"release":1,"percent":100'
    for host in web-1 web-2 db-1; do until_true has "$host" payments attempts 4; done
    point '"release":2,"before":1,"hosts":"web-2","label":"role=db"'
    until_true has web-2 payments attempts 5
    until_true has db-1 payments attempts 5
    has web-1 payments attempts 4
    gives 0 on web-1 log payments
    says "release 1 by $(id -un) via fleet: first rules" "fleet"
    until_true record_has web-2 'g("release") == 2 and g("refused", 0) == 0'
    record_has web-1 'g("release") == 1 and g("library")'
    point '"release":1,"percent":100'
    until_true has web-2 payments attempts 4
}

@test "what the host's operator keeps for the host wins" {
    start_etcd
    new_host web-1 --local mail
    policies 3 mail own left | on web-1 apply - >/dev/null
    policies 4 payments mail letters left | on web-1 fleet push -
    follow web-1
    point '"release":1,"percent":100'
    until_true has web-1 payments attempts 4
    has web-1 mail attempts 3
    has web-1 own attempts 3
    has web-1 left attempts 4
    on web-1 set payments attempts=9 --for 1h >/dev/null
    policies 5 payments | on web-1 fleet push -
    point '"release":2,"percent":100'
    # A name that leaves the release is deleted if the fleet made it.
    until_true gives 3 on web-1 show letters
    has web-1 left attempts 4
    has web-1 own attempts 3
    has web-1 mail attempts 3
    has web-1 payments attempts 9
    until_true record_has web-1 'g("local") == "mail,payments" and g("release") == 2'
    on web-1 rollback payments --layer 2 >/dev/null
    has web-1 payments attempts 5
}

@test "a release that a host cannot read is refused, and the last good one stays" {
    start_etcd
    new_host web-1
    policies 4 | on web-1 fleet push -
    follow web-1
    point '"release":1,"percent":100'
    until_true has web-1 payments attempts 4
    ctl put /bide/release/0000000002 '{"format":2,"release":2}' >/dev/null
    point '"release":2,"before":1,"percent":100'
    until_true record_has web-1 'g("refused") == 2 and g("release") == 1 and "needs a newer bide" in g("fault")'
    has web-1 payments attempts 4
    grep -q "release 2 is refused: it needs a newer bide (format 2); policies stay" web-1.log
    gives 0 on web-1 fleet releases
    says "cannot be read by this bide"
    # So is one that does not fit to what this host has.
    printf '[own]\nextends = payments\n' | on web-1 apply - >/dev/null
    policies 4 other | on web-1 fleet push -
    point '"release":3,"before":1,"percent":100'
    until_true record_has web-1 'g("refused") == 3 and "payments" in g("fault")'
    has web-1 payments attempts 4
    gives 3 on web-1 show other
    # The host mends it itself once its operator has removed the reason.
    on web-1 delete own >/dev/null
    kill_now web-1
    follow web-1
    until_true has web-1 other attempts 4
    until_true record_has web-1 'g("release") == 3 and "refused" not in j'
}

@test "operators who push at the same time make one release each" {
    local i pids=()
    start_etcd
    new_host web-1
    for i in 1 2 3 4 5 6; do
        policies "$i" | on web-1 fleet push - --note "push $i" >"push.$i" 2>&1 &
        pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i"; done
    gives 0 on web-1 fleet releases --json
    json '[r["release"] for r in j["releases"]] == [6, 5, 4, 3, 2, 1]
        and sorted(r["note"] for r in j["releases"]) == ["push %d" % i for i in range(1, 7)]'
    gives 1 on web-1 fleet diff 6
    says "payments  attempts"
    gives 0 on web-1 fleet diff 6 6
    gives 3 on web-1 fleet diff 7
    says "release 7: there is no such release"
}

@test "nothing is pushed that apply would refuse" {
    start_etcd
    new_host web-1
    printf '[payments]\nattemps = 4\n' >bad.ini
    gives 5 on web-1 fleet push bad.ini
    says "bad.ini:2" "no such key" "nothing was pushed"
    printf '[payments]\nextends = elsewhere\n' >bad.ini
    gives 5 on web-1 fleet push bad.ini
    policies 4 >good.ini
    gives 0 on web-1 fleet push good.ini --dry-run
    says "nothing was pushed"
    gives 0 on web-1 fleet releases
    says "no releases yet"
}

@test "a host that leaves keeps its policies" {
    start_etcd
    new_host web-1
    policies 4 | on web-1 fleet push -
    follow web-1
    point '"release":1,"percent":100'
    until_true has web-1 payments attempts 4
    until_true record_has web-1 'g("release") == 1'
    kill_now web-1
    gives 0 on web-1 fleet leave
    has web-1 payments attempts 4
    [ -z "$(ctl get /bide/host/web-1)" ]
    gives 1 on web-1 fleet follow
    says "this host has not joined one" "bide fleet join URL..."
    gives 1 on web-1 fleet leave
}

@test "more than etcd takes as one value is split" {
    local parts
    start_etcd
    new_host web-1
    python3 -S -c 'for i in range(20000):
    print(f"[policy-{i}]\nattempts = 7\nwait_initial = 10ms\nwait_max = 500ms\nretry_on = http.503")' >many.ini
    gives 0 on web-1 fleet push many.ini
    says "and 19960 more" "release 1: 20000 policies, 20000 changed"
    parts=$(ctl get --prefix --keys-only /bide/part/ | grep -c .)
    [ "$parts" -ge 2 ]
    follow web-1
    point '"release":1,"percent":100'
    until_true has web-1 policy-19999 attempts 7
    # Parts that are missing are noticed.
    ctl del --prefix /bide/part/ >/dev/null
    gives 5 on web-1 fleet diff 1
    says "parts of its text are missing or wrong"
}

@test "the examples of bide(7) work" {
    local text
    start_etcd
    on default init --live "$T/live" >/dev/null
    mkdir policies bin
    policies 5 >policies/shop.ini
    ln -s "$BIDE" bin/bide
    text=$(sed -n '/^.SH FLEETS/,/^.SH PYTHON/p' "$TOP/cli/man/bide.7" |
        sed -n '/^.nf/,/^.fi/{/^.nf/d;/^.fi/d;s/\\-/-/g;s/\\(dq/"/g;p}' |
        grep -v -e '^systemctl' -e 'fleet follow')
    text=${text//"http://etcd-1:2379 http://etcd-2:2379"/$ETCD}
    text=${text//etcdctl /etcdctl --endpoints $ETCD }
    text=${text//"fleet diff 1"/"fleet diff 1 || test \$? = 1"}
    text=${text//"'failed<2%'"/"'failed<2%' || test \$? = 3"} # no host has reported
    gives 0 env PATH="$T/bin:$PATH" BIDE_DIR="$T/default" bash -exc "$text"
    says "release 1: 1 policy" "Role operator updated"
}

@test "the examples of the fleet's commands work" {
    local name line url
    start_etcd
    on default init --live "$T/live" >/dev/null
    policies 4 >shop.ini
    mkdir policies bin
    policies 5 >policies/shop.ini
    ln -s "$BIDE" bin/bide
    for name in join push releases diff rollout pause resume abort status hosts follow leave; do
        while read -r line; do
            line=${line//"http://etcd-1:2379"/$ETCD}
            line=${line//" http://etcd-2:2379"/}
            line=${line//" --dir /var/lib/bide"/}
            [ "$name" != push ] || line+=" && bide fleet push shop.ini"
            [ "$name" != follow ] || line="timeout 1 $line; [ \$? = 124 ] || exit 0"
            [ "$name" != diff ] || line+="; [ \$? -le 1 ]"
            [[ $name != @(rollout|pause|resume|abort|hosts) ]] || line+="; [ \$? != 2 ]" # no host has reported
            [ "$line" != "bide fleet leave" ] || line+=" && bide fleet join $ETCD"
            gives 0 env PATH="$T/bin:$PATH" BIDE_DIR="$T/default" bash -c "$line"
        done < <("$BIDE" help fleet "$name" | sed -n '/^Examples:/,$p' | sed 1d)
    done
}
