#!/usr/bin/env bats
# bide fleet follow DIR: it needs no etcd.

load fleet

setup_file() {
    "$BIDE" help fleet >/dev/null 2>&1 || skip_all "fleet is left out: libcurl is missing"
}

# mirror: makes web-1, and lets it follow ./policies.
mirror() {
    on web-1 init --live "$T/live" >/dev/null
    run_in_background web-1 "$BIDE" --dir "$T/web-1" fleet follow policies
}

@test "a directory is applied whole or not at all" {
    mkdir policies
    policies 4 payments mail >policies/a.ini
    policies 3 own >own.ini
    mirror
    on web-1 apply own.ini >/dev/null
    until_true has web-1 payments attempts 4
    policies 5 letters >policies/b.ini
    echo "[payments]
attempts =" >policies/a.ini
    until_true grep -q "policies/a.ini:2:" web-1.log
    has web-1 payments attempts 4
    gives 3 on web-1 show letters
    policies 6 payments >policies/a.ini
    until_true has web-1 payments attempts 6
    # What left the directory is deleted; what the host has itself stays.
    gives 3 on web-1 show mail
    has web-1 own attempts 3
    has web-1 letters attempts 5
    gives 0 on web-1 log payments
    says "from policies via fleet"
    # An empty directory is a checkout in progress, not a wish.
    rm policies/*
    until_true grep -q "no .ini files" web-1.log
    has web-1 letters attempts 5
}

@test "a ConfigMap is followed through its ..data link" {
    mkdir -p policies/..1
    policies 4 >policies/..1/shop.ini
    ln -s ..1 policies/..data
    ln -s ..data/shop.ini policies/shop.ini
    mirror
    until_true has web-1 payments attempts 4
    mkdir policies/..2
    policies 5 >policies/..2/shop.ini
    ln -s ..2 policies/..data_tmp
    mv -T policies/..data_tmp policies/..data
    rm -r policies/..1
    until_true has web-1 payments attempts 5
    gives 0 on web-1 log payments --json
    json '[c["version"] for c in j["changes"]] == [2, 1]'
}

@test "nothing is read while Git changes the files" {
    mkdir -p tree/.git tree/policies
    ln -s tree/policies policies
    policies 4 >policies/shop.ini
    mirror
    until_true has web-1 payments attempts 4
    touch tree/.git/index.lock
    policies 5 >policies/shop.ini
    sleep 3 # three looks
    has web-1 payments attempts 4
    rm tree/.git/index.lock
    until_true has web-1 payments attempts 5
}
