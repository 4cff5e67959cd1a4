/* Listening addresses and the check of the Host header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/serve/listen.h"

static void
addresses_are_read_and_written(void **state)
{
    static const struct {
        const char *text, *written; /* NULL: not an address */
        bool loopback;
    } rows[] = {
        {"127.0.0.1:9747", "127.0.0.1:9747", true},
        {"127.255.0.9:0", "127.255.0.9:0", true},
        {"localhost:80", "127.0.0.1:80", true},
        {"LocalHost:80", "127.0.0.1:80", true},
        {"[::1]:9747", "[::1]:9747", true},
        {"[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", true},
        {"0.0.0.0:9747", "0.0.0.0:9747", false},
        {"128.0.0.1:65535", "128.0.0.1:65535", false},
        {"[::]:9747", "[::]:9747", false},
        {"[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]:1", false},
        {"", NULL, false},
        {":", NULL, false},
        {":9747", NULL, false},
        {"9747", NULL, false},
        {"127.0.0.1", NULL, false},
        {"127.0.0.1:", NULL, false},
        {"127.0.0.1:65536", NULL, false},
        {"127.0.0.1:-1", NULL, false},
        {"127.0.0.1:+1", NULL, false},
        {"127.0.0.1:1x", NULL, false},
        {"127.0.0.1: 1", NULL, false},
        {"127.0.0.1:000001", NULL, false},
        {"::1:9747", NULL, false},
        {"[::1]", NULL, false},
        {"[::1", NULL, false},
        {"[::1]9747", NULL, false},
        {"[127.0.0.1]:9747", NULL, false},
        {"[localhost]:9747", NULL, false},
        {"example.com:80", NULL, false},
        {"256.0.0.1:80", NULL, false},
        {"1111111111111111111111111111111111111111111111111111111111111111111:"
         "1",
         NULL, false},
    };
    struct listen_address a;
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(listen_read(rows[i].text, &a),
                         rows[i].written != NULL);
        if (rows[i].written) {
            assert_string_equal(listen_write(&a, text, sizeof(text)),
                                rows[i].written);
            assert_int_equal(listen_is_loopback(&a), rows[i].loopback);
        }
    }
}

static void
only_host_headers_that_name_this_host_are_accepted(void **state)
{
    static const struct {
        const char *host;
        bool ok;
    } rows[] = {
        {NULL, true},
        {"localhost", true},
        {"localhost:9747", true},
        {"LOCALHOST:1", true},
        {"localhost.", true},
        {"a.localhost", true},
        {"127.0.0.1", true},
        {"127.0.0.1:9747", true},
        {"127.9.9.9:9747", true},
        {"[::1]:9747", true},
        {"[::1]", true},
        {"", false},
        {":9747", false},
        {"example.com", false},
        {"example.com:9747", false},
        {"localhost.example.com", false},
        {"notlocalhost", false},
        {"127.0.0.1.example.com", false},
        {"10.0.0.1:9747", false},
        {"[::2]:9747", false},
        {"[localhost]", false},
        {"::1", false},
        {"localhost:x", false},
        {"localhost:99999", false},
        {"localhost:1:2", false},
        {"localhost@example.com", false},
        {"127.1", false},
        {"2130706433", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(listen_host_ok(rows[i].host), rows[i].ok);
    }
}

static void
port_0_becomes_a_free_port(void **state)
{
    struct listen_address a, again;
    char text[64];
    int fd;

    (void)state;
    assert_true(listen_read("127.0.0.1:0", &a));
    fd = listen_open(&a);
    assert_true(fd >= 0);
    listen_write(&a, text, sizeof(text));
    assert_string_not_equal(text, "127.0.0.1:0");
    assert_true(listen_read(text, &again));
    assert_int_equal(listen_open(&again), -1); /* in use */
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(only_host_headers_that_name_this_host_are_accepted),
        cmocka_unit_test(port_0_becomes_a_free_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
