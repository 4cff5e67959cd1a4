/* Awaiting: what a guarded coroutine function returns.  It is a coroutine as
 * well: asyncio may make a task of it. */
#include "guard.h"

#include <dlfcn.h>

static PyTypeObject *awaiting_type;

/* Python 3.10 has them, in the stable ABI as well. */
enum { AM_SEND = 81 }; /* Py_am_send */
typedef int send_function(PyObject *iterator, PyObject *value, PyObject **out);
static send_function *py_iter_send;
enum { SEND_RETURN = 0, SEND_ERROR = -1, SEND_NEXT = 1 };

struct awaiting {
    PyObject_HEAD struct guard *guard;
    struct box *handle; /* NULL: the call has not begun */
    PyObject *args, *kwargs;
    PyObject *inner; /* the coroutine of the attempt, or of Python's part */
    bool is_in_python, is_done;
    struct bide_call c;
};

/* Freed objects to use again: their memory is larger than what Python's own
 * allocator keeps. */
enum { SPARES = 8 };
static struct awaiting *spares[SPARES];
static int spare_count;

static struct awaiting *
make_awaiting(void)
{
    struct awaiting *a;

    if (!spare_count) {
        return (struct awaiting *)PyType_GenericAlloc(awaiting_type, 0);
    }
    a = spares[--spare_count];
    (void)PyObject_Init((PyObject *)a, awaiting_type);
    PyObject_GC_Track(a);
    return a;
}

PyObject *
awaiting_new(struct guard *g, PyObject *args, PyObject *kwargs)
{
    /* Python warns of a coroutine that nobody awaited: so it is made now. */
    PyObject *inner = PyObject_Call(g->function, args, kwargs);
    struct awaiting *a;

    if (inner && (PyObject *)Py_TYPE(inner) != coroutine_type &&
        !PyObject_HasAttrString(inner, "send")) {
        PyObject *iterator = PyObject_CallMethod(inner, "__await__", NULL);

        Py_DECREF(inner);
        inner = iterator;
    }
    a = inner ? make_awaiting() : NULL;
    if (!a) {
        Py_XDECREF(inner);
        return NULL;
    }
    bide_call_init(&a->c);
    a->inner = inner;
    Py_INCREF(g);
    Py_INCREF(args);
    Py_XINCREF(kwargs);
    a->guard = g;
    a->args = args;
    a->kwargs = kwargs;
    return (PyObject *)a;
}

/* Turns the StopIteration of a method of an iterator into its value. */
static int
end_of_method(PyObject **out)
{
    PyObject *type, *raised, *trace;

    if (*out) {
        return SEND_NEXT;
    }
    if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
        return SEND_ERROR;
    }
    PyErr_Fetch(&type, &raised, &trace);
    PyErr_NormalizeException(&type, &raised, &trace);
    *out = PyObject_GetAttrString(raised, "value");
    Py_XDECREF(type);
    Py_XDECREF(raised);
    Py_XDECREF(trace);
    return *out ? SEND_RETURN : SEND_ERROR;
}

/* Sends a value into an iterator, as PyIter_Send does. */
static int
send_value(PyObject *iterator, PyObject *value, PyObject **out)
{
    if (py_iter_send) {
        return py_iter_send(iterator, value, out);
    }
    *out = PyObject_CallMethod(iterator, "send", "O", value);
    return end_of_method(out);
}

/* Continues in Python, whose coroutine replaces that of the attempt.  With
 * neither `raised` nor `verdict`, `value` is the attempt that is to be made. */
static int
continue_in_python(struct awaiting *a, enum bide_next next, PyObject *value,
                   PyObject *raised, PyObject *verdict, PyObject **out)
{
    PyObject *inner =
        guard_go_on(continue_async, a->guard, a->handle, &a->c, next, a->args,
                    a->kwargs, value, raised, verdict);
    PyObject *old = a->inner;

    bide_call_init(&a->c); /* the Call object has the call now */
    *out = NULL;
    if (!inner) {
        return SEND_ERROR;
    }
    a->is_in_python = true;
    a->inner = inner;
    Py_DECREF(old);
    return send_value(inner, Py_None, out);
}

/* Looks at the result of a step of the first attempt: ends it as a success, or
 * goes on in Python. */
static int
settle_step(struct awaiting *a, int step, PyObject **out)
{
    PyObject *value = *out, *raised = NULL, *verdict = NULL;
    int rc = step == SEND_NEXT
                 ? 1
                 : guard_settle(a->guard, &a->c, value, &raised, &verdict);

    if (rc > 0) {
        return step;
    }
    if (rc < 0) {
        Py_CLEAR(*out);
        return SEND_ERROR;
    }
    step = continue_in_python(a, BIDE_GO, value, raised, verdict, out);
    Py_XDECREF(value);
    Py_XDECREF(raised);
    Py_XDECREF(verdict);
    return step;
}

/* Sends `value` into the coroutine, or throws `thrown`, the arguments of its
 * method throw. */
