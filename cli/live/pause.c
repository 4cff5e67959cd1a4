/* bide pause, resume: refuses all calls of policies, and allows them again. */
#include "admin/change.h"
#include "cli/policy/edit.h"

int
pause_command(struct command_line *line)
{
    const struct admin_setting setting = {"paused", "yes"};

    return edit_keys(line, (size_t)line->count, &setting, 1, false);
}

int
resume_command(struct command_line *line)
{
    const struct admin_setting setting = {"paused", NULL};

    return edit_keys(line, (size_t)line->count, &setting, 1, true);
}
