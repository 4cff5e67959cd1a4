/* bide diff: compares two states of a policy, key by key. */
#include <stdio.h>
#include <stdlib.h>

#include "admin/read.h"
#include "cli/command/number.h"
#include "cli/command/say.h"
#include "cli/out/text.h"
#include "cli/view/layer.h"
#include "policy/policy.h"
#include "store/policies/record.h"
#include "difference.h"
#include "source.h"

static void
print_line(char sign, const char *text)
{
    const char *colour = sign == '-' ? "\033[31m" : "\033[32m";

    printf("%s%c ", text_in_colour() ? colour : "", sign);
    text_put(stdout, text ? text : "?", false);
    puts(text_in_colour() ? "\033[0m" : "");
}

static void
print_key(char sign, const struct key *key, const char *value)
{
    char *text = NULL;

    if (value && asprintf(&text, "%s = %s", key->name, value) >= 0) {
        print_line(sign, text);
        free(text);
    }
}

/* Prints the keys that differ, below `title`; that one `always`.  Reports
 * whether any key differs. */
static bool
print_differences(const char *title, const struct policy_text *old,
                  const struct policy_text *now, bool always)
{
    struct difference all[POLICY_KEY_MAX];
    size_t count = difference_of(old, now, all);
    bool differ = count > 0 || !old != !now;

    if (differ || always) {
        text_put(stdout, title, false);
        putchar('\n');
    }
    for (size_t i = 0; i < count; i++) {
        print_key('-', all[i].key, all[i].old);
        print_key('+', all[i].key, all[i].now);
    }
    return differ;
}

/* ---- versions ---- */

/* Reads a version.  Returns 0 or the exit status. */
static int
read_version(struct command_line *line, uint32_t version, struct record *out)
{
    const char *name = line->operands[0];

    return say_no_version(line->registry, name, version,
                          admin_version(line->registry, name, version, out));
}

/* Prints the layers that `r` has and `other` has not.  Returns their number. */
static int
print_layers(char sign, const struct record *r, const struct record *other)
{
    struct record_part parts[RECORD_PARTS_MAX];
    size_t count = layer_only(r, other, parts);
    int lines = 0;

    for (size_t i = 0; i < count; lines++) {
        char *line = layer_line(parts, count, NULL, 0, &i);

        print_line(sign, line);
        free(line);
    }
    return lines;
}

int
difference_print(const char *title, const struct record *before,
                 const struct record *after, bool always)
{
    struct policy_text *old = NULL, *now = NULL;
    int rc = before->deleted ? 0 : admin_base(before, &old), differ;

    rc = rc || after->deleted ? rc : admin_base(after, &now);
    if (rc == 0) {
        differ = print_differences(
            title, old, now,
            always || before->part_count + after->part_count > 2);
        differ += print_layers('-', before, after);
        differ += print_layers('+', after, before);
        rc = differ > 0;
    }
    policy_text_free(old);
    policy_text_free(now);
    return rc;
}

/* Chooses the two versions to compare.  Returns 0 or the exit status. */
static int
choose_versions(struct command_line *line, uint32_t *old, uint32_t *now)
{
    const char *name = line->operands[0];
    struct record r, before;
    int rc = 0, status = 0;

    *old = 0;
    if (line->count > 1) {
        status = number_read_version(line, line->operands[1], old);
    }
    if (status == 0 && line->count > 2) {
        return number_read_version(line, line->operands[2], now);
    }
    status = status ? status : say_unless_found(line->registry, name, &r);
    if (status) {
        return status;
    }
    *now = r.version;
    if (*old == 0) {
        rc = admin_before(line->registry, &r, &before);
        if (rc == 0) {
            *old = before.version;
            record_free(&before);
        }
    }
    record_free(&r);
    return say_no_version(line->registry, name, 0, rc);
}

static int
diff_versions(struct command_line *line)
{
    struct record before = {0}, after = {0};
    uint32_t from, to;
    char title[128];
    int rc, status = choose_versions(line, &from, &to);

    status = status ? status : read_version(line, from, &before);
    status = status ? status : read_version(line, to, &after);
    if (status == 0) {
        snprintf(title, sizeof(title), "%.*s v%u -> v%u%s", BIDE_NAME_MAX,
                 line->operands[0], from, to,
                 after.deleted    ? " (deleted)"
                 : before.deleted ? " (was deleted)"
                                  : "");
        rc = difference_print(title, &before, &after, false);
        status = rc < 0 ? say_failure(rc, line->operands[0])
                 : rc   ? STATUS_NO
                        : STATUS_DONE;
    }
    record_free(&before);
    record_free(&after);
    return status;
}

/* ---- a file ---- */

/* Prints the changes that applying one policy of a file would make.  Returns 1;
 * 0 if there are none; or a BIDE_E code. */
static int
diff_policy(struct admin *registry, const struct policy_text *now,
            const char *file)
{
    const char *name = policy_text_name(now);
    struct policy_text *old = NULL;
    struct record r;
    char *title = NULL;
    int rc = admin_policy(registry, name, &r), length;

    if (rc && rc != BIDE_ENOPOLICY) {
        return rc;
    }
    if (rc == 0) {
        rc = admin_base(&r, &old);
        length = asprintf(&title, "%s v%u -> %s", name, r.version, file);
        record_free(&r);
    } else {
        rc = 0;
        length = asprintf(&title, "%s (new) -> %s", name, file);
    }
    if (length < 0) {
        rc = BIDE_ENOMEM;
    } else {
        rc = rc ? rc : print_differences(title, old, now, false);
        free(title);
    }
    policy_text_free(old);
    return rc;
}

static int
diff_file(struct command_line *line)
{
    struct source s = {.registry = line->registry};
    struct faults faults = {0};
    char *paths[] = {line->operands[0], NULL};
    int rc, status = STATUS_DONE;

    if (line->count > 1) {
        return say_usage(line, "%s: a file has no versions", line->operands[0]);
    }
    rc = source_read(&s, paths, &faults);
    rc = rc ? rc : source_check(&s, &faults);
    if (rc) {
        status = say_refusal(rc, &faults, line->operands[0], NULL);
    }
    for (size_t i = 0; i < s.all.count && rc >= 0; i++) {
        rc = diff_policy(line->registry, s.all.list[i], source_file_of(&s, i));
        if (rc > 0) {
            status = STATUS_NO;
        } else if (rc < 0) {
            status = say_failure(rc, policy_text_name(s.all.list[i]));
        }
    }
    faults_free(&faults);
    source_free(&s);
    return status;
}

int
diff_command(struct command_line *line)
{
    return source_is_file(line->operands[0]) ? diff_file(line)
                                             : diff_versions(line);
}
