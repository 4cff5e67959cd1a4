/* Guard: a function that runs under a policy; Awaiting: what a guarded
 * coroutine function returns.
 *
 * A call that succeeds at once stays here: a struct bide_call in C, one call of
 * the function, no Python code in between.  Anything else moves the call into a
 * Call object and goes on in Python (../bide/_run.py). */
#include "guard.h"

#include <string.h>
#include <structmember.h>

PyObject *continue_async, *coroutine_type;
static PyObject *continue_sync, *method_type;

/* Sets the functions that continue a call, sync and async, and two types of
 * Python's module `types`. */
PyObject *
guard_setup(PyObject *module, PyObject *args)
{
    if (!PyArg_ParseTuple(args, "OOOO", &continue_sync, &continue_async,
                          &coroutine_type, &method_type)) {
        return NULL;
    }
    Py_INCREF(args); /* and so all of them */
    Py_RETURN_NONE;
}

/* ---- both kinds ---- */

/* Returns the handle of the guard's policy, a new reference. */
struct box *
guard_take_handle(struct guard *g)
{
    struct box *old = g->handle;

    if (!old || g->epoch != epoch || old->owner->is_closing) {
        /* bide.Policy._handle checks that the registry is open. */
        g->handle =
            (struct box *)PyObject_CallMethod(g->policy, "_handle", NULL);
        g->epoch = epoch;
        Py_XDECREF(old);
    }
    Py_XINCREF(g->handle);
    return g->handle;
}

/* Asks outcome= about a value.  Returns as guard_settle. */
static int
judge_value(const struct guard *g, PyObject *value, PyObject **verdict)
{
    *verdict = PyObject_CallFunctionObjArgs(g->judge, value, NULL);
    if (!*verdict) {
        return -1;
    }
    if (*verdict == Py_None || *verdict == Py_True) {
        Py_CLEAR(*verdict);
        return 1;
    }
    return 0;
}

/* Takes the exception that is set: sets *out, with its traceback, unless the
 * exception means that the program stops (Ctrl-C, cancellation, exit). */
static bool
take_exception(PyObject **out)
{
    PyObject *type, *trace;

    *out = NULL;
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return false;
    }
    PyErr_Fetch(&type, out, &trace);
    PyErr_NormalizeException(&type, out, &trace);
    if (trace) {
        PyException_SetTraceback(*out, trace);
    }
    Py_XDECREF(type);
    Py_XDECREF(trace);
    return true;
}

int
guard_judge(const struct guard *g, struct bide_call *c, PyObject *value,
            PyObject **raised, PyObject **verdict)
{
    int rc = value                    ? judge_value(g, value, verdict)
             : take_exception(raised) ? 0
                                      : -1;

    if (rc > 0) {
        (void)bide_step_ended(c, bide_ok());
    } else if (rc < 0) {
        bide_call_abandon(c);
    }
    return rc;
}

/* Goes on in Python, with the call in a box: what its attempt returned, raised,
 * or means.  NULL is none. */
PyObject *
guard_go_on(PyObject *function, struct guard *g, struct box *h,
            const struct bide_call *c, enum bide_next next, PyObject *args,
            PyObject *kwargs, PyObject *value, PyObject *raised,
            PyObject *verdict)
{
    struct bide_call *copy;
    struct box *box = bide_call_new(&copy) ? NULL : box_new(CALL, h, copy);

    if (!box) {
        return PyErr_NoMemory();
    }
    memcpy(copy, c, sizeof(*c));
#define OR_NONE(o) ((o) ? (o) : Py_None)
    return PyObject_CallFunction(
        function, "ONiOOOOOO", g->policy, box, next, g->function, args,
        OR_NONE(kwargs), OR_NONE(value), OR_NONE(raised), OR_NONE(verdict));
}

/* ---- Guard ---- */

/* Ends the attempt of `c` as a success if it is one; else goes on in Python.
 * Takes the reference to `value`, which is NULL if an exception is set. */
static PyObject *
settle(struct guard *g, struct box *h, struct bide_call *c, PyObject *args,
       PyObject *kwargs, PyObject *value)
{
    PyObject *raised = NULL, *verdict = NULL, *result;
    int rc = guard_settle(g, c, value, &raised, &verdict);

    if (rc > 0) {
        return value;
    }
    if (rc < 0) {
        Py_XDECREF(value);
        return NULL;
    }
    result = guard_go_on(continue_sync, g, h, c, BIDE_GO, args, kwargs, value,
                         raised, verdict);
    Py_XDECREF(value);
    Py_XDECREF(raised);
    Py_XDECREF(verdict);
    return result;
}

