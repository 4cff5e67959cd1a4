#include "stay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bide.h>
#include "admin/change.h"
#include "base/clock.h"
#include "base/draft.h"
#include "cli/command/say.h"
#include "cli/command/when.h"
#include "policy/key.h"
#include "difference.h"

/* Adds `text` quoted as one word of a shell command. */
static void
add_word(struct draft *to, const char *text)
{
    if (!text[strcspn(text, " \t'\"\\$`;&|<>()*?[]#~!{}")]) {
        draft_text(to, text);
        return;
    }
    draft_text(to, "'");
    for (; *text; text++) {
        draft_text(to, *text == '\'' ? "'\\''" : (char[]){*text, '\0'});
    }
    draft_text(to, "'");
}

/* Prints the command that undoes the change: "bide set p attempts=3 && bide
 * unset p wait_max". */
static int
say_undo(const char *name, const struct difference *all, size_t count)
{
    struct draft command = {0};
    bool failed;

    for (int sets = 1; sets >= 0; sets--) {
        bool begun = false;

        for (size_t i = 0; i < count; i++) {
            if ((all[i].old != NULL) != (sets == 1)) {
                continue;
            }
            if (!begun) {
                draft_text(&command, command.used ? " && bide " : "bide ");
                draft_text(&command, sets ? "set " : "unset ");
                draft_text(&command, name);
            }
            begun = true;
            draft_text(&command, " ");
            draft_text(&command, all[i].key->name);
            if (sets) {
                draft_text(&command, "=");
                add_word(&command, all[i].old);
            }
        }
    }
    failed = command.failed;
    if (!failed) {
        say("to undo that part: %s", command.used ? command.bytes : "");
    }
    draft_free(&command);
    return failed ? BIDE_ENOMEM : 0;
}

static int
say_kept_values(const struct admin_result *r, bool dry_run)
{
    struct difference *all = calloc(policy_key_count, sizeof(*all));
    char *line = difference_line(r->without, r->now), ended[64], until[64];
    int rc = all && line ? 0 : BIDE_ENOMEM;
    uint64_t now_ns = clock_realtime_ns();

    if (rc == 0) {
        say("%s: what v%u changed until %s %s%s%s: %s", r->name, r->temporary,
            when_write(r->temporary_until_ns, now_ns, ended, sizeof(ended)),
            dry_run           ? "would stay"
            : r->until_ns > 0 ? "stays"
                              : "stays now",
            r->until_ns > 0 ? " until " : "",
            r->until_ns > 0
                ? when_write(r->until_ns, now_ns, until, sizeof(until))
                : "",
            line);
    }
    if (rc == 0 && r->until_ns == 0 && !dry_run) {
        rc = say_undo(r->name, all, difference_of(r->without, r->now, all));
    }
    free(line);
    free(all);
    return rc;
}

int
stay_say(const struct admin_results *results, bool dry_run)
{
    int rc = 0;

    for (size_t i = 0; i < results->count && rc == 0; i++) {
        if (results->list[i].without) {
            rc = say_kept_values(&results->list[i], dry_run);
        }
    }
    return rc;
}
