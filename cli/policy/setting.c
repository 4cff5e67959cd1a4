#include "setting.h"

#include <stdlib.h>
#include <string.h>

#include "admin/change.h"
#include "cli/command/say.h"
#include "policy/policy.h"

static char *
trim_blanks(char *text)
{
    size_t length;

    text += strspn(text, " \t");
    length = strlen(text);
    while (length > 0 &&
           (text[length - 1] == ' ' || text[length - 1] == '\t')) {
        text[--length] = '\0';
    }
    return text;
}

int
setting_read(struct command_line *line, char **operands,
             struct admin_setting *out)
{
    const struct admin_setting *first = out;

    for (; *operands; operands++, out++) {
        char *equals = strchr(*operands, '=');

        if (!equals || equals == *operands) {
            return say_usage(line, "%s: write a setting as KEY=VALUE",
                             *operands);
        }
        *equals = '\0';
        out->key = trim_blanks(*operands);
        out->value = trim_blanks(equals + 1);
        for (const struct admin_setting *s = first; s < out; s++) {
            if (strcmp(s->key, out->key) == 0) {
                return say_usage(line, "%s is given twice", s->key);
            }
        }
    }
    return 0;
}

static int
set_in_text(const struct admin_setting *s, size_t count, struct policy_text *t)
{
    struct faults faults = {0};
    int rc = 0;

    for (size_t i = 0; i < count && rc != BIDE_ENOMEM; i++) {
        int bad = policy_text_set(t, s[i].key, s[i].value, "set", 0, &faults);

        rc = bad ? bad : rc;
    }
    return say_refusal(rc, &faults, policy_text_name(t), NULL);
}

int
setting_try(struct command_line *line, char **operands, struct policy_text *t)
{
    struct admin_setting *settings;
    size_t count = 0;
    int status;

    while (operands[count]) {
        count++;
    }
    settings = calloc(count + 1, sizeof(*settings));
    if (!settings) {
        return say_no_memory();
    }
    status = setting_read(line, operands, settings);
    status = status ? status : set_in_text(settings, count, t);
    free(settings);
    return status;
}
