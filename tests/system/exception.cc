// Built and run by installed.sh: an exception leaves an attempt.
#include <bide.hpp>

#include <stdexcept>

static int
fail(const char *what)
{
    throw std::runtime_error(what);
}

static bide_outcome
succeed(const bide_attempt &)
{
    return bide_ok();
}

int
main()
{
    bide *b;
    bide_policy *p;
    int attempts = 0, caught = 0;

    if (bide_open("/nonexistent", 0, &b) ||
        bide_declare(b, "[shop]\nattempts = 3\nwait = none\nretry_on = any\n") ||
        bide_lookup(b, "shop", nullptr, &p)) {
        return 1;
    }
    for (unsigned at = 1; at <= 3; at++) {
        try {
            bide_scoped_call call;

            call.run(p, [&](const bide_attempt &a) {
                attempts++;
                return a.number == at ? bide_errno(fail("left")) : bide_app("x");
            });
            return 2;
        } catch (const std::runtime_error &) {
            caught++;
        }
    }
    {
        bide_scoped_call call; // used again after an exception

        try {
            call.run(p, [](const bide_attempt &) { return bide_errno(fail("left")); });
        } catch (const std::runtime_error &) {
            caught++;
        }
        if (call.run(p, [](const bide_attempt &) { return bide_ok(); }) != BIDE_SUCCEEDED ||
            call.result().attempts != 1) {
            return 3;
        }
        // Its end is left to the destructor.
        bide_step_begin(call.get(), p, nullptr);
    }
    bide_call tried = {};
    bide_scoped_call left;

    try { // an exception that leaves a run ends its call at once
        left.run(p, [](const bide_attempt &) { return bide_errno(fail("left")); });
    } catch (const std::runtime_error &) {
        caught++;
    }
    if (left.result().verdict != BIDE_CANCELLED || bide_call_policy(left.get()) ||
        left.run(p, succeed) != BIDE_SUCCEEDED) {
        return 6;
    }

    try {
        BIDE_TRY(&tried, p)
        {
            fail("left");
        }
    } catch (const std::runtime_error &) {
        caught++;
    }
    for (int i = 0; i < 2; i++) {
        BIDE_TRY(&tried, p)
        {
            if (i == 0) {
                break;
            }
            bide_call_outcome(&tried, bide_ok());
        }
        if (bide_call_result(&tried)->verdict != (i == 0 ? BIDE_CANCELLED : BIDE_SUCCEEDED)) {
            return 5;
        }
    }
    bide_stats stats;

    bide_read_stats(p, sizeof(stats), &stats);
    return attempts == 6 && caught == 6 && stats.cancelled == 8 && stats.succeeded == 3 && bide_close(b) == 0 ? 0 : 4;
}
