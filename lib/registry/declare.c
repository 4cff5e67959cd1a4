/* Rules that a program declares for policies that the registry does not define.
 */
#include "registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/key.h"

static __thread char last_error[512];

const char *
bide_declare_error(void)
{
    return last_error;
}

const struct policy_text *
declared_find(struct bide *b, const char *name)
{
    const struct policy_text *t = NULL;

    (void)policy_list_find(&b->declared, name, &t);
    return t;
}

void
declared_publish(struct bide_policy *p, bool again)
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
                     used < sizeof(text) ? text : "# too long to show\n",
                     again);
    }
}

/* Moves the texts of `list` to the end of the declarations, where they are
 * found first. */
static int
add_declared(struct bide *b, struct policy_list *list)
{
    int rc = 0;

    for (size_t i = 0; i < list->count && rc == 0; i++) {
        rc = policy_list_add(&b->declared, list->list[i]);
        list->list[i] = NULL;
    }
    return rc;
}

/* Compiles the declarations from `first` on, to find their faults. */
static int
check_declared(struct bide *b, size_t first, struct faults *faults)
{
    int worst = 0;

    for (size_t i = b->declared.count; i-- > first;) {
        struct policy *p;
        int rc = policy_compile(b->declared.list[i], policy_list_find,
                                &b->declared, "declared", &p, faults);

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
    struct policy_list *all = &b->declared;
    size_t kept = 0;

    for (size_t i = 0; i < all->count; i++) {
        struct policy_text *t = all->list[i];

        if (declared_find(b, policy_text_name(t)) == t) {
            all->list[kept++] = t;
        } else {
            policy_text_free(t);
        }
    }
    all->count = kept;
}

/* Declares all of `list` or nothing.  The handles of this process load their
 * rules again, and waiting calls wake. */
static int
declare_list(struct bide *b, struct policy_list *list, struct faults *faults)
{
    size_t before = b->declared.count;
    int rc = add_declared(b, list);

    rc = rc ? rc : check_declared(b, before, faults);
    if (rc) {
        while (b->declared.count > before) {
            policy_text_free(b->declared.list[--b->declared.count]);
        }
        return rc;
    }
    drop_shadowed(b);
    for (struct bide_policy *p = b->policies; p; p = p->next) {
        /* Without it a first attempt does not ask for rules. */
        atomic_fetch_or(&p->local_gate, GATE_UNKNOWN);
        cell_announce(atomic_load(&p->cell));
    }
    return 0;
}

static void
keep_error(const struct faults *faults, int rc)
{
    const struct fault *f = faults_first(faults);

    if (!f) {
        snprintf(last_error, sizeof(last_error), "%s", bide_strerror(rc));
    } else {
        snprintf(last_error, sizeof(last_error), "%s:%d: %s%s%s", f->file,
                 f->line, f->what, f->hint ? "; " : "", f->hint ? f->hint : "");
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
