/* Failures of name resolution as outcomes, and outcomes made by number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "policy/outcome.h"
#include "policy/outcome_table.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static const char *
name_of(struct bide_outcome o)
{
    static char name[64];

    bide_outcome_name(o, name, sizeof(name));
    return name;
}

static void
a_name_that_was_not_resolved_is_a_failure_to_connect(void **state)
{
    static const int failures[] = {EAI_AGAIN, EAI_FAIL, EAI_NONAME, EAI_NODATA,
                                   EAI_ADDRFAMILY};
    static const int mistakes[] = {EAI_BADFLAGS, EAI_FAMILY,    EAI_SOCKTYPE,
                                   EAI_SERVICE,  EAI_MEMORY,    EAI_SYSTEM,
                                   EAI_OVERFLOW, EAI_IDN_ENCODE};

    (void)state;
    for (size_t i = 0; i < COUNT(failures); i++) {
        assert_int_equal(outcome_classes(bide_dns(failures[i])),
                         OUTCOME_ANY | OUTCOME_CONNECT | OUTCOME_TRANSIENT);
    }
    for (size_t i = 0; i < COUNT(mistakes); i++) {
        assert_int_equal(outcome_classes(bide_dns(mistakes[i])), OUTCOME_ANY);
    }
    assert_true(outcome_is_success(bide_dns(0)));
}

static void
the_code_is_positive_whatever_its_sign_was(void **state)
{
    (void)state;
    assert_int_equal(bide_dns(EAI_AGAIN).domain, BIDE_DOMAIN_DNS);
    assert_int_equal(bide_dns(EAI_AGAIN).code, abs(EAI_AGAIN));
    assert_int_equal(bide_dns(-EAI_AGAIN).code, abs(EAI_AGAIN));
    assert_int_equal(bide_dns(INT_MIN).code, INT_MAX);
    assert_string_equal(name_of(bide_dns(EAI_AGAIN)), "dns.EAI_AGAIN");
    assert_string_equal(name_of(bide_dns(77)), "dns.77");
}

static void
policies_name_them(void **state)
{
    struct outcome_set set;
    struct outcome_fault fault;
    struct bide_outcome o;
    char *text;

    (void)state;
    assert_int_equal(outcome_set_read("app.x, dns.3, dns.EAI_NONAME, dns.70-80",
                                      &set, &fault),
                     0);
    assert_true(outcome_in(&set, bide_dns(EAI_AGAIN)));
    assert_true(outcome_in(&set, bide_dns(75)));
    assert_false(outcome_in(&set, bide_dns(EAI_FAIL)));
    text = outcome_set_write(&set);
    assert_string_equal(text,
                        "app.x, dns.EAI_NONAME, dns.EAI_AGAIN, dns.70-80");
    free(text);
    outcome_set_free(&set);
    assert_int_equal(outcome_read("dns.AGAIN", &o, &fault), BIDE_EINPUT);
    assert_string_equal(fault.meant, "dns.EAI_AGAIN");
    assert_int_equal(outcome_read("EAI_FAIL", &o, &fault), BIDE_EINPUT);
    assert_string_equal(fault.meant, "dns.EAI_FAIL");
    assert_int_equal(outcome_read("dn.EAI_FAIL", &o, &fault), BIDE_EINPUT);
    assert_string_equal(fault.meant, "dns.EAI_FAIL");
}

static void
each_domain_has_a_name_and_its_rows_are_in_order(void **state)
{
    const struct outcome_row *row, *before = NULL;

    (void)state;
    for (unsigned i = 0; i < OUTCOME_DOMAINS; i++) {
        assert_non_null(outcome_domain(i)->name);
    }
    assert_null(outcome_domain(OUTCOME_DOMAINS));
    for (size_t i = 0; (row = outcome_row(i)); before = row, i++) {
        assert_true(
            !before || row->domain > before->domain ||
            (row->domain == before->domain && row->code > before->code));
    }
}

static void
an_outcome_is_made_by_the_number_of_its_domain(void **state)
{
    static const struct {
        int domain, code;
        const char *text, *name;
    } cases[] = {
        {BIDE_DOMAIN_OK, 5, NULL, "ok"},
        {BIDE_DOMAIN_ERRNO, -110, NULL, "errno.ETIMEDOUT"},
        {BIDE_DOMAIN_HTTP, 99, NULL, "http.0"},
        {BIDE_DOMAIN_GRPC, 17, NULL, "grpc.UNKNOWN"},
        {BIDE_DOMAIN_EXIT, 256, NULL, "exit.255"},
        {BIDE_DOMAIN_SIGNAL, 9, "", "signal.SIGKILL"},
        {BIDE_DOMAIN_SIGNAL, 0, NULL, "exit.255"},
        {BIDE_DOMAIN_SIGNAL, 65, NULL, "exit.255"},
        {BIDE_DOMAIN_CURL, 28, NULL, "curl.28"},
        {BIDE_DOMAIN_APP, 1, "out_of_stock", "app.out_of_stock"},
        {BIDE_DOMAIN_APP, 1, NULL, "app.other"},
        {BIDE_DOMAIN_DNS, EAI_FAIL, NULL, "dns.EAI_FAIL"},
    };
    struct bide_outcome o = bide_ok();

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(bide_outcome_make(cases[i].domain, cases[i].code,
                                           cases[i].text, &o),
                         0);
        assert_string_equal(name_of(o), cases[i].name);
    }
    assert_int_equal(bide_outcome_make(BIDE_DOMAIN_HTTP, 503, "7", &o), 0);
    assert_int_equal(o.hint, BIDE_HINT_AFTER);
    assert_true(o.after_ns == 7 * UINT64_C(1000000000));
    assert_int_equal(bide_outcome_make(OUTCOME_DOMAINS, 1, NULL, &o),
                     BIDE_EINVAL);
    assert_int_equal(bide_outcome_make(-1, 1, NULL, &o), BIDE_EINVAL);
    assert_int_equal(bide_outcome_make(0, 1, NULL, NULL), BIDE_EINVAL);
    assert_int_equal(o.hint, BIDE_HINT_AFTER);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_was_not_resolved_is_a_failure_to_connect),
        cmocka_unit_test(the_code_is_positive_whatever_its_sign_was),
        cmocka_unit_test(policies_name_them),
        cmocka_unit_test(each_domain_has_a_name_and_its_rows_are_in_order),
        cmocka_unit_test(an_outcome_is_made_by_the_number_of_its_domain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
