/* bide pause, resume: refuses all calls of policies, and allows them again. */
#include <stdio.h>
#include <stdlib.h>

#include "admin/change.h"
#include "admin/live.h"
#include "admin/read.h"
#include "cli/command/say.h"
#include "cli/policy/edit.h"
#include "cli/view/guard.h"
#include "policy/policy.h"
#include "store/policies/record.h"

/* Stores in `out` the policies to change.  Leaves out, and prints, a policy
 * that already is as wanted, unless it has layers or --for is given.  Includes
 * invalid policies, so that the change reports their faults.  Returns 0 or
 * BIDE_ENOMEM. */
static int
choose_policies(struct command_line *line, bool paused, const char **out,
                size_t *count)
{
    for (int i = 0; i < line->count; i++) {
        struct policy *p = NULL;
        struct record r;
        bool ends = false;

        if (admin_policy(line->registry, line->operands[i], &r) == 0) {
            int rc = guard_compile(line->registry, &r, &p);

            ends = r.until_ns > 0;
            record_free(&r);
            if (rc) {
                return rc;
            }
        }
        if (p && p->paused == paused && !ends && !line->option[OPTION_FOR]) {
            printf("%s: %s: nothing was changed\n", line->operands[i],
                   paused ? "already paused" : "not paused");
            admin_repair(line->registry); /* yet calls may not follow it */
        } else {
            out[(*count)++] = line->operands[i];
        }
        policy_free(p);
    }
    return 0;
}

static int
pause_or_resume(struct command_line *line, bool paused)
{
    const struct admin_setting setting = {"paused", paused ? "yes" : "no"};
    const char **names;
    size_t count = 0;
    int status = edit_check_operands(line);

    if (status) {
        return status;
    }
    names = calloc((size_t)line->count, sizeof(*names));
    if (!names) {
        return say_no_memory();
    }
    if (choose_policies(line, paused, names, &count)) {
        status = say_no_memory();
    } else if (count > 0) {
        status = edit_keys(line, names, count, &setting, 1, !paused);
    }
    free(names);
    return status;
}

int
pause_command(struct command_line *line)
{
    return pause_or_resume(line, true);
}

int
resume_command(struct command_line *line)
{
    return pause_or_resume(line, false);
}
