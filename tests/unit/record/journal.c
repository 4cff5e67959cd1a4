/* Entries for the journal, read from its socket.  Needs a mount namespace. */
#include "record/journal.h"

#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Makes an empty /run for this process, and the socket in it. */
static int
listen_as_journal(void)
{
    struct sockaddr_un at = {AF_UNIX, "/run/systemd/journal/socket"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (unshare(CLONE_NEWNS) ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", "/run", "tmpfs", 0, NULL)) {
        skip();
    }
    assert_int_equal(mkdir("/run/systemd", 0755), 0);
    assert_int_equal(mkdir("/run/systemd/journal", 0755), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static void
a_value_with_lines_makes_no_field(void **state)
{
    static const char entry[] =
        "MESSAGE\n\4\0\0\0\0\0\0\0a\n\1b\n"
        "MESSAGE_ID\n\2\0\0\0\0\0\0\0id\n"
        "PRIORITY\n\1\0\0\0\0\0\0\0"
        "5\n"
        "SYSLOG_IDENTIFIER\n\4\0\0\0\0\0\0\0bide\n"
        "BIDE_NOTE\n\16\0\0\0\0\0\0\0x\nPRIORITY=0\n\377\n"
        "BIDE_SCOPE\n\0\0\0\0\0\0\0\0\n";
    char read[512];
    int fd = listen_as_journal();

    (void)state;
    assert_true(journal_write(
        "id", LOG_NOTICE, "a\n\1b",
        JOURNAL_FIELDS("BIDE_NOTE", "x\nPRIORITY=0\n\377", "BIDE_SCOPE", "")));
    assert_int_equal(recv(fd, read, sizeof(read), 0), sizeof(entry) - 1);
    assert_memory_equal(read, entry, sizeof(entry) - 1);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_with_lines_makes_no_field),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
