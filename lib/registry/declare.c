/* Rules that a program declares for policies that the registry does not define.
 */
#include "registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "policy/key.h"

struct declared {
    struct declared *next;
    struct policy_text *text;
};

static __thread char last_error[512];

const char *
bide_declare_error(void)
{
    return last_error;
}

const struct policy_text *
declared_find(const struct bide *b, const char *name)
{
    const struct declared *d;

    for (d = b->declared; d; d = d->next) {
        if (strcmp(policy_text_name(d->text), name) == 0) {
            return d->text;
        }
    }
    return NULL;
}

int
declared_finder(void *arg, const char *name, const struct policy_text **out)
{
    const struct policy_text *t = declared_find(arg, name);

    if (!t) {
        return BIDE_ENOPOLICY;
    }
    *out = t;
    return 0;
}

void
declared_publish(struct bide_policy *p)
{
    const struct home *h = atomic_load(&p->home);
    const struct policy_text *t = declared_find(p->bide, p->name);
    char text[DECLARED_WORDS * 8] = "";
    size_t used = 0;

    if (h->live == p->bide->own || attach_is_shared(p)) {
        return;
    }
    while (t && used < sizeof(text)) {
        char *one = policy_text_write(t);
        const char *parent = policy_text_get(t, key_find("extends"));

        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
                                 used ? "\n" : "", one ? one : "");
        free(one);
        t = parent ? declared_find(p->bide, parent) : NULL;
    }
    if (used) {
        cell_declare(h->live, h->index,
                     used < sizeof(text) ? text : "# too long to show\n");
    }
}

/* Moves the texts of `list` to the front of *head, where they are found first.
 */
static int
push_declared(struct declared **head, struct policy_list *list)
{
    size_t i;

    for (i = 0; i < list->count; i++) {
        struct declared *d = calloc(1, sizeof(*d));

        if (!d) {
            return BIDE_ENOMEM;
        }
        d->text = list->list[i];
        list->list[i] = NULL;
        d->next = *head;
        *head = d;
    }
    return 0;
}

/* Removes the first declaration of a list. */
static void
pop_declared(struct declared **head)
{
    struct declared *d = *head;

    *head = d->next;
    policy_text_free(d->text);
    free(d);
}

static void
pop_declared_until(struct declared **head, const struct declared *end)
{
    while (*head != end) {
        pop_declared(head);
    }
}

void
declared_free(struct bide *b)
{
    pop_declared_until(&b->declared, NULL);
}

/* Compiles the declarations before `end`, to find their faults. */
static int
check_declared(struct bide *b, const struct declared *end,
               struct faults *faults)
{
    const struct declared *d;
    int worst = 0;

    for (d = b->declared; d != end; d = d->next) {
        struct policy *p;
        int rc =
            policy_compile(d->text, declared_finder, b, "declared", &p, faults);

        if (rc == 0) {
            policy_free(p);
        } else if (worst != BIDE_ENOMEM) {
            worst = rc;
        }
    }
    return worst;
}

/* Frees earlier declarations of the same names: nothing finds them any more. */
static void
drop_shadowed(struct bide *b)
{
    for (struct declared *d = b->declared; d; d = d->next) {
        for (struct declared **at = &d->next; *at;) {
            if (strcmp(policy_text_name((*at)->text),
                       policy_text_name(d->text)) == 0) {
                pop_declared(at);
            } else {
                at = &(*at)->next;
            }
        }
    }
}

/* Makes the handles of this process load their rules again; wakes waiting
 * calls. */
static void
announce_declared(struct bide *b)
{
    struct bide_policy *p;

    for (p = b->policies; p; p = p->next) {
        cell_announce(atomic_load(&p->cell));
    }
}

/* Declares all of `list` or nothing. */
static int
declare_list(struct bide *b, struct policy_list *list, struct faults *faults)
{
    struct declared *end = b->declared;
    int rc = push_declared(&b->declared, list);

    if (rc == 0) {
        rc = check_declared(b, end, faults);
    }
    if (rc) {
        pop_declared_until(&b->declared, end);
        return rc;
    }
    drop_shadowed(b);
    announce_declared(b);
    return 0;
}

static void
keep_error(const struct faults *faults, int rc)
{
    const struct fault *f = faults_first(faults);

    if (!f) {
        snprintf(last_error, sizeof(last_error), "%s", bide_strerror(rc));
    } else if (f->hint) {
        snprintf(last_error, sizeof(last_error), "%s:%d: %s; %s", f->file,
                 f->line, f->what, f->hint);
    } else {
        snprintf(last_error, sizeof(last_error), "%s:%d: %s", f->file, f->line,
                 f->what);
    }
}

int
bide_declare(struct bide *b, const char *ini)
{
    struct faults faults = {0};
    struct policy_list list = {0};
    int rc, cancel;

    last_error[0] = '\0';
    if (!b || !ini) {
        return BIDE_EINVAL;
    }
    registry_revive(b);
    rc = policy_read("declared", ini, strlen(ini), &list, &faults);
    if (rc == 0) {
        cancel = lock_take(&b->lock);
        rc = declare_list(b, &list, &faults);
        lock_release(&b->lock, cancel);
    }
    if (rc) {
        keep_error(&faults, rc);
    }
    policy_list_free(&list);
    faults_free(&faults);
    return rc;
}
