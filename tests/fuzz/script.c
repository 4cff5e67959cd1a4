/* Scripts of `bide simulate`, and what the rules make of them: never a crash, a
 * hang or a leak, whatever stands there. */
#include <stdlib.h>
#include <string.h>

#include "simulate/simulate.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* Attempts are few and the events of one input counted, so that an input ends. */
static int
count(void *arg, const struct simulate_event *e)
{
    (void)e;
    return ++*(int *)arg > 10000;
}

static struct policy_text *
rules(void)
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
        t = rules();
    }
    if (script_read("-", (const char *)bytes, length, &s, &faults) == 0) {
        simulate_script(t, NULL, NULL, s, length % 11 / 10.0, count, &events,
                        &faults);
    } else if (!faults_any(&faults)) {
        abort(); /* refused without a reason */
    }
    script_free(s);
    faults_free(&faults);
    return 0;
}