static PyObject *
call_guard(PyObject *self, PyObject *args, PyObject *kwargs)
{
    struct guard *g = (struct guard *)self;
    struct bide_call c;
    PyObject *value;
    enum bide_next next;
    struct box *h;

    if (g->is_async) {
        return awaiting_new(g, args, kwargs);
    }
    h = guard_take_handle(g);
    if (!h) {
        return NULL;
    }
    bide_call_init(&c);
    if (guard_begins_here(g, h, &c, &next)) {
        value = PyObject_Call(g->function, args, kwargs);
        value = settle(g, h, &c, args, kwargs, value);
    } else {
        value = guard_go_on(continue_sync, g, h, &c, next, args, kwargs, NULL,
                            NULL, NULL);
    }
    Py_DECREF(h);
    return value;
}

/* Guard(function, policy, judge, is_async, is_slow) */
static PyObject *
new_guard(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *function, *policy, *judge;
    int is_async, is_slow;
    struct guard *g;

    if (!PyArg_ParseTuple(args, "OOOpp:Guard", &function, &policy, &judge,
                          &is_async, &is_slow)) {
        return NULL;
    }
    g = (struct guard *)PyType_GenericAlloc(type, 0);
    if (!g) {
        return NULL;
    }
    Py_INCREF(function);
    Py_INCREF(policy);
    g->function = function;
    g->policy = policy;
    if (judge != Py_None) {
        Py_INCREF(judge);
        g->judge = judge;
    }
    g->is_async = is_async;
    g->is_slow = is_slow;
    return (PyObject *)g;
}

static int
visit_guard(PyObject *self, visitproc visit, void *arg)
{
    struct guard *g = (struct guard *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(g->function);
    Py_VISIT(g->policy);
    Py_VISIT(g->judge);
    Py_VISIT(g->handle);
    Py_VISIT(g->dict);
    return 0;
}

static int
clear_guard(PyObject *self)
{
    struct guard *g = (struct guard *)self;

    Py_CLEAR(g->function);
    Py_CLEAR(g->policy);
    Py_CLEAR(g->judge);
    Py_CLEAR(g->handle);
    Py_CLEAR(g->dict);
    return 0;
}

static void
free_guard(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    if (((struct guard *)self)->weak) {
        PyObject_ClearWeakRefs(self);
    }
    (void)clear_guard(self);
    free_object(self);
}

/* Binds the guard to an object as a function does. */
static PyObject *
bind(PyObject *self, PyObject *object, PyObject *type)
{
    if (!object || object == Py_None) {
        Py_INCREF(self);
        return self;
    }
    return PyObject_CallFunctionObjArgs(method_type, self, object, NULL);
}

/* pickle stores the guard by its name, as it does with functions. */
static PyObject *
reduce(PyObject *self, PyObject *none)
{
    return PyObject_GetAttrString(self, "__qualname__");
}

static PyObject *
represent(PyObject *self)
{
    struct guard *g = (struct guard *)self;

    return PyUnicode_FromFormat("<%R under %R>", g->function, g->policy);
}

static PyMemberDef guard_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(struct guard, dict), READONLY,
     NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct guard, weak), READONLY,
     NULL},
    {"policy", T_OBJECT, offsetof(struct guard, policy), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyObject *
get_dict(PyObject *self, void *none)
{
    struct guard *g = (struct guard *)self;

    if (!g->dict) {
        g->dict = PyDict_New();
    }
    Py_XINCREF(g->dict);
    return g->dict;
}

static PyGetSetDef guard_fields[] = {
    {"__dict__", get_dict, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef guard_methods[] = {
    {"__reduce__", reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot guard_slots[] = {
    {Py_tp_new, new_guard},
    {Py_tp_dealloc, free_guard},
    {Py_tp_traverse, visit_guard},
    {Py_tp_clear, clear_guard},
    {Py_tp_call, call_guard},
    {Py_tp_descr_get, bind},
    {Py_tp_repr, represent},
    {Py_tp_members, guard_members},
    {Py_tp_methods, guard_methods},
    {Py_tp_getset, guard_fields},
    {0, NULL},
};

static PyType_Spec guard_spec = {
    .name = "bide._bide.Guard",
    .basicsize = sizeof(struct guard),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .slots = guard_slots,
};

int
guard_make_type(PyObject *module)
{
    return add_type(module, &guard_spec) ? 0 : -1;
}
