/* The bodies of etcd's gateway; the texts are those of etcd 3.4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bide.h>
#include "fleet/gateway.h"

#define HEADER                                                           \
    "\"header\":{\"cluster_id\":\"15118495548433857066\",\"member_id\":" \
    "\"13668033151171901709\",\"revision\":\"3\",\"raft_term\":\"2\"}"

static int
read_text(const char *text, struct etcd_reply *out, char *why)
{
    return gateway_read(text, strlen(text), out, why);
}

static void
an_answer_is_read(void **state)
{
    struct etcd_reply r;
    char why[GATEWAY_WHY];
    int rc = read_text(
        "{" HEADER ",\"succeeded\":true,\"responses\":[{\"response_range\":{"
        "\"header\":{\"revision\":\"3\"},\"kvs\":[{\"key\":\"L2EveA==\","
        "\"create_revision\":\"2\",\"mod_revision\":\"3\",\"version\":\"2\","
        "\"value\":\"aDI=\"},{\"key\":\"YQ==\"}],\"count\":\"2\"}}]}",
        &r, why);

    (void)state;
    assert_int_equal(rc, 0);
    assert_true(r.cluster == UINT64_C(15118495548433857066));
    assert_int_equal(r.revision, 3);
    assert_true(r.held);
    assert_int_equal(r.count, 2);
    assert_string_equal(r.list[0].key, "/a/x");
    assert_string_equal(r.list[0].value, "h2");
    assert_int_equal(r.list[0].modified, 3);
    assert_int_equal(etcd_find(&r, "a")->length, 0);
    assert_null(etcd_find(&r, "b"));
    etcd_reply_free(&r);
}

static void
events_of_a_watch_are_read(void **state)
{
    struct etcd_reply r;
    char why[GATEWAY_WHY];

    (void)state;
    assert_int_equal(
        read_text("{\"result\":{" HEADER ",\"created\":true}}\n", &r, why), 0);
    assert_int_equal(r.count, 0);
    assert_int_equal(
        read_text("{\"result\":{" HEADER ",\"events\":[{\"kv\":{\"key\":"
                  "\"YQ==\",\"value\":\"Yg==\"}},{\"type\":\"DELETE\",\"kv\":{"
                  "\"key\":\"YQ==\",\"mod_revision\":\"4\"}}]}}",
                  &r, why),
        0);
    assert_int_equal(r.count, 2);
    assert_string_equal(r.list[0].value, "b");
    assert_null(r.list[1].value);
    assert_int_equal(r.list[1].modified, 4);
    etcd_reply_free(&r);
    assert_int_equal(read_text("{\"result\":{" HEADER ",\"canceled\":true,"
                               "\"compact_revision\":\"3\"}}",
                               &r, why),
                     0);
    assert_true(r.compacted);
    etcd_reply_free(&r);
}

static void
failures_have_a_code_and_a_reason(void **state)
{
    static const struct {
        const char *text;
        int rc;
        const char *why;
    } rows[] = {
        {"{\"error\":\"etcdserver: request is too large\",\"message\":"
         "\"etcdserver: request is too large\",\"code\":3}",
         BIDE_EINVAL, "too large"},
        {"{\"error\":\"x\",\"message\":\"etcdserver: permission denied\","
         "\"code\":7}",
         BIDE_EPERM, "permission denied"},
        {"{\"error\":\"x\",\"message\":\"etcdserver: user name is empty\","
         "\"code\":3}",
         BIDE_EPERM, "user name"},
        {"{\"error\":\"etcdserver: mvcc: database space exceeded\",\"code\":8}",
         BIDE_EFULL, "space"},
        {"{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":"
         "\"etcdserver: no leader\",\"http_status\":\"Service Unavailable\"}}",
         BIDE_ESYS, "no leader"},
        {"{\"error\":\"a\\u001b[2Jb\",\"code\":14}", BIDE_ESYS, "a?[2Jb"},
        {"<html>502 Bad Gateway</html>", BIDE_EINPUT, "not etcd's"},
        {"", BIDE_EINPUT, "not etcd's"},
        {"{}", BIDE_EINPUT, "not etcd's"},
        {"{" HEADER ",\"responses\":[{\"response_range\":{\"kvs\":[{\"key\":"
         "\"!!\"}]}}]}",
         BIDE_EINPUT, "not etcd's"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct etcd_reply r = {.revision = 7};
        char why[GATEWAY_WHY] = "";

        assert_int_equal(read_text(rows[i].text, &r, why), rows[i].rc);
        assert_non_null(strstr(why, rows[i].why));
        assert_int_equal(r.revision, 7);
    }
}

static void
requests_are_as_etcd_reads_them(void **state)
{
    const struct etcd_step steps[] = {
        {.verb = ETCD_IF, .key = "/a", .modified = 5},
        {.verb = ETCD_PUT, .key = "/a", .value = "\xff\0z", .length = 3},
        {.verb = ETCD_LIST, .key = "/a/"},
        {.verb = ETCD_DELETE, .key = "b"}};
    char *text = gateway_write(steps, 4);

    (void)state;
    assert_string_equal(
        text,
        "{\"compare\":[{\"key\":\"L2E=\",\"target\":\"MOD\",\"result\":"
        "\"EQUAL\",\"mod_revision\":\"5\"}],\"success\":[{\"request_put\":{"
        "\"key\":\"L2E=\",\"value\":\"/wB6\"}},{\"request_range\":{\"key\":"
        "\"L2Ev\",\"range_end\":\"L2Ew\"}},{\"request_delete_range\":{\"key\":"
        "\"Yg==\"}}],\"failure\":[{\"request_range\":{\"key\":\"L2E=\"}}]}");
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_read),
        cmocka_unit_test(events_of_a_watch_are_read),
        cmocka_unit_test(failures_have_a_code_and_a_reason),
        cmocka_unit_test(requests_are_as_etcd_reads_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
