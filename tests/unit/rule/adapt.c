/* Rates that adapt: the rows of tests/vectors/adaptive.csv, and a host in
 * virtual time. */
#include <math.h>

#include "compiled.h"

#include "rule/adapt.h"
#include "rule/draw.h"
#include "rule/rate.h"

#define AWS "rate=own\nrate_limit=1000000/s\nrate_adapt=aws"
#define CUBIC "rate=own\nrate_limit=1000000/s\nrate_adapt=cubic\nrate_wait=1h"

static bool
is_near(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fmax(1, fabs(b));
}

static void
the_rate_grows_as_the_cube_of_the_time(void **state)
{
    static const struct {
        double since_s, rate;
    } rows[] = {{0, 7}, {1, 9.64893601}, {2, 10.00003085}, {5, 21.26626835}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_true(is_near(adapt_grown(10, rows[i].since_s), rows[i].rate));
    }
}

/* Each line is a response: run, at_s, throttled, measured, fill, and how long
 * the next call waits in ms. */
static void
each_response_has_the_result_of_the_sdk(void **state)
{
    FILE *f = fopen(TESTS_DIR "/vectors/adaptive.csv", "r");
    struct policy *p = compiled(AWS);
    struct rate_words w = {0};
    char line[256], run[32] = "", name[32], wait[32];
    double at_s, measured, fill;
    int throttled, lines = 0;
    uint64_t at = 0;

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        if (*line == '#' ||
            sscanf(line, "%31[^,],%lf,%d,%lf,%lf,%31s", name, &at_s, &throttled,
                   &measured, &fill, wait) != 6) {
            continue;
        }
        if (strcmp(name, run) != 0) {
            strcpy(run, name);
            memset(&w, 0, sizeof(w));
            assert_true(rate_take(&p->rate, &w, 1, MANDATORY, 0, &at));
        }
        lines++;
        at = (uint64_t)llround(at_s * 1e9);
        rate_report(&p->rate, &w, throttled, 0, at);
        if (!is_near(adapt_read(&w.measured, -1), measured) ||
            !is_near(adapt_read(&w.pace, -1), fill)) {
            fail_msg("%s: %.9g, %.9g", line, adapt_read(&w.measured, -1),
                     adapt_read(&w.pace, -1));
        }
        if (strcmp(wait, "none") != 0) {
            double level = rate_look(&p->rate, &w, at).tokens;

            /* rate_take looks again within 250 ms. */
            if (fabs((1 - level) / fill * 1000 - atof(wait)) > 0.001) {
                fail_msg("%s: waits %g", line, (1 - level) / fill * 1000);
            }
        }
    }
    fclose(f);
    assert_true(lines > 20);
    policy_free(p);
}

static void
nothing_waits_before_the_first_throttle(void **state)
{
    struct policy *p = compiled(CUBIC);
    struct rate_words w = {0};
    uint64_t at;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_true(rate_take(&p->rate, &w, 1, OPTIONAL, SECOND, &at));
        rate_report(&p->rate, &w, false, SECOND, SECOND);
    }
    assert_true(isinf(rate_look(&p->rate, &w, SECOND).per_s));
    rate_report(&p->rate, &w, true, SECOND, 2 * SECOND);
    assert_false(rate_take(&p->rate, &w, 1, MANDATORY, 2 * SECOND, &at));
    policy_free(p);
}

static void
a_rate_limit_holds_before_and_after_it(void **state)
{
    struct policy *p = compiled("rate=own\nrate_limit=10/s\nrate_adapt=cubic");
    struct rate_words w = {0};
    uint64_t at, now = SECOND;
    int through = 0;

    (void)state;
    assert_true(rate_look(&p->rate, &w, now).per_s == 10);
    for (int i = 0; i < 2000; i++, now += 10 * MS) {
        while (rate_take(&p->rate, &w, 1, MANDATORY, now, &at)) {
            rate_report(&p->rate, &w, i == 1000, now, now);
            through++;
        }
        assert_true(rate_look(&p->rate, &w, now).per_s <= 10);
        assert_true(through <= i / 10 + 21);
    }
    assert_in_range(through, 180, 221);
    policy_free(p);
}

