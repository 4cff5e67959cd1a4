// Built and run by installed.sh: an exception leaves an attempt.
#include <bide.hpp>

#include <stdexcept>

static int
fail(const char *what)
{
    throw std::runtime_error(what);
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
        bide_call_begin(call.get(), p);
    }
    bide_stats stats;

    bide_read_stats(p, &stats);
    return attempts == 6 && caught == 4 && stats.cancelled == 5 && stats.succeeded == 1 && bide_close(b) == 0 ? 0 : 4;
}
