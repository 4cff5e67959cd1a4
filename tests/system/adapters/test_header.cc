// bide_test.h from C++, with a way to fail of its own.
#include <stdexcept>
#define BIDE_TEST_FAIL(text, file, line) throw std::runtime_error(text)
#include <bide.hpp>
#include <bide_test.h>

// Returns the text with which an expectation fails.
template <class Expectation> static std::string text_of(Expectation e)
{
    try {
        e();
    } catch (const std::runtime_error &failure) {
        return failure.what();
    }
    return "it is true";
}

int main()
{
    bide_test t;
    bide_call open;

    bide_test_open(&t, nullptr, "[pay]\nattempts = 2\nwait_initial = 1h\nwait_max = 1h\nwait_jitter = none\n");
    BIDE_TEST_PLAY(&t, bide_http(503, nullptr));
    t.took_ns = 5000000;
    if (bide_test_run(&t, "pay") != BIDE_EXHAUSTED || t.result.elapsed_ns != 3600010000000) {
        return 1;
    }
    bide_test_expect_story(&t, "http.503, 3600000ms, http.503: exhausted by attempts");
    if (text_of([&] { bide_test_expect_story(&t, "ok: succeeded"); }) !=
            "expected: ok: succeeded\n     was: http.503, 3600000ms, http.503: exhausted by attempts" ||
        text_of([&] { bide_test_expect(&t, t.waits == 2); }) !=
            "expected: t.waits == 2\n     was: http.503, 3600000ms, http.503: exhausted by attempts" ||
        text_of([&] { bide_test_run(&t, "No Name"); }).find("not a name") != 0) {
        return 2;
    }
    bide_call_init(&open);
    bide_policy *p;
    if (bide_lookup(t.bide, "pay", nullptr, &p) || bide_step_begin(&open, p, nullptr) != BIDE_GO ||
        text_of([&] { bide_test_close(&t); }) != "a call is still open") {
        return 3;
    }
    bide_call_abandon(&open);
    return text_of([&] { bide_test_open(&t, nullptr, "[pay]\nattempts = x\n"); }).find("declared:2:") == 0 &&
                   bide_close(t.bide) == 0
               ? 0
               : 4;
}
