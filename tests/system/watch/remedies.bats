#!/usr/bin/env bats
# Each fault is made in a fresh registry.  doctor must report it; the command that
# it prints must mend it.
load ../registry
load remedies

GATES=2686976 # of the first cell, in the live file

live_file() {
    echo "$T"/live/*.live
}

# unannounced COMMAND...: runs the command as a writer that is killed after its
# commit.
unannounced() {
    mv "$T/live" "$T/away"
    bide "$@" >/dev/null
    rm -rf "$T/live"
    mv "$T/away" "$T/live"
}

@test "a gate that disagrees with the registry" {
    shop
    bide pause pay >/dev/null
    gives 75 bide exec pay -- true
    # The gate of another time: calls go again.
    poke "$(live_file)" $GATES 0000
    gives 0 bide exec pay -- true || true
    poke "$(live_file)" $GATES 0000
    mends "calls do not follow the registry: pay"
    gives 75 bide exec pay -- true
    # A commit that is still to come, and a policy that seems to be undefined.
    poke "$(live_file)" $GATES 2000ffffffffff00
    mends "calls do not follow the registry: pay"
    # Saying it again repairs it too.
    poke "$(live_file)" $GATES 0000
    gives 0 bide pause pay
    gives 0 bide doctor
    gives 75 bide exec pay -- true
}

@test "changes that were committed and not announced" {
    shop
    bide exec pay -- true
    unannounced pause pay
    mends "a change was stored but not announced: pay"
    bide resume pay >/dev/null
    unannounced delete pay
    mends "a change was stored but not announced: pay"
    gives 0 bide doctor
    says "not defined: pay"
    # The next change announces the earlier one too.
    bide exec mail -- true
    unannounced pause mail
    bide set order attempts=9 >/dev/null
    gives 0 bide doctor
    gives 75 bide exec mail -- true
}
