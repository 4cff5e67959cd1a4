/* The rollout pointer: who is in a stage; documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bide.h>
#include "fleet/document.h"
#include "fleet/etcd.h"
#include "fleet/pointer.h"

static void
a_stage_has_named_hosts_and_labels(void **state)
{
    static const struct {
        const char *name, *labels, *hosts, *label;
        uint32_t percent, wants;
    } rows[] = {
        {"web-1", "", "web-1", "", 0, 2},
        {"web-1", "", "web-2,web-1", "", 0, 2},
        {"web-1", "", "web-10,xweb-1", "", 0, 1},
        {"web-1", "", "", "", 0, 1},
        {"web-1", "env=prod,role=db", "", "role=db", 0, 2},
        {"web-1", "role=dbx", "", "role=db", 0, 1},
        {"web-1", "", "", "", 100, 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct host_setup h = {.machine = "0"};
        struct pointer p = {
            .release = 2, .before = 1, .percent = rows[i].percent};

        strcpy(h.name, rows[i].name);
        strcpy(h.labels, rows[i].labels);
        strcpy(p.hosts, rows[i].hosts);
        strcpy(p.label, rows[i].label);
        assert_int_equal(pointer_wants(&p, h.name, h.machine, h.labels),
                         rows[i].wants);
    }
}

static uint32_t
count_in(uint32_t release, uint32_t percent, uint8_t in[1000])
{
    struct pointer p = {.release = release, .percent = percent};
    struct host_setup h = {.name = "x"};
    uint32_t count = 0;

    for (int i = 0; i < 1000; i++) {
        snprintf(h.machine, sizeof(h.machine), "%08x", 77 * i);
        in[i] = pointer_wants(&p, h.name, h.machine, h.labels) == release;
        count += in[i];
    }
    return count;
}

static void
a_percent_is_a_share_that_only_grows(void **state)
{
    uint8_t few[1000], more[1000], other[1000];
    int moved = 0;

    (void)state;
    assert_in_range(count_in(7, 10, few), 60, 140);
    assert_in_range(count_in(7, 50, more), 440, 560);
    assert_in_range(count_in(8, 10, other), 60, 140);
    assert_int_equal(count_in(7, 0, other), 0);
    count_in(8, 10, other);
    for (int i = 0; i < 1000; i++) {
        assert_true(!few[i] || more[i]);
        moved += few[i] != other[i];
    }
    assert_true(moved > 50); /* other hosts are first the next time */
}

static int
read_text(const char *text, struct pointer *out, char *why)
{
    struct etcd_pair pair = {.value = (char *)(uintptr_t)text,
                             .length = strlen(text),
                             .modified = 9};

    return pointer_read(&pair, out, why);
}

static void
what_is_written_can_be_read(void **state)
{
    struct pointer p = {.release = 12,
                        .before = 11,
                        .hosts = "a,b",
                        .percent = 10,
                        .every_ms = UINT64_C(1) << 40,
                        .paused = true,
                        .note = "\"quoted\" \\ \xc3\xa9"};
    struct pointer got;
    char why[DOCUMENT_WHY], *text = pointer_write(&p);

    (void)state;
    assert_int_equal(read_text(text, &got, why), 0);
    p.modified = 9;
    assert_memory_equal(&got, &p, sizeof(p));
    free(text);
}

static void
a_wrong_document_is_refused_and_says_why(void **state)
{
    static const char *const rows[][2] = {
        {"", "not a document"},
        {"[]", "not a document"},
        {"{\"release\":1}", "not a document"},
        {"{\"format\":2}", "needs a newer bide (format 2)"},
        {"{\"format\":1,\"release\":-1}", "release is not a number"},
        {"{\"format\":1,\"release\":4294967296}", "release is not a number"},
        {"{\"format\":1,\"release\":\"1\"}", "release is not a number"},
        {"{\"format\":1,\"percent\":101}", "percent is above 100"},
        {"{\"format\":1,\"note\":\"a\\nb\"}", "note is not a line"},
        {"{\"format\":1,\"note\":\"\\u001b[2J\"}", "note is not a line"},
        {"{\"format\":1,\"paused\":1}", "paused is not true or false"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct pointer got = {.release = 5};
        char why[DOCUMENT_WHY];

        assert_int_equal(read_text(rows[i][0], &got, why), BIDE_EINPUT);
        assert_non_null(strstr(why, rows[i][1]));
        assert_int_equal(got.release, 5);
    }
}

static void
unknown_members_are_left_alone(void **state)
{
    struct pointer got;
    char why[DOCUMENT_WHY];

    (void)state;
    assert_int_equal(
        read_text("{\"format\":1,\"release\":3,\"new\":{}}", &got, why), 0);
    assert_int_equal(got.release, 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stage_has_named_hosts_and_labels),
        cmocka_unit_test(a_percent_is_a_share_that_only_grows),
        cmocka_unit_test(what_is_written_can_be_read),
        cmocka_unit_test(a_wrong_document_is_refused_and_says_why),
        cmocka_unit_test(unknown_members_are_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
