/* Declares what a guard and its awaitable share. */
#ifndef BIDE_GUARD_H
#define BIDE_GUARD_H

#include "native.h"

struct guard {
    PyObject_HEAD PyObject *function;
    PyObject *policy;       /* bide.Policy */
    PyObject *judge;        /* outcome=, or NULL */
    struct box *handle;     /* of the registry in use; NULL: not looked up */
    unsigned long epoch;    /* value of `epoch` when it was looked up */
    bool is_async, is_slow; /* is_slow: the call needs more than a policy */
    PyObject *dict, *weak;
};

extern PyObject *continue_async, *coroutine_type;

struct box *guard_take_handle(struct guard *g);
int guard_judge(const struct guard *g, struct bide_call *c, PyObject *value,
                PyObject **raised, PyObject **verdict);
PyObject *guard_go_on(PyObject *function, struct guard *g, struct box *h,
                      const struct bide_call *c, enum bide_next next,
                      PyObject *args, PyObject *kwargs, PyObject *value,
                      PyObject *raised, PyObject *verdict);
PyObject *awaiting_new(struct guard *g, PyObject *args, PyObject *kwargs);

/* Begins a call.  True: its first attempt is to be made here. */
static inline bool
guard_begins_here(const struct guard *g, const struct box *h,
                  struct bide_call *c, enum bide_next *next)
{
    *next = g->is_slow ? BIDE_RUNNING : bide_step_begin(c, h->pointer, NULL);
    return *next == BIDE_GO && bide_call_attempt(c)->timeout_ns == UINT64_MAX;
}

/* Looks at what an attempt returned, or raised if `value` is NULL.  Returns 1:
 * a success, and the call has ended; 0: go on in Python with *raised or
 * *verdict, new references; -1 with an exception, and the call is abandoned. */
static inline int
guard_settle(const struct guard *g, struct bide_call *c, PyObject *value,
             PyObject **raised, PyObject **verdict)
{
    if (!value || g->judge) {
        return guard_judge(g, c, value, raised, verdict);
    }
    (void)bide_step_ended(c, bide_ok());
    return 1;
}

#endif
