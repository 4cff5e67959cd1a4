/* libFuzzer: any bytes are a good file or have faults.  A good file compiles or
 * has faults, and its canonical text reads back as the same policies. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static int
find_in_list(void *arg, const char *name, const struct policy_text **out)
{
    const struct policy_list *list = arg;

    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(policy_text_name(list->list[i]), name) == 0) {
            *out = list->list[i];
            return 0;
        }
    }
    return BIDE_ENOPOLICY;
}

static void
compile(struct policy_list *list, const struct policy_text *t)
{
    struct faults faults = {0};
    struct policy *p = NULL;
    char summary[128];
    int rc = policy_compile(t, find_in_list, list, "fuzz", &p, &faults);

    assert(rc == 0 || rc == BIDE_EINPUT);
    assert((rc != 0) == faults_any(&faults));
    if (rc == 0) {
        policy_summary(p, summary, sizeof(summary));
        assert(strlen(summary) > 0);
    }
    policy_free(p);
    faults_free(&faults);
}

static void
write_and_read_again(const struct policy_text *t)
{
    struct policy_list again = {0, NULL};
    char *text = policy_text_write(t), *second;

    assert(text);
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        assert(strcspn(line, "\n") <= POLICY_LINE_MAX);
    }
    assert(policy_read("fuzz", text, strlen(text), &again, NULL) == 0);
    assert(again.count == 1);
    assert(policy_text_same(t, again.list[0]));
    second = policy_text_write(again.list[0]);
    assert(second && strcmp(text, second) == 0);
    free(second);
    free(text);
    policy_list_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct policy_list list = {0, NULL};
    struct faults faults = {0};
    int rc = policy_read("fuzz", (const char *)bytes, length, &list, &faults);

    assert(rc == 0 || rc == BIDE_EINPUT);
    assert((rc != 0) == faults_any(&faults));
    assert((rc == 0) == (list.count > 0));
    for (size_t i = 0; i < list.count; i++) {
        compile(&list, list.list[i]);
        write_and_read_again(list.list[i]);
    }
    policy_list_free(&list);
    faults_free(&faults);
    return 0;
}
