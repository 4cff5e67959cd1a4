/* Reads a file that another program may not have written yet. */
#include <bide.h>
#include <errno.h>
#include <stdio.h>

int
main(void)
{
    const struct bide_result *result;
    struct bide_policy *policy;
    struct bide_call call;
    struct bide *bide;
    FILE *file = NULL;
    char name[64];

    if (bide_open(NULL, 0, &bide) ||
        bide_declare(bide, "[read_file]\n"
                           "attempts = 3\n"
                           "wait_initial = 10ms\n"
                           "retry_on = errno.ENOENT\n") ||
        bide_lookup(bide, "read_file", NULL, &policy)) {
        return 1;
    }
    bide_call_init(&call);
    BIDE_TRY(&call, policy)
    {
        file = fopen("report.txt", "r");
        bide_call_outcome(&call, file ? bide_ok() : bide_errno(errno));
    }
    result = bide_call_result(&call);
    bide_outcome_name(result->outcome, name, sizeof(name));
    printf("%s after ", bide_verdict_name(result->verdict));
    printf("%u attempts: %s\n", result->attempts, name);
    if (file) {
        fclose(file);
    }
    bide_close(bide);
    return 0;
}
