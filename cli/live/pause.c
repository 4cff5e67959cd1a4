/* bide pause, resume: refuses all calls of policies, and allows them again. */
#include "admin/change.h"
#include "cli/policy/edit.h"

int
pause_command(struct command_line *line)
{
    return edit_keys(line, (size_t)line->count,
                     &(struct admin_setting){"paused", "yes"}, 1, false);
}

int
resume_command(struct command_line *line)
{
    return edit_keys(line, (size_t)line->count,
                     &(struct admin_setting){"paused", NULL}, 1, true);
}
