/* Hooks: each event of a registry calls one function of Python. */
#include "native.h"

#include <stddef.h>
#include <string.h>

struct kept {
    PyGILState_STATE gil;
    PyObject *type, *value, *trace; /* an exception of the interrupted code */
};

static void
begin_hook(struct kept *k)
{
    k->gil = PyGILState_Ensure();
    PyErr_Fetch(&k->type, &k->value, &k->trace);
}

/* Calls the hook with `fields`, or reports the error if that is NULL.  A call
 * goes on after an exception in a hook; Ctrl-C there acts later. */
static void
end_hook(struct kept *k, struct box *registry, const char *event,
         PyObject *fields)
{
    PyObject *hook = registry->hook;
    PyObject *done =
        fields ? PyObject_CallFunction(hook, "sO", event, fields) : NULL;

    Py_XDECREF(fields);
    if (!done && PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        PyErr_Clear();
        PyErr_SetInterrupt();
    } else if (!done) {
        PyErr_WriteUnraisable(hook);
    }
    Py_XDECREF(done);
    PyErr_Restore(k->type, k->value, k->trace);
    PyGILState_Release(k->gil);
}

/* Defines the hook `name`, whose fields are those of its policy and more. */
#define HOOK(name, parameters, policy, format, ...)                          \
    static void hook_##name parameters                                       \
    {                                                                        \
        struct bide_policy *p = policy;                                      \
        struct kept k;                                                       \
        begin_hook(&k);                                                      \
        end_hook(&k, arg, #name,                                             \
                 Py_BuildValue("{s:s,s:s," format "}", "policy",             \
                               p ? bide_policy_name(p) : "", "scope",        \
                               p ? bide_policy_scope(p) : "", __VA_ARGS__)); \
    }

HOOK(before_attempt,
     (void *arg, const struct bide_call *c, const struct bide_attempt *a),
     bide_call_policy(c), "s:I,s:d", "number", a->number, "timeout",
     seconds_of(a->timeout_ns))
HOOK(after_attempt,
     (void *arg, const struct bide_call *c, const struct bide_attempt *a,
      const struct bide_outcome *o, uint64_t took_ns),
     bide_call_policy(c), "s:I,s:N,s:d", "number", a->number, "outcome",
     tuple_of_outcome(*o), "took", seconds_of(took_ns))
HOOK(before_wait,
     (void *arg, const struct bide_call *c, uint32_t attempts,
      const struct bide_outcome *o, uint64_t wait_ns),
     bide_call_policy(c), "s:I,s:N,s:d", "attempts", attempts, "outcome",
     tuple_of_outcome(*o), "wait", seconds_of(wait_ns))
HOOK(at_verdict,
     (void *arg, const struct bide_call *c, const struct bide_result *r),
     bide_call_policy(c), "s:N", "result", tuple_of_result(r, NULL))
HOOK(on_breaker, (void *arg, struct bide_policy *of, enum bide_breaker state),
     of, "s:s", "state",
     state == BIDE_BREAKER_OPEN     ? "open"
     : state == BIDE_BREAKER_CLOSED ? "closed"
                                    : "half_open")
HOOK(on_budget, (void *arg, struct bide_policy *of, int is_empty), of, "s:O",
     "is_empty", is_empty ? Py_True : Py_False)
HOOK(on_policy,
     (void *arg, struct bide_policy *of, enum bide_source source,
      uint32_t version),
     of, "s:s,s:I", "source", name_of_source((int)source), "version", version)
HOOK(on_status, (void *arg, struct bide *b, int status), ((void)b, NULL), "s:s",
     "status", status ? bide_strerror(status) : "ok")

#define ROW(name)                                \
    {                                            \
#name, offsetof(struct bide_hooks, name) \
    }
static const struct {
    const char *name;
    size_t offset;
} rows[] = {ROW(before_attempt), ROW(after_attempt), ROW(before_wait),
            ROW(at_verdict),     ROW(on_breaker),    ROW(on_budget),
            ROW(on_policy),      ROW(on_status)};
static const struct bide_hooks all = {NULL,
                                      hook_before_attempt,
                                      hook_after_attempt,
                                      hook_before_wait,
                                      hook_at_verdict,
                                      hook_on_breaker,
                                      hook_on_budget,
                                      hook_on_policy,
                                      hook_on_status};

bool
hooks_choose(struct box *registry, PyObject *events, struct bide_hooks *h)
{
    h->arg = registry;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        PyObject *name = PyUnicode_FromString(rows[i].name);
        int yes = !name               ? -1
                  : events == Py_None ? 1
                                      : PySequence_Contains(events, name);

        Py_XDECREF(name);
        if (yes < 0) {
            return false;
        }
        if (yes) {
            memcpy((char *)h + rows[i].offset,
                   (const char *)&all + rows[i].offset, sizeof(h->on_status));
        }
    }
    return true;
}
