/* The module bide._bide, its functions, and the one type of their arguments. */
#include "native.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

PyTypeObject *box_type;
unsigned forks;
unsigned long epoch;
static PyObject *registry_error;

/* ---- boxes ---- */

struct box *
box_new(enum kind kind, struct box *owner, void *pointer)
{
    struct box *box = (struct box *)PyType_GenericAlloc(box_type, 0);

    if (box) {
        Py_XINCREF(owner);
        box->kind = kind;
        box->owner = owner;
        box->pointer = pointer;
        box->forks = forks;
        box->thread = PyThread_get_thread_ident();
    }
    return box;
}

/* Closes a registry, if no function is using it. */
int
box_close_unused(struct box *box)
{
    struct bide *b = box->pointer;
    PyThreadState *state;
    int calls;

    if (!b || box->users) {
        return 0;
    }
    box->pointer = NULL;
    state = PyEval_SaveThread();
    calls = bide_close(b);
    PyEval_RestoreThread(state);
    return calls;
}

void
box_leave(struct box *box)
{
    if (--box->users == 0 && box->is_closing) {
        (void)box_close_unused(box);
    }
}

static int
visit_box(PyObject *self, visitproc visit, void *arg)
{
    struct box *box = (struct box *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(box->owner);
    Py_VISIT(box->hook);
    return 0;
}

static void
free_box(PyObject *self)
{
    struct box *box = (struct box *)self;

    PyObject_GC_UnTrack(self);
    switch (box->kind) {
    case REGISTRY: /* its calls hold a handle, which holds it: there is none */
        (void)box_close_unused(box);
        break;
    case CALL: /* those of the parent's other threads are none of this child */
        if (box->forks == forks || box->thread == PyThread_get_thread_ident()) {
            bide_call_free(box->pointer);
        }
        break;
    case WATCH:
        bide_watch_free(box->pointer);
        break;
    case WORK:
        bide_deferred_free(box->pointer);
        break;
    case HANDLE:
        break;
    }
    Py_XDECREF(box->owner);
    Py_XDECREF(box->hook);
    free_object(self);
}

/* ---- arguments ---- */

static struct box *
as_box(PyObject *object, enum kind kind)
{
    struct box *box = (struct box *)object;

    if (Py_TYPE(object) != box_type || box->kind != kind) {
        PyErr_Format(PyExc_TypeError, "wrong argument: %R", object);
        return NULL;
    }
    return box;
}

/* Converters for PyArg_ParseTuple.  They refuse a closed registry, and a call
 * that another thread is using. */
int
as_registry(PyObject *object, void *out)
{
    struct box *box = as_box(object, REGISTRY);

    if (box && (!box->pointer || box->is_closing)) {
        PyErr_SetString(PyExc_ValueError, "the registry is closed");
        return 0;
    }
    if (box && box->forks != forks) { /* of threads that are not here */
        box->forks = forks;
        box->users = 0;
    }
    *(struct box **)out = box;
    return box != NULL;
}

int
as_handle(PyObject *object, void *out)
{
    struct box *box = as_box(object, HANDLE), *registry;

    *(struct box **)out = box;
    return box && as_registry((PyObject *)box->owner, &registry);
}

int
as_call(PyObject *object, void *out)
{
    struct box *box = as_box(object, CALL);

    if (box && box->users) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is using the call");
        return 0;
    }
    *(struct box **)out = box;
    return box != NULL;
}

int
as_work(PyObject *object, void *out)
{
    struct box *box = as_box(object, WORK), *registry;

    *(struct box **)out = box;
    return box && as_registry((PyObject *)box->owner->owner, &registry);
}

int
as_watch(PyObject *object, void *out)
{
    return (*(struct box **)out = as_box(object, WATCH)) != NULL;
}

int
as_ns(PyObject *seconds, void *out)
{
    double value =
        seconds == Py_None ? (double)INFINITY : PyFloat_AsDouble(seconds);

    *(uint64_t *)out = !(value > 0)   ? 0
                       : value < 1e10 ? (uint64_t)(value * 1e9 + 0.5)
                                      : UINT64_MAX;
    return !PyErr_Occurred();
}

int
as_outcome(PyObject *tuple, void *out)
{
    int domain, code, rc;
    const char *text;
    PyObject *after;
    uint64_t after_ns;

    if (!PyTuple_Check(tuple)) {
        PyErr_Format(PyExc_TypeError, "not an outcome: %R", tuple);
        return 0;
    }
    if (!PyArg_ParseTuple(tuple, "iizO:outcome", &domain, &code, &text,
                          &after) ||
        !as_ns(after, &after_ns)) {
        return 0;
    }
    rc = bide_outcome_make(domain, code, text, out);
    if (rc) {
        set_error(rc);
        return 0;
    }
    if (after != Py_None) {
        *(struct bide_outcome *)out =
            bide_outcome_after(*(struct bide_outcome *)out, after_ns);
    }
    return 1;
}

/* ---- results ---- */

