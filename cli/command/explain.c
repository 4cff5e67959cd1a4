#include "explain.h"

#include <stdio.h>
#include <string.h>

#include <bide.h>
#include "admin/role.h"
#include "base/clock.h"
#include "when.h"

#define WHY(out, ...) snprintf((out)->why, sizeof((out)->why), __VA_ARGS__)
#define TO_DO(out, ...) \
    snprintf((out)->to_do, sizeof((out)->to_do), __VA_ARGS__)

/* ---- failures of the store ---- */

/* Returns the remedy for `rc`, for failures whose words contain none. */
static const char *
usual_remedy(int rc)
{
    switch (rc) {
    case BIDE_EMISSING:
        return "create one with bide init, or name another directory with "
               "--dir";
    case BIDE_EDAMAGED:
        return "services keep their last good rules; move registry.mdb away, "
               "then bide init, bide apply and bide deferred repair";
    case BIDE_EFULL:
        return "free some space there and try again: nothing was changed";
    case BIDE_ELOCKED:
        return "try again when that process has finished";
    default:
        return "";
    }
}

void
explain_role(const char *path, char *out, size_t size)
{
    struct role_answer a;

    role_missing("", path, &a);
    snprintf(out, size, "%s%s%s%s%s%s%s", a.to ? "to " : "", a.to ? a.to : "",
             a.to ? ", " : "", *a.why ? a.why : "try again as root",
             *a.run ? ": " : "", a.run, a.to ? ", then log in again" : "");
}

/* Writes the failure as "PATH: WORDS", without PATH if the words begin with a
 * path.  The remedy is the second line of the words, or else `remedy`. */
static void
explain_store(const struct failure *f, const char *remedy,
              struct explained *out)
{
    int length = (int)strcspn(f->words, "\n");
    bool placed =
        *f->words == '/' || strncmp(f->words, f->path, strlen(f->path)) == 0;

    if (length == 0) {
        WHY(out, "%s%s%s", f->path, *f->path ? ": " : "", bide_strerror(f->rc));
    } else {
        WHY(out, "%s%s%.*s", placed ? "" : f->path, placed ? "" : ": ", length,
            f->words);
    }
    TO_DO(out, "%s", f->words[length] ? f->words + length + 1 : remedy);
    if (f->rc == BIDE_EPERM && !*out->to_do) {
        explain_role(*f->denied ? f->denied : f->path, out->to_do,
                     sizeof(out->to_do));
    }
}

/* ---- policies and versions ---- */

static void
explain_conflict(const struct failure *f, struct explained *out)
{
    if (f->version == 0) {
        WHY(out, "%s: no such policy, but --if-version expects version %u",
            f->name, f->wanted);
        return;
    }
    WHY(out, "%s: the version in force is %u, not %u: changed by %s %s",
        f->name, f->version, f->wanted, f->who,
        when_write(f->when_ns, clock_realtime_ns()).text);
    if (f->wanted < f->version) {
        TO_DO(out, "see: bide diff %s %u %u", f->name, f->wanted, f->version);
    }
}

/* Failures about one policy: of a kind that explain() does not describe. */
static void
explain_policy(const struct failure *f, struct explained *out)
{
    switch (f->kind) {
    case FAILURE_DELETED:
        WHY(out, "%s: no such policy: version %u deleted it%s%s", f->name,
            f->version, *f->who ? ", by " : "", f->who);
        TO_DO(out, "to restore it: bide rollback %s", f->name);
        break;
    case FAILURE_NO_VERSION:
        WHY(out, "%s: %s", f->name, bide_strerror(f->rc));
        TO_DO(out, "see: bide log %s", f->name);
        break;
    case FAILURE_NO_LAYER:
        WHY(out, "%s: version %u is no temporary change that is in force",
            f->name, f->wanted);
        TO_DO(out, "see: bide show %s", f->name);
        break;
    case FAILURE_FIRST_VERSION:
        WHY(out, "%s: nothing to undo: no version is before %u", f->name,
            f->version);
        break;
    case FAILURE_TEXT:
        WHY(out, "%s: the text of version %u is damaged", f->name, f->version);
        break;
    case FAILURE_RULES:
        WHY(out, "%s: the version in force is not valid", f->name);
        break;
    default: /* FAILURE_NO_POLICY */
        WHY(out, "%s: %s", f->name, bide_strerror(f->rc));
        if (*f->near) {
            TO_DO(out, "did you mean %s?", f->near);
        }
    }
}

/* ---- all ---- */

void
explain(const struct failure *f, struct explained *out)
{
    out->why[0] = out->to_do[0] = '\0';
    switch (f->kind) {
    case FAILURE_NONE:
        break;
    case FAILURE_PLAIN:
        WHY(out, "%s", bide_strerror(f->rc));
        break;
    case FAILURE_STORE:
        explain_store(f, usual_remedy(f->rc), out);
        break;
    case FAILURE_HISTORY:
        explain_store(f,
                      f->rc == BIDE_EDAMAGED || f->rc == BIDE_EFORMAT
                          ? "run bide record: it keeps everything that can be "
                            "read; if that fails, move the file away"
                          : "",
                      out);
        break;
    case FAILURE_RECORDING:
        explain_store(f, "", out);
        break;
    case FAILURE_CREATE:
        WHY(out, "%.*s", (int)strcspn(f->words, "\n"), f->words);
        TO_DO(out, "the registry cannot be created there: name another "
                   "directory with --dir");
        break;
    case FAILURE_VERSION:
        explain_conflict(f, out);
        break;
    case FAILURE_UNUSED:
        WHY(out, "%s%s%s: %s", f->name, *f->scope ? " " : "", f->scope,
            f->rc == BIDE_ENOPOLICY ? "no process has used it yet"
                                    : bide_strerror(f->rc));
        break;
    default:
        explain_policy(f, out);
    }
}

void
explain_last(int rc, struct explained *out)
{
    const struct failure *f = failure_last();

    explain(f->kind == FAILURE_NONE ? &(struct failure){FAILURE_PLAIN, .rc = rc}
                                    : f,
            out);
}
