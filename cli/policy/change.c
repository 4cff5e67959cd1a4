#include "change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/read.h"
#include "base/clock.h"
#include "base/duration.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/out/text.h"
#include "cli/view/layer.h"

/* Checks that the note fits in one line of the log.  Returns 0 or the exit
 * status. */
static int
check_note(const char *note)
{
    if (strlen(note) > RECORD_NOTE_MAX) {
        say("--note: at most %d bytes, but it has %zu", RECORD_NOTE_MAX,
            strlen(note));
        return STATUS_INPUT;
    }
    for (; *note; note++) {
        if ((unsigned char)*note < 0x20 || *note == 0x7f) {
            say("--note: one line of text, without control characters");
            return STATUS_INPUT;
        }
    }
    return 0;
}

static int
read_for(struct command_line *line, uint64_t *out)
{
    const char *text = line->option[OPTION_FOR];
    struct duration_fault fault;
    uint64_t ns;

    if (duration_read(text, &ns, &fault)) {
        say("--for %s: %s%s%s%s", text, fault.why, *fault.hint ? " (" : "",
            fault.hint, *fault.hint ? "?)" : "");
        return STATUS_INPUT;
    }
    if (ns == 0 || ns > DURATION_MAX) {
        say("--for %s: must be longer than 0, and not none", text);
        return STATUS_INPUT;
    }
    *out = ns;
    return 0;
}

int
change_begin(struct command_line *line, struct change *out)
{
    struct admin_change *change = &out->change;
    int status;

    memset(out, 0, sizeof(*out));
    change->uid = author_find(out->who, sizeof(out->who));
    snprintf(out->command, sizeof(out->command), "bide %s",
             line->command->name);
    change->who = out->who;
    change->command = out->command;
    change->note = line->option[OPTION_NOTE];
    change->wait_ms = LOCK_WAIT_MS;
    change->dry_run = line->option[OPTION_DRY_RUN] != NULL;
    status = change->note ? check_note(change->note) : 0;
    status = status ? status
                    : number_read_option(line, OPTION_IF_VERSION, 1,
                                         &change->if_version);
    if (status == 0 && line->option[OPTION_FOR]) {
        status = read_for(line, &change->for_ns);
    }
    if (status == 0) {
        /* A failure only means that no waiting calls are known; the change is
         * still made. */
        counts_sleeping(line->registry, &out->before);
    }
    return status;
}

void
change_end(struct change *c)
{
    counts_free(&c->before);
}

void
change_say_covers(const struct admin_results *results)
{
    uint64_t now_ns = clock_realtime_ns();

    for (size_t i = 0; i < results->count; i++) {
        const struct admin_result *r = &results->list[i];

        for (size_t k = 0; k < r->cover_count;) {
            char *line =
                layer_line(r->covers, r->cover_count, NULL, now_ns, &k);

            say("%s: %s", r->name, line ? line : "?");
            say("to end that: bide rollback %s --layer %u", r->name,
                r->covers[k - 1].version);
            free(line);
        }
    }
}

void
change_print_told(const struct change *c, const struct admin_results *results)
{
    uint32_t told = 0;

    for (size_t i = 0; i < results->count; i++) {
        const struct admin_result *r = &results->list[i];
        struct count waiting;

        if (r->did != ADMIN_UNCHANGED &&
            counts_find(&c->before, r->name, &waiting)) {
            told += waiting.sleeping;
        }
    }
    told = told > results->woken ? told : results->woken;
    if (told > 0 && !c->change.dry_run) {
        printf("%u waiting %s decided again\n", told,
               text_plural(told, "call", "calls"));
    }
}

int
change_find(void *side, const char *name, const struct policy_text **out)
{
    const struct change_side *s = side;

    for (size_t i = 0; i < s->results->count; i++) {
        const struct admin_result *r = &s->results->list[i];

        if (strcmp(r->name, name) == 0 && (r->was || r->is)) {
            *out = s->after ? r->is : r->was;
            return *out ? 0 : BIDE_ENOPOLICY;
        }
    }
    return admin_find(s->registry, name, out);
}
