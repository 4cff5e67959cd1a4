#include "declared.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command/say.h"
#include "cli/command/when.h"
#include "cli/out/json.h"
#include "cli/out/text.h"
#include "live/counter.h"
#include "policy/policy.h"
#include "count.h"

int
declared_compile(const struct cell_declared *d, const char *name,
                 struct policy **out)
{
    const struct policy_text *text;
    struct policy_list list = {0};
    int rc = policy_read("declared", d->text, strlen(d->text), &list, NULL);

    *out = NULL;
    rc = rc ? rc : policy_list_find(&list, name, &text);
    rc = rc ? rc
            : policy_compile(text, policy_list_find, &list, "declared", out,
                             NULL);
    policy_list_free(&list);
    return rc == BIDE_ENOMEM ? rc : 0;
}

static int
print_declared(const struct cell_declared *d, const char *name, bool as_json)
{
    struct json *j;

    if (as_json) {
        j = json_object_new();
        json_put_text(j, "policy", name);
        json_put_text(j, "program", d->by.program);
        json_put_count(j, "pid", d->by.pid);
        json_put_truth(j, "other_container", d->by.elsewhere);
        json_put_truth(j, "ended", d->by.ended);
        json_put_s(j, "when", d->when_ns);
        json_put_text(j, "text", d->text);
        return json_out(j) ? say_no_memory() : STATUS_DONE;
    }
    fputs("# declared by ", stdout);
    text_put(stdout, d->by.program, false);
    printf(" (pid %" PRIu32 "%s), %s; the registry does not define it\n",
           d->by.pid, who_where(&d->by), when_write_iso(d->when_ns).text);
    text_put(stdout, d->text, true);
    return STATUS_DONE;
}

int
declared_show(struct command_line *line)
{
    const char *name = line->operands[0];
    struct counts counts = {0};
    struct count c;
    int status = STATUS_ABSENT;
    int rc = policy_name_ok(name)
                 ? counts_read(line->registry, name, 0, &counts)
                 : 0;

    if (rc) {
        status = say_failure(rc, "live state");
    } else if (counts_find(&counts, name, &c) && c.cell.declared) {
        status = print_declared(c.cell.declared, name,
                                line->option[OPTION_JSON] != NULL);
    } else {
        say("%s: no program has declared rules for this name, or the registry "
            "defines it",
            name);
    }
    counts_free(&counts);
    return status;
}
