/* Fuzzes the scripts of `bide simulate` and their simulation: no input may cause
 * a crash, a hang or a leak. */
#include <stdlib.h>
#include <string.h>

#include "simulate/simulate.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* Ends the simulation after 10,000 events, so that every input ends. */
static int
count_event(void *arg, const struct simulate_event *e)
{
    (void)e;
    return ++*(int *)arg > 10000;
}

static struct policy_text *
make_rules(void)
{
    static const char text[] =
        "[case]\nattempts = 4\nretry_on = any\nbreaker = on\n"
        "breaker_min_calls = 2\nbudget = own\nbudget_capacity = 3\n"
        "budget_cost = 1\n";
    struct policy_list list = {0};
    struct faults faults = {0};
    struct policy_text *t;

    if (policy_read("case", text, sizeof(text) - 1, &list, &faults) != 0) {
        abort();
    }
    t = policy_text_copy(list.list[0]);
    policy_list_free(&list);
    return t;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct policy_text *t;
    struct script *s = NULL;
    struct faults faults = {0};
    int events = 0;

    if (!t) {
        t = make_rules();
    }
    if (script_read("-", (const char *)bytes, length, &s, &faults) == 0) {
        simulate_script(t, NULL, NULL, s, length % 11 / 10.0, count_event,
                        &events, &faults);
    } else if (!faults_any(&faults)) {
        abort(); /* refused without a reason */
    }
    script_free(s);
    faults_free(&faults);
    return 0;
}
