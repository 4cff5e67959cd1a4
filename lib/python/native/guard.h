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
int guard_judge(const struct guard *g, PyObject *value, PyObject **verdict);
bool guard_take_exception(PyObject **out);
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

#endif