static int
step_awaiting(struct awaiting *a, PyObject *value, PyObject *thrown,
              PyObject **out)
{
    enum bide_next next;
    int step;

    *out = NULL;
    if (a->is_done) {
        PyErr_SetString(PyExc_RuntimeError,
                        "cannot reuse already awaited coroutine");
        return SEND_ERROR;
    }
    if (!a->handle && !thrown) {
        a->handle = guard_take_handle(a->guard);
        if (!a->handle) {
            return SEND_ERROR;
        }
        if (!guard_begins_here(a->guard, a->handle, &a->c, &next)) {
            step = continue_in_python(a, next, a->inner, NULL, NULL, out);
            goto done;
        }
    }
    if (thrown) {
        PyObject *throw = PyObject_GetAttrString(a->inner, "throw");

        *out = throw ? PyObject_CallObject(throw, thrown) : NULL;
        Py_XDECREF(throw);
        step = end_of_method(out);
    } else {
        step = send_value(a->inner, value, out);
    }
    if (a->handle && !a->is_in_python) {
        step = settle_step(a, step, out);
    }
done:
    a->is_done = step != SEND_NEXT;
    return step;
}

/* am_send */
static int
send_awaiting(PyObject *self, PyObject *value, PyObject **out)
{
    return step_awaiting((struct awaiting *)self, value, NULL, out);
}

/* Returns what a step yielded, or raises StopIteration with its result. */
static PyObject *
yield_step(int step, PyObject *out)
{
    if (step == SEND_RETURN) {
        PyObject *stop =
            PyObject_CallFunctionObjArgs(PyExc_StopIteration, out, NULL);

        Py_DECREF(out);
        if (stop) {
            PyErr_SetObject(PyExc_StopIteration, stop);
            Py_DECREF(stop);
        }
        return NULL;
    }
    return step == SEND_NEXT ? out : NULL;
}

static PyObject *
send_method(PyObject *self, PyObject *value)
{
    PyObject *out;
    int step = step_awaiting((struct awaiting *)self, value, NULL, &out);

    return yield_step(step, out);
}

static PyObject *
next_awaiting(PyObject *self)
{
    return send_method(self, Py_None);
}

static PyObject *
throw_method(PyObject *self, PyObject *args)
{
    PyObject *out;
    int step = step_awaiting((struct awaiting *)self, NULL, args, &out);

    return yield_step(step, out);
}

static PyObject *
close_method(PyObject *self, PyObject *none)
{
    struct awaiting *a = (struct awaiting *)self;

    bide_call_abandon(&a->c);
    a->is_done = true;
    return a->inner ? PyObject_CallMethod(a->inner, "close", NULL)
                    : PyErr_Format(PyExc_RuntimeError, "no coroutine");
}

static PyObject *
return_self(PyObject *self)
{
    Py_INCREF(self);
    return self;
}

/* Asks the coroutine for cr_frame, cr_running, __qualname__ and the like. */
static PyObject *
get_attribute(PyObject *self, PyObject *name)
{
    struct awaiting *a = (struct awaiting *)self;
    PyObject *value = PyObject_GenericGetAttr(self, name);

    if (!value && a->inner && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        value = PyObject_GetAttr(a->inner, name);
    }
    return value;
}

static int
visit_awaiting(PyObject *self, visitproc visit, void *arg)
{
    struct awaiting *a = (struct awaiting *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(a->guard);
    Py_VISIT(a->handle);
    Py_VISIT(a->args);
    Py_VISIT(a->kwargs);
    Py_VISIT(a->inner);
    return 0;
}

static int
clear_awaiting(PyObject *self)
{
    struct awaiting *a = (struct awaiting *)self;
    bool may_be_open = a->handle && !a->is_done;

    a->is_done = true;
    Py_CLEAR(a->inner);
    if (may_be_open) {
        bide_call_abandon(&a->c);
    }
    Py_CLEAR(a->guard);
    Py_CLEAR(a->handle);
    Py_CLEAR(a->args);
    Py_CLEAR(a->kwargs);
    return 0;
}

static void
free_awaiting(PyObject *self)
{
    struct awaiting *a = (struct awaiting *)self;

    PyObject_GC_UnTrack(self);
    (void)clear_awaiting(self);
    if (spare_count == SPARES) {
        free_object(self);
        return;
    }
    a->is_in_python = a->is_done = false;
    spares[spare_count++] = a;
    Py_DECREF(awaiting_type);
}

static PyMethodDef awaiting_methods[] = {
    {"send", send_method, METH_O, NULL},
    {"throw", throw_method, METH_VARARGS, NULL},
    {"close", close_method, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* The last slot is am_send, which Python 3.9 does not know. */
static PyType_Slot awaiting_slots[] = {
    {Py_tp_dealloc, free_awaiting},    {Py_tp_traverse, visit_awaiting},
    {Py_tp_clear, clear_awaiting},     {Py_tp_iter, return_self},
    {Py_tp_iternext, next_awaiting},   {Py_am_await, return_self},
    {Py_tp_methods, awaiting_methods}, {Py_tp_getattro, get_attribute},
    {AM_SEND, send_awaiting},          {0, NULL},
};

static PyType_Spec awaiting_spec = {
    .name = "bide._bide.Awaiting",
    .basicsize = sizeof(struct awaiting),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = awaiting_slots,
};

int
awaiting_make_type(PyObject *module)
{
    enum { LAST = sizeof(awaiting_slots) / sizeof(*awaiting_slots) - 2 };

    *(void **)&py_iter_send = dlsym(RTLD_DEFAULT, "PyIter_Send");
    if (!py_iter_send) {
        awaiting_slots[LAST] = (PyType_Slot){0, NULL};
    }
    awaiting_type = add_type(module, &awaiting_spec);
    return awaiting_type ? 0 : -1;
}