static double
rate_after_20_throttles(const char *keys, uint64_t began_ns)
{
    struct policy *p = compiled(keys);
    struct rate_words w = {0};
    double rate;
    uint64_t at;

    rate_take(&p->rate, &w, 1, MANDATORY, 0, &at);
    for (uint64_t now = 0; now < 10 * SECOND; now += 10 * MS) {
        rate_report(&p->rate, &w, false, now, now);
    }
    for (int i = 0; i < 20; i++) {
        uint64_t now = 10 * SECOND + i * MS;

        rate_report(&p->rate, &w, true, began_ns ? began_ns : now, now);
    }
    rate = rate_look(&p->rate, &w, 11 * SECOND).per_s;
    policy_free(p);
    return rate;
}

static void
the_throttles_of_one_flight_cut_once(void **state)
{
    (void)state;
    assert_in_range(rate_after_20_throttles(CUBIC, 9990 * MS), 69, 72);
    assert_in_range(rate_after_20_throttles(AWS, 9990 * MS), 0, 1);
    /* Those of later flights cut again. */
    assert_in_range(rate_after_20_throttles(CUBIC, 0), 0, 1);
}

/* ---- a host in virtual time ---- */

enum { CALLERS_MAX = 50, SERVED_PER_S = 50 };
struct caller {
    uint64_t at_ns;    /* of its next event */
    uint64_t began_ns; /* its attempt runs */
    bool runs, throttled;
};

struct served {
    int good, bad; /* from 10 s on, in 60 s */
};

/* Runs callers that always want to call, against a server that has a bucket of
 * `burst` and answers after 20 to 60 ms. */
static struct served
run_host(const char *keys, size_t callers, double burst)
{
    struct policy *p = compiled(keys);
    struct rate_words w = {0};
    struct caller list[CALLERS_MAX] = {0};
    struct served out = {0};
    double left = burst;
    uint64_t settled = 0, n = 0;

    for (;;) {
        struct caller *c = list;
        uint64_t now;

        for (size_t i = 1; i < callers; i++) {
            c = list[i].at_ns < c->at_ns ? &list[i] : c;
        }
        now = c->at_ns;
        if (now >= 70 * SECOND) {
            policy_free(p);
            return out;
        }
        if (c->runs) {
            rate_report(&p->rate, &w, c->throttled, c->began_ns, now);
            c->runs = false;
        } else if (rate_take(&p->rate, &w, 1, MANDATORY, now, &c->at_ns)) {
            left = fmin(burst,
                        left + SERVED_PER_S * (double)(now - settled) / 1e9);
            settled = now;
            c->throttled = left < 1;
            left -= !c->throttled;
            out.good += now >= 10 * SECOND && !c->throttled;
            out.bad += now >= 10 * SECOND && c->throttled;
            c->runs = true;
            c->began_ns = now;
            c->at_ns =
                now + 20 * MS + draw_bits(1, 2, (uint32_t)n++) % (40 * MS);
        } else {
            assert_true(c->at_ns > now);
            c->at_ns += 60000; /* a timer is late */
        }
    }
}

static void
a_host_gets_almost_all_that_the_server_gives(void **state)
{
    static const size_t callers[] = {10, 20, 50};
    static const double bursts[] = {5, 50};

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct served s = run_host(CUBIC, callers[i / 2], bursts[i % 2]);
        double share = s.good / (60.0 * SERVED_PER_S);
        double refused = s.bad / (double)(s.good + s.bad);

        if (share < 0.95 || refused > 0.02) {
            fail_msg("%zu callers, burst %g: %.3f of the rate, %.3f throttled",
                     callers[i / 2], bursts[i % 2], share, refused);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_grows_as_the_cube_of_the_time),
        cmocka_unit_test(each_response_has_the_result_of_the_sdk),
        cmocka_unit_test(nothing_waits_before_the_first_throttle),
        cmocka_unit_test(a_rate_limit_holds_before_and_after_it),
        cmocka_unit_test(the_throttles_of_one_flight_cut_once),
        cmocka_unit_test(a_host_gets_almost_all_that_the_server_gives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
