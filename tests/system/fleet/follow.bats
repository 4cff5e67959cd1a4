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
