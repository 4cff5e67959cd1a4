/* bide pause, resume: refuses all calls of policies, and allows them again. */
#include "admin/change.h"
#include "cli/policy/edit.h"

static int
pause_or_resume(struct command_line *line, bool paused)
{
    const struct admin_setting setting = {"paused", paused ? "yes" : "no"};

    return edit_keys(line, (const char *const *)line->operands,
                     (size_t)line->count, &setting, 1, !paused);
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
