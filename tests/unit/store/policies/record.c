#include "policies.h"

#include "store/file/seal.h"
#include "base/crc32c.h"
#include "store/policies/record_key.h"

/* Returns the record of the example in record.c. */
static struct record
example_record(void)
{
    static char who[] = "ops", note[] = "", text[] = "[pay]\n";

    return (struct record){
        .name = "pay",
        .version = 3,
        .sequence = 0x1122,
        .when_ns = UINT64_C(0x0102030405060708),
        .uid = 1000,
        .who = who,
        .note = note,
        .text = text,
    };
}

static void
the_bytes_are_those_of_the_example(void **state)
{
    static const uint8_t head[] = {3,    0,   0,   0,   0x22, 0x11, 0,
                                   0,    0,   0,   0,   0, /* sequence */
                                   3,    0,   0,   0,   1,    0,    0,
                                   0,                 /* version, parts */
                                   'p',  'a', 'y', 0, /* name */
                                   8,    7,   6,   5,   4,    3,    2,
                                   1,    0,   0,   0,   0,    0,    0,
                                   0,    0, /* times */
                                   3,    0,   0,   0,   0,    0,    0,
                                   0, /* version, unset */
                                   0xe8, 3,   0,   0,   0,    0,    0,
                                   0, /* uid */
                                   'o',  'p', 's', 0,   0,    0,    '[',
                                   'p',  'a', 'y', ']', '\n', 0};
    struct record r = example_record();
    uint32_t crc;
    size_t length;
    void *bytes;

    (void)state;
    assert_int_equal(record_write(&r, &bytes, &length), 0);
    assert_int_equal(length, 73);
    assert_memory_equal((uint8_t *)bytes + 4, head, sizeof(head));
    crc = crc32c(0, head, sizeof(head));
    assert_memory_equal(bytes, &crc, 4);
    free(bytes);
}

static void
the_checksum_is_crc_32c(void **state)
{
    static const struct {
        const char *bytes;
        uint32_t crc;
    } cases[] = {{"", 0}, {"a", 0xC1D04330}, {"123456789", 0xE3069283}};
    uint8_t zeros[32] = {0}, rising[32];
    char text[100];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(crc32c(0, cases[i].bytes, strlen(cases[i].bytes)),
                         cases[i].crc);
    }
    for (size_t i = 0; i < sizeof(rising); i++) {
        rising[i] = (uint8_t)i;
    }
    assert_int_equal(crc32c(0, zeros, 32), 0x8A9136AA); /* RFC 3720, B.4 */
    assert_int_equal(crc32c(0, rising, 32), 0x46DD794E);
    /* The checksum of two parts equals that of the whole, for each cut. */
    memset(text, 'q', sizeof(text));
    for (size_t cut = 0; cut <= sizeof(text); cut++) {
        assert_int_equal(
            crc32c(crc32c(0, text, cut), text + cut, sizeof(text) - cut),
            crc32c(0, text, sizeof(text)));
    }
}

static void
a_written_record_is_read_back(void **state)
{
    (void)state;
    for (uint32_t version = 1; version < 200; version++) {
        struct record in = policy("some-name", version), out;
        size_t length;
        void *bytes;

        in.sequence = version * 3;
        assert_int_equal(record_write(&in, &bytes, &length), 0);
        assert_int_equal(record_read(bytes, length, "some-name", &out), 0);
        assert_right(&out, version);
        assert_int_equal(out.sequence, in.sequence);
        assert_int_equal(out.part_count, 1);
        record_free(&out);
        assert_int_equal(record_read(bytes, length, "some-nam", &out),
                         BIDE_EDAMAGED);
        free(bytes);
    }
}

static void
a_flipped_bit_or_another_length_is_damage(void **state)
{
    struct record r = example_record(), out = {.version = 99};
    uint8_t *bytes, more[256];
    size_t length;
    void *made;

    (void)state;
    assert_int_equal(record_write(&r, &made, &length), 0);
    bytes = made;
    for (size_t i = 0; i < length * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(record_read(bytes, length, NULL, &out), BIDE_EDAMAGED);
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t i = 0; i < length; i++) {
        assert_int_equal(record_read(bytes, i, NULL, &out), BIDE_EDAMAGED);
    }
    memcpy(more, bytes, length);
    more[length] = 0;
    assert_int_equal(record_read(more, length + 1, NULL, &out), BIDE_EDAMAGED);
    assert_int_equal(out.version, 99); /* untouched */
    free(made);
}

