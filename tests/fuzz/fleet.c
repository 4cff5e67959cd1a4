/* libFuzzer: what etcd answers, and the documents of a fleet.  Whatever is
 * accepted is written and read again, unchanged. */
#include <stdlib.h>
#include <string.h>

#include "fleet/document.h"
#include "fleet/etcd.h"
#include "fleet/gateway.h"
#include "fleet/pointer.h"
#include "fleet/release.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void
check_pointer(const struct etcd_pair *pair)
{
    struct pointer first, second;
    struct etcd_pair again = {.modified = pair->modified};
    char why[DOCUMENT_WHY] = "";

    if (pointer_read(pair, &first, why)) {
        if (!*why) {
            abort();
        }
        return;
    }
    pointer_wants(&first, "x", "00", "k=v");
    again.value = pointer_write(&first);
    again.length = again.value ? strlen(again.value) : 0;
    if (again.value && (pointer_read(&again, &second, why) ||
                        memcmp(&first, &second, sizeof(first)) != 0)) {
        abort();
    }
    free(again.value);
}

static void
check_record(const char *bytes, size_t length)
{
    struct host_record first, second;
    char why[DOCUMENT_WHY], *text;

    if (host_record_read(bytes, length, &first, why) == 0) {
        text = host_record_write(&first);
        if (text && (host_record_read(text, strlen(text), &second, why) ||
                     memcmp(&first, &second, sizeof(first)) != 0)) {
            abort();
        }
        free(text);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct etcd_pair pair = {
        .value = malloc(length + 1), .length = length, .modified = 1};
    struct etcd_reply reply;
    struct release release;
    char why[DOCUMENT_WHY];

    if (!pair.value) {
        return 0;
    }
    if (length) {
        memcpy(pair.value, bytes, length);
    }
    pair.value[length] = '\0';
    if (gateway_read(pair.value, length, &reply, why) == 0) {
        for (size_t i = 0; i < reply.count; i++) {
            if (reply.list[i].value) {
                check_pointer(&reply.list[i]);
            }
        }
        etcd_reply_free(&reply);
    }
    check_pointer(&pair);
    check_record(pair.value, length);
    release_read(pair.value, length, &release, why);
    free(pair.value);
    return 0;
}
