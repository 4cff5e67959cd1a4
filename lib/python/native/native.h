/* The module bide._bide: bide.h for Python.  Functions keep the GIL where they
 * cannot wait.  What follows the first failed attempt of a call is Python's. */
#ifndef BIDE_NATIVE_H
#define BIDE_NATIVE_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x03090000
#include <Python.h>
#include <stdbool.h>

#include "bide.h"

/* A structure of bide.h as an object of Python. */
enum kind { REGISTRY, HANDLE, CALL, WATCH, WORK };
struct box {
    PyObject_HEAD enum kind kind;
    void *pointer;        /* struct bide, bide_policy, bide_call, bide_watch,
                             bide_deferred; NULL: a closed registry */
    struct box *owner;    /* the registry of a handle or watch, the handle of a
                             call or work */
    unsigned users;       /* threads that use it without the GIL */
    unsigned forks;       /* value of `forks` when it was made, or last used */
    unsigned long thread; /* that made it */

    /* Of a registry: */
    bool is_closing;
    PyObject *hook;           /* called as hook(event, fields), or NULL */
    _Atomic uint64_t test_ns; /* the clock of a test; 0: the real one */
};

extern PyTypeObject *box_type;
extern PyMethodDef native_functions[];
extern unsigned forks; /* number of forks between the first process and this */
extern unsigned long
    epoch; /* changes when another default registry is in use */

struct box *box_new(enum kind kind, struct box *owner, void *pointer);

/* Runs a statement without the GIL; `box` is a registry or a call. */
#define UNLOCKED(box, statement)              \
    do {                                      \
        PyThreadState *unlocked_state;        \
        (box)->users++;                       \
        unlocked_state = PyEval_SaveThread(); \
        statement;                            \
        PyEval_RestoreThread(unlocked_state); \
        box_leave(box);                       \
    } while (0)
void box_leave(struct box *box);
int box_close_unused(struct box *box); /* returns the calls that still run */

/* Adds a type to the module; NULL: an exception is set. */
PyTypeObject *add_type(PyObject *module, PyType_Spec *spec);
void free_object(PyObject *self); /* and drops its type */
int guard_make_type(PyObject *module);
int awaiting_make_type(PyObject *module);
PyObject *guard_setup(PyObject *module, PyObject *args);

/* hook.c: sets the hooks that are in `events`, or all if that is None, and the
 * registry that they are of. */
bool hooks_choose(struct box *registry, PyObject *events, struct bide_hooks *h);

/* Converters for PyArg_ParseTuple.  They refuse a closed registry, and a call
 * that another thread is using. */
int as_registry(PyObject *object, void *out);
int as_handle(PyObject *object, void *out);
int as_call(PyObject *object, void *out);
int as_work(PyObject *object, void *out);
int as_watch(PyObject *object, void *out);
int as_ns(PyObject *seconds, void *out); /* None: UINT64_MAX */
int as_outcome(PyObject *tuple, void *out);

PyObject *set_error(int rc); /* NULL, with the exception of a BIDE_E code */
PyObject *none_or_error(int rc);
double seconds_until(const struct bide *b, uint64_t ns);
double seconds_of(uint64_t ns); /* infinity for UINT64_MAX */
PyObject *tuple_of_outcome(struct bide_outcome o);
PyObject *tuple_of_result(const struct bide_result *r, const struct bide *b);
const char *name_of_source(int source);

#endif