/* The checksum is right, but record_write never makes such a record. */
static void
impossible_values_are_damage_despite_a_right_checksum(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } cases[] = {
        {4, 2},     {4, 4},           /* format */
        {5, 2},     {5, 1},           /* deleted: 2; with layers */
        {6, 1},                       /* zero */
        {16, 3},    {16, 5},          /* version: not of the newest part */
        {20, 0},    {20, 2}, {20, 4}, /* part_count */
        {23, 1},                      /* of 16 million */
        {24, 0},                      /* no name */
        {27, 'x'},                    /* a long one */
        {36, 1},                      /* the base ends */
        {44, 0},                      /* version 0 of a part */
        {44, 5},                      /* later than the record */
        {48, 1},                      /* the base is unset */
        {55, 0xff},                   /* uid 4294967295, which is no user */
        {56, 1},                      /* zero */
        {65, 'k'},                    /* the base has a key */
        {72, 'x'},                    /* no NUL where one belongs */
        {81, 0},                      /* the layer has no end */
        {89, 5},                      /* later than the record */
        {93, 1},                      /* unset, with a value */
        {93, 2},                      /* unset: 2 */
        {97, 0xff},                   /* no user */
        {110, 0},                     /* the layer has no key */
        {137, 3},                     /* before the layer before it */
    };
    struct record_part parts[] = {
        {2, 1, 0, 0x00ffffff, "ops", "", "", "[pay]\n"},
        {4, 2, 9, 0xffffff00, "ann", "", "attempts", "9"},
        {4, 2, 9, 0, "ann", "", "wait_max", NULL},
    };
    struct record r = example_record(), out;
    size_t length;
    void *made;

    (void)state;
    r.parts = parts;
    r.part_count = sizeof(parts) / sizeof(*parts);
    r.version = 4;
    assert_int_equal(record_write(&r, &made, &length), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t *bytes = malloc(length);
        uint32_t crc;

        memcpy(bytes, made, length);
        bytes[cases[i].at] = cases[i].value;
        crc = crc32c(0, bytes + 4, length - 4);
        memcpy(bytes, &crc, 4);
        assert_int_equal(record_read(bytes, length, NULL, &out), BIDE_EDAMAGED);
        free(bytes);
    }
    free(made);
}

static void
a_record_that_could_not_be_read_is_not_written(void **state)
{
    char who[RECORD_WHO_MAX + 2], one[] = "x";
    struct record r;
    size_t length = 3;
    void *bytes = one;

    (void)state;
    memset(who, 'w', sizeof(who) - 1);
    who[RECORD_WHO_MAX + 1] = '\0';
    r = example_record();
    r.who = who;
    assert_int_equal(record_write(&r, &bytes, &length), BIDE_EINVAL);
    r = example_record();
    r.version = 0;
    assert_int_equal(record_write(&r, &bytes, &length), BIDE_EINVAL);
    r = example_record();
    r.name[0] = '\0';
    assert_int_equal(record_write(&r, &bytes, &length), BIDE_EINVAL);
    memset(r.name, 'n', sizeof(r.name)); /* without an end */
    assert_int_equal(record_write(&r, &bytes, &length), BIDE_EINVAL);
    r = example_record();
    r.deleted = true;
    assert_int_equal(record_write(&r, &bytes, &length), BIDE_EINVAL);
    r = example_record();
    r.note = NULL;
    assert_int_equal(record_write(&r, &bytes, &length), BIDE_EINVAL);
    r = example_record();
    r.uid = UINT32_MAX;
    assert_int_equal(record_write(&r, &bytes, &length), BIDE_EINVAL);
    assert_ptr_equal(bytes, one);
    assert_int_equal(length, 3);
    r = example_record();
    who[RECORD_WHO_MAX] = '\0';
    r.who = who;
    assert_int_equal(record_write(&r, &bytes, &length), 0);
    free(bytes);
}

static void
keys_sort_in_the_order_of_their_numbers(void **state)
{
    static const uint32_t versions[] = {1, 2, 255, 256, 65536, UINT32_MAX};
    uint8_t a[RECORD_KEY_MAX], b[RECORD_KEY_MAX];
    size_t length;

    (void)state;
    for (size_t i = 0; i + 1 < sizeof(versions) / sizeof(*versions); i++) {
        length = record_version_key("pay", versions[i], a);
        assert_int_equal(length, 8);
        record_version_key("pay", versions[i + 1], b);
        assert_true(memcmp(a, b, length) < 0);
        assert_int_equal(record_key_version("pay", a, length), versions[i]);
        assert_int_equal(record_key_version("pa", a, length), 0);
        assert_int_equal(record_key_version("pay", a, length - 1), 0);
        length = record_sequence_key(versions[i], a);
        record_sequence_key(versions[i + 1], b);
        assert_true(memcmp(a, b, length) < 0);
        assert_int_equal(record_key_sequence(a, length), versions[i]);
    }
}

static void
a_sealed_value_belongs_to_its_key(void **state)
{
    uint8_t sealed[16];
    size_t length = seal_write("key", 3, "value", 5, sealed), got;
    const uint8_t *value;

    (void)state;
    assert_int_equal(length, 9);
    value = seal_read("key", 3, sealed, length, &got);
    assert_non_null(value);
    assert_int_equal(got, 5);
    assert_memory_equal(value, "value", 5);
    assert_null(seal_read("kex", 3, sealed, length, &got));
    for (size_t i = 0; i < length; i++) {
        assert_null(seal_read("key", 3, sealed, i, &got));
    }
    for (size_t i = 0; i < length * 8; i++) {
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_null(seal_read("key", 3, sealed, length, &got));
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_those_of_the_example),
        cmocka_unit_test(the_checksum_is_crc_32c),
        cmocka_unit_test(a_written_record_is_read_back),
        cmocka_unit_test(a_flipped_bit_or_another_length_is_damage),
        cmocka_unit_test(impossible_values_are_damage_despite_a_right_checksum),
        cmocka_unit_test(a_record_that_could_not_be_read_is_not_written),
        cmocka_unit_test(keys_sort_in_the_order_of_their_numbers),
        cmocka_unit_test(a_sealed_value_belongs_to_its_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
