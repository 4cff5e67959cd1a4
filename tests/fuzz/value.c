/* libFuzzer: values of every key.  The canonical text of an accepted value must
 * be accepted again and stay the same. */
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void
check_value(const struct key *key, const char *value)
{
    char *first = NULL, *second = NULL;
    struct complaint c = {0};

    if (key_canonical(key, value, &first, &c) == 0) {
        if (key_canonical(key, first, &second, &c) != 0 ||
            strcmp(first, second) != 0) {
            abort();
        }
    } else if (!*c.why) {
        abort();
    }
    free(first);
    free(second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char *value;

    if (length < 1) {
        return 0;
    }
    value = malloc(length);
    if (!value) {
        return 0;
    }
    memcpy(value, bytes + 1, length - 1);
    value[length - 1] = '\0';
    check_value(&policy_keys[bytes[0] % policy_key_count], value);
    free(value);
    return 0;
}
