#!/usr/bin/env bats
# bide_test.h: tests of programs that use bide.
load programs

@test "a service is tested with cmocka in no time, and touches no registry" {
    needs_module cmocka
    compile gcc "$T/service_test" -std=c11 "$TOP/tests/examples/service_test.c" -lcmocka
    gives 0 env BIDE_DIR="$T/none" "$T/service_test"
    says "PASSED  ] 3 test(s)"
    [ ! -e "$T/none" ]
}

@test "a failed expectation is a failed test of cmocka, with the story of the call" {
    needs_module cmocka
    sed 's/200ms, ok: succeeded/300ms, ok: succeeded/' "$TOP/tests/examples/service_test.c" >wrong.c
    compile gcc "$T/wrong" -std=c11 wrong.c -lcmocka
    gives 1 "$T/wrong"
    says "expected: http.503, 2000ms, errno.ETIMEDOUT, 300ms, ok: succeeded" \
        "     was: http.503, 2000ms, errno.ETIMEDOUT, 200ms, ok: succeeded" \
        "FAILED  ] a_busy_server_is_asked_again" "PASSED  ] 2 test(s)"
}

@test "without cmocka a failed expectation prints the reason and aborts" {
    cat >alone.c <<'END'
#include <bide_test.h>

int
main(void)
{
    struct bide_test t;

    bide_test_open(&t, NULL, NULL);
    bide_test_run(&t, "any");
    bide_test_expect_story(&t, "ok: succeeded");
    bide_test_expect_story(&t, "ok: rejected by rejected");
    return 0;
}
END
    compile gcc "$T/alone" -std=c11 alone.c
    run "$T/alone"
    [ "$status" -ne 0 ]
    says "alone.c:11: expected: ok: rejected by rejected" "was: ok: succeeded"
}

@test "policies of a registry are tested as they are, and the registry is only read" {
    shop
    cat >policies.c <<'END'
#include <bide_test.h>

int
main(int argc, char **argv)
{
    struct bide_test t;

    (void)argc;
    bide_test_open(&t, argv[1], NULL);
    BIDE_TEST_PLAY(&t, bide_errno(110));
    bide_test_run(&t, "pay");
    bide_test_expect(&t, t.result.attempts == 4 && t.waits == 3);
    bide_test_close(&t);
    return 0;
}
END
    compile gcc "$T/policies" -std=c11 policies.c
    gives 0 "$T/policies" "$DIR"
    gives 0 bide stats pay --json
    json "sum(p['attempts'] for p in j['policies']) == 0"
}

@test "from C++, with another way to fail" {
    needs g++
    compile g++ "$T/plus" -std=c++17 "$TOP/tests/system/adapters/test_header.cc"
    gives 0 "$T/plus"
}