PyObject *
set_error(int rc)
{
    PyObject *value;

    if (rc == BIDE_ENOMEM) {
        return PyErr_NoMemory();
    }
    if (rc == BIDE_EINVAL || rc == BIDE_ENAME || rc == BIDE_EINPUT) {
        PyErr_SetString(PyExc_ValueError, bide_strerror(rc));
        return NULL;
    }
    value = Py_BuildValue("(is)", rc, bide_strerror(rc));
    if (value) {
        PyErr_SetObject(registry_error, value);
        Py_DECREF(value);
    }
    return NULL;
}

PyObject *
none_or_error(int rc)
{
    if (rc) {
        return set_error(rc);
    }
    Py_RETURN_NONE;
}

double
seconds_of(uint64_t ns)
{
    return ns == UINT64_MAX ? (double)INFINITY : (double)ns / 1e9;
}

/* Returns the seconds from now until `ns`. */
double
seconds_until(const struct bide *b, uint64_t ns)
{
    uint64_t now = b ? bide_now_ns(b) : 0;

    return ns == UINT64_MAX ? seconds_of(ns)
           : ns > now       ? seconds_of(ns - now)
                            : 0;
}

/* (domain, code, name, seconds of the hint or None) */
PyObject *
tuple_of_outcome(struct bide_outcome o)
{
    char name[BIDE_NAME_MAX + 16];

    bide_outcome_name(o, name, sizeof(name));
    return o.hint == BIDE_HINT_NONE
               ? Py_BuildValue("(iisO)", o.domain, o.code, name, Py_None)
               : Py_BuildValue("(iisd)", o.domain, o.code, name,
                               o.hint == BIDE_HINT_AFTER
                                   ? seconds_of(o.after_ns)
                                   : (double)INFINITY);
}

/* (verdict, reason, end, attempts, outcome, elapsed, slept, ask again in, id of
 * deferred work, why it was not stored); times in seconds */
PyObject *
tuple_of_result(const struct bide_result *r, const struct bide *b)
{
    return Py_BuildValue("(sssINdddKz)", bide_verdict_name(r->verdict),
                         bide_reason_name(r->reason), bide_end_name(r->end),
                         r->attempts, tuple_of_outcome(r->outcome),
                         seconds_of(r->elapsed_ns), seconds_of(r->slept_ns),
                         r->ask_again_ns ? seconds_until(b, r->ask_again_ns)
                                         : (double)INFINITY,
                         (unsigned long long)r->deferred_id,
                         r->defer_error ? bide_strerror(r->defer_error) : NULL);
}

const char *
name_of_source(int source)
{
    static const char *const names[] = {"builtin", "declared", "default",
                                        "registry"};

    return source >= 0 && source < 4 ? names[source] : "unknown";
}

/* ---- the module ---- */

static PyType_Slot box_slots[] = {
    {Py_tp_dealloc, free_box}, {Py_tp_traverse, visit_box}, {0, NULL}};
static PyType_Spec box_spec = {
    .name = "bide._bide.Box",
    .basicsize = sizeof(struct box),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = box_slots,
};

PyTypeObject *
add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromSpec(spec);

    Py_XINCREF(type); /* one reference for the module, one for C */
    if (type &&
        PyModule_AddObject(module, strrchr(spec->name, '.') + 1, type)) {
        return NULL;
    }
    return (PyTypeObject *)type;
}

void
free_object(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    release(self);
    Py_DECREF(type);
}

/* Refuses a library of another minor version, and interpreters other than the
 * first, because all would share the types of this module. */
static bool
is_usable(void)
{
    int major = 0, minor = 0;

    if (PyInterpreterState_GetID(PyInterpreterState_Get()) != 0) {
        PyErr_SetString(PyExc_ImportError,
                        "bide cannot be used in a sub-interpreter");
        return false;
    }
    (void)sscanf(bide_version(), "%d.%d", &major, &minor);
    if (major * 256 + minor != BIDE_VERSION_NUMBER / 256) {
        PyErr_Format(PyExc_ImportError,
                     "the Python package bide is version " BIDE_VERSION
                     ", the library libbide.so.0 is version %s: install both "
                     "from one release",
                     bide_version());
        return false;
    }
    return true;
}

static int
load(PyObject *module)
{
    if (!is_usable()) {
        return -1;
    }
    registry_error =
        PyErr_NewException("bide.RegistryError", PyExc_RuntimeError, NULL);
    box_type = add_type(module, &box_spec);
    Py_XINCREF(registry_error);
    return registry_error && box_type &&
                   !PyModule_AddObject(module, "RegistryError",
                                       registry_error) &&
                   !PyModule_AddStringConstant(module, "VERSION",
                                               bide_version()) &&
                   !guard_make_type(module) && !awaiting_make_type(module)
               ? 0
               : -1;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, load}, {0, NULL}};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_bide", .m_methods = native_functions,
    .m_slots = slots};

PyMODINIT_FUNC PyInit__bide(void);

PyMODINIT_FUNC
PyInit__bide(void)
{
    return PyModuleDef_Init(&definition);
}
