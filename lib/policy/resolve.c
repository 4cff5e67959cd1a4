/* Follows `extends`, and finds the value of each key and its origin. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "text.h"

/* The policy itself, then the policies that it extends, in order. */
struct extends_chain {
    const struct policy_text *links[POLICY_CHAIN_MAX + 1];
    size_t count;
};

static const struct key *
extends_key(void)
{
    const struct key *key = &policy_keys[1];

    assert(strcmp(key->name, "extends") == 0);
    return key;
}

/* Writes "a -> b -> c". */
static void
write_chain(const struct extends_chain *chain, const char *last, char *out,
            size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < chain->count && used < size; i++) {
        used += (size_t)snprintf(out + used, size - used, "%s -> ",
                                 policy_text_name(chain->links[i]));
    }
    if (used < size) {
        snprintf(out + used, size - used, "%s", last);
    }
}

/* Adds a fault at the policy's own `extends`.  Returns BIDE_EINPUT. */
static int
report_chain_fault(const struct extends_chain *chain, const char *parent,
                   const char *file, struct faults *faults, const char *what)
{
    const struct policy_text *t = chain->links[0];
    char path[(POLICY_CHAIN_MAX + 2) * (BIDE_NAME_MAX + 4)];
    struct fault f;

    write_chain(chain, parent, path, sizeof(path));
    f = policy_text_fault(t, file, FAULT_EXTENDS, extends_key(), NULL);
    fault_add(faults, &f, "extends = %s: %s%s%s%s",
              policy_text_get(t, extends_key()), what,
              chain->count > 1 ? " (" : "", chain->count > 1 ? path : "",
              chain->count > 1 ? ")" : "");
    return BIDE_EINPUT;
}

static bool
is_in_chain(const struct extends_chain *chain, const char *name)
{
    for (size_t i = 0; i < chain->count; i++) {
        if (strcmp(policy_text_name(chain->links[i]), name) == 0) {
            return true;
        }
    }
    return false;
}

static int
follow_extends(struct extends_chain *chain, policy_find_fn *find, void *arg,
               const char *file, struct faults *faults)
{
    for (;;) {
        const struct policy_text *last = chain->links[chain->count - 1];
        const char *parent = policy_text_get(last, extends_key());
        const struct policy_text *found = NULL;
        int rc;

        if (!parent) {
            return 0;
        }
        if (is_in_chain(chain, parent)) {
            return report_chain_fault(
                chain, parent, file, faults,
                "is a circle: a policy would extend itself");
        }
        if (chain->count > POLICY_CHAIN_MAX) {
            return report_chain_fault(chain, parent, file, faults,
                                      "a chain of more than 8 policies");
        }
        rc = find ? find(arg, parent, &found) : BIDE_ENOPOLICY;
        if (rc == BIDE_ENOPOLICY) {
            return report_chain_fault(chain, parent, file, faults,
                                      "no such policy");
        }
        if (rc != 0) {
            return rc;
        }
        chain->links[chain->count++] = found;
    }
}

/* Fills in the keys that `t` sets and that have no value yet. */
static void
fill_own_values(const struct policy_text *t, bool inherited,
                struct policy_origin *out)
{
    struct text_entry e;

    for (size_t at = 0; policy_text_next(t, &at, &e);) {
        struct policy_origin *o = &out[e.key - policy_keys];

        if (!o->value && !(inherited && e.key == extends_key())) {
            o->value = e.value;
            strcpy(o->from, policy_text_name(t));
        }
    }
}

static const char *
resolved_value(const char *key, const struct policy_origin *out)
{
    return out[key_find(key) - policy_keys].value;
}

/* Keys whose default is raised to the waits of other keys, so that a default
 * never cuts what the policy asks for. */
static const struct {
    const char *key, *other;
} raised[] = {
    {"wait_max", "wait_initial"},     {"wait_max", "throttle_wait_initial"},
    {"wait_max", "wait_chain"},       {"breaker_open_max", "breaker_open_for"},
    {"defer_wait_max", "defer_wait"},
};

/* Reports whether the policy's form of waiting uses the key. */
static bool
is_used(const char *key, const struct policy_origin *out)
{
    const char *wait = resolved_value("wait", out);
    bool chain = strcmp(wait, "chain") == 0;

    if (strcmp(key, "wait_chain") == 0) {
        return chain;
    }
    return !strstr(key, "wait_initial") ||
           !(chain || strcmp(wait, "none") == 0);
}

uint64_t
policy_longest_ns(const char *value)
{
    uint64_t longest = 0, ns;
    char one[32];

    while (value && *value) {
        size_t length = strcspn(value, " ,");

        snprintf(one, sizeof(one), "%.*s", (int)length, value);
        if (duration_read(one, &ns, NULL) == 0 && ns > longest) {
            longest = ns;
        }
        value += strcspn(value, ",");
        value += strspn(value, ", ");
    }
    return longest;
}

/* Returns the default "10s, or longer" of key `at`, written to its `room`. */
static const char *
find_raised_default(size_t at, struct policy_origin *out)
{
    uint64_t longest = policy_longest_ns(policy_keys[at].preset), ns;

    for (size_t i = 0; i < sizeof(raised) / sizeof(raised[0]); i++) {
        if (strcmp(raised[i].key, policy_keys[at].name) == 0 &&
            is_used(raised[i].other, out)) {
            ns = policy_longest_ns(resolved_value(raised[i].other, out));
            longest = ns > longest ? ns : longest;
        }
    }
    return strcpy(out[at].room, duration_write(longest).text);
}

/* Returns the default of key `at`, which may be the value of another key. */
static const char *
find_default(size_t at, struct policy_origin *out)
{
    const struct key *key = &policy_keys[at];

    if (key->type == KEY_DURATION && strstr(key->preset, ", or longer")) {
        return find_raised_default(at, out);
    }
    if (key->preset[0] == 'a' && strncmp(key->preset, "as ", 3) == 0) {
        return resolved_value(key->preset + 3, out);
    }
    if (key->type == KEY_NUMBER && strcmp(key->name, "wait_factor") == 0 &&
        strcmp(resolved_value("wait", out), "decorrelated") == 0) {
        return "3";
    }
    return key->preset;
}

int
policy_resolve(const struct policy_text *t, policy_find_fn *find, void *arg,
               const char *file, struct policy_origin *out,
               struct faults *faults)
{
    struct extends_chain chain = {{t}, 1};
    int rc = follow_extends(&chain, find, arg, file, faults);

    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < policy_key_count; i++) {
        out[i].value = NULL;
        out[i].from[0] = '\0';
    }
    for (size_t i = 0; i < chain.count; i++) {
        fill_own_values(chain.links[i], i > 0, out);
    }
    /* In the table's order, because a default is the value of an earlier key.
     */
    for (size_t i = 0; i < policy_key_count; i++) {
        if (!out[i].value) {
            out[i].value = find_default(i, out);
        }
    }
    return 0;
}
