/* The functions of the module bide._bide, on the boxes of native.c. */
#include "native.h"

#include <math.h>
#include <stdio.h>

#define FUNCTION(name) static PyObject *name(PyObject *module, PyObject *args)
#define PARSE(...)                                  \
    do {                                            \
        if (!PyArg_ParseTuple(args, __VA_ARGS__)) { \
            return NULL;                            \
        }                                           \
    } while (0)

/* ---- registries ---- */

static uint64_t
read_test_clock(void *arg)
{
    return ((struct box *)arg)->test_ns;
}

static void
advance_test_clock(void *arg, uint64_t until_ns)
{
    struct box *box = arg;

    if (until_ns != UINT64_MAX && box->test_ns < until_ns) {
        box->test_ns = until_ns;
    }
}

/* open(dir, private, seed, no_wait, hook, events) */
FUNCTION(open_registry)
{
    struct bide_options o = {0};
    struct bide_hooks hooks = {0};
    struct bide_clock clock = {0};
    unsigned long long seed;
    int is_private, no_wait, rc;
    PyObject *hook, *events;
    struct bide *b = NULL;
    struct box *box;

    PARSE("zpKpOO", &o.dir, &is_private, &seed, &no_wait, &hook, &events);
    box = box_new(REGISTRY, NULL, NULL);
    if (!box || (hook != Py_None && !hooks_choose(box, events, &hooks))) {
        Py_XDECREF(box);
        return NULL;
    }
    if (hook != Py_None) {
        Py_INCREF(hook);
        box->hook = hook;
        o.hooks = &hooks;
        o.hooks_size = sizeof(hooks);
    }
    if (no_wait) {
        box->test_ns = 1000000000;
        clock = (struct bide_clock){box, read_test_clock, advance_test_clock};
        o.clock = &clock;
    }
    o.flags = is_private ? BIDE_PRIVATE : 0;
    o.seed = seed;
    UNLOCKED(box, rc = bide_open_with(&o, sizeof(o), &b));
    box->pointer = b;
    if (rc) {
        Py_DECREF(box);
        return set_error(rc);
    }
    return (PyObject *)box;
}

/* close(registry): returns the number of calls that still run. */
FUNCTION(close_registry)
{
    struct box *r;

    PARSE("O&", as_registry, &r);
    r->is_closing = true;
    return PyLong_FromLong(box_close_unused(r));
}

FUNCTION(declare)
{
    const char *ini;
    char fault[512] = "";
    struct box *r;
    int rc;

    PARSE("O&s", as_registry, &r, &ini);
    UNLOCKED(r, rc = bide_declare(r->pointer, ini));
    snprintf(fault, sizeof(fault), "%s", bide_declare_error());
    if (rc == BIDE_EINPUT) {
        return PyErr_Format(PyExc_ValueError, "%s", fault);
    }
    return none_or_error(rc);
}

/* status(registry): what is wrong, or None. */
FUNCTION(read_status)
{
    struct box *r;
    int rc;

    PARSE("O&", as_registry, &r);
    UNLOCKED(r, rc = bide_registry_status(r->pointer));
    return Py_BuildValue("z", rc ? bide_strerror(rc) : NULL);
}

static int
add_name(void *arg, const char *name)
{
    PyGILState_STATE gil = PyGILState_Ensure();
    PyObject *text = PyUnicode_FromString(name);
    int failed = !text || PyList_Append(arg, text);

    Py_XDECREF(text);
    PyGILState_Release(gil);
    return failed;
}

FUNCTION(list_names)
{
    PyObject *names;
    struct box *r;
    int rc;

    PARSE("O&", as_registry, &r);
    names = PyList_New(0);
    if (names) {
        UNLOCKED(r, rc = bide_policies(r->pointer, add_name, names));
        if (rc) {
            Py_CLEAR(names);
            return rc > 0 ? NULL : set_error(rc);
        }
    }
    return names;
}

/* now(registry): the time of its clock, in seconds. */
FUNCTION(read_clock)
{
    struct box *r;

    PARSE("O&", as_registry, &r);
    return PyFloat_FromDouble(seconds_of(bide_now_ns(r->pointer)));
}

/* is_timeless(registry): its waits take no time. */
FUNCTION(is_timeless)
{
    struct box *r;

    PARSE("O!", box_type, &r);
    return PyBool_FromLong(r->test_ns != 0);
}

FUNCTION(advance_clock)
{
    struct box *r;
    uint64_t ns;

    PARSE("O!O&", box_type, &r, as_ns, &ns);
    if (r->test_ns && ns != UINT64_MAX) {
        advance_test_clock(r, r->test_ns + ns);
    }
    Py_RETURN_NONE;
}

/* ---- policies ---- */

/* is_open(registry or handle) */
FUNCTION(is_open)
{
    struct box *box;

    PARSE("O!", box_type, &box);
    box = box->kind == HANDLE ? box->owner : box;
    return PyBool_FromLong(box->pointer && !box->is_closing);
}

/* lookup(registry, name, scope): a handle. */
FUNCTION(look_up)
{
    const char *name, *scope;
    struct bide_policy *p = NULL;
    struct box *r;
    int rc;

    PARSE("O&sz", as_registry, &r, &name, &scope);
    UNLOCKED(r, rc = bide_lookup(r->pointer, name, scope, &p));
    return rc ? set_error(rc) : (PyObject *)box_new(HANDLE, r, p);
}

FUNCTION(read_source)
{
    uint32_t version = 0;
    struct box *h;
    int rc;

    PARSE("O&", as_handle, &h);
    UNLOCKED(h->owner, rc = bide_policy_source(h->pointer, &version));
    return rc < 0 ? set_error(rc)
                  : Py_BuildValue("(sI)", name_of_source(rc), version);
}

FUNCTION(read_value)
{
    char text[8192]; /* more than a value can be */
    const char *key;
    struct box *h;
    int rc;

    PARSE("O&s", as_handle, &h, &key);
    UNLOCKED(h->owner,
             rc = bide_policy_value(h->pointer, key, text, sizeof(text)));
    return rc < 0 ? set_error(rc) : PyUnicode_FromString(text);
}

FUNCTION(read_stats)
{
    struct bide_stats s;
    struct box *h;
    int rc;

    PARSE("O&", as_handle, &h);
    UNLOCKED(h->owner, rc = bide_read_stats(h->pointer, sizeof(s), &s));
    if (rc) {
        return set_error(rc);
    }
#define COUNT(field) #field, (unsigned long long)s.field
    return Py_BuildValue(
        "{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:d}",
        COUNT(version), COUNT(succeeded), COUNT(recovered), COUNT(exhausted),
        COUNT(aborted), COUNT(deferred), COUNT(dropped), COUNT(refused),
        COUNT(rejected), COUNT(cancelled), COUNT(not_stored), COUNT(attempts),
        COUNT(attempts_failed), COUNT(retries), "slept",
        seconds_of(s.slept_ns));
}

/* ---- calls ---- */

FUNCTION(new_call)
{
    struct bide_call *c = NULL;
    struct box *h, *box;
    int rc;

    PARSE("O&", as_handle, &h);
    rc = bide_call_new(&c);
    box = rc ? NULL : box_new(CALL, h, c);
    if (!box) {
        bide_call_free(c);
    }
    return rc ? set_error(rc) : (PyObject *)box;
}

/* begin(call, seconds until its deadline, watch) */
FUNCTION(begin_call)
{
    struct box *c, *w = NULL, *registry;
    enum bide_next next;
    PyObject *watch;
    uint64_t ns;

    PARSE("O&O&O", as_call, &c, as_ns, &ns, &watch);
    if ((watch != Py_None && !as_watch(watch, &w)) ||
        !as_registry((PyObject *)c->owner->owner, &registry)) {
        return NULL;
    }
    if (ns != UINT64_MAX) {
        bide_call_set_deadline_ns(c->pointer,
                                  bide_now_ns(registry->pointer) + ns);
    }
    UNLOCKED(c, next = bide_step_begin(c->pointer, c->owner->pointer,
                                       w ? w->pointer : NULL));
    return PyLong_FromLong(next);
}

/* ended(call, outcome): may store work on the disk. */
FUNCTION(end_attempt)
{
    struct bide_outcome o;
    enum bide_next next;
    struct box *c;

    PARSE("O&O&", as_call, &c, as_outcome, &o);
    UNLOCKED(c, next = bide_step_ended(c->pointer, o));
    return PyLong_FromLong(next);
}

FUNCTION(resume)
{
    enum bide_next next;
    struct box *c;

    PARSE("O&", as_call, &c);
    UNLOCKED(c, next = bide_step_resume(c->pointer));
    return PyLong_FromLong(next);
}

/* wait(call): sleeps until it no longer waits.  Signal handlers run meanwhile;
 * an exception in one (KeyboardInterrupt) ends the sleep. */
FUNCTION(sleep_on)
{
    enum bide_next next;
    struct box *c;
    int raised;

    PARSE("O&", as_call, &c);
    do {
        UNLOCKED(c, next = bide_step_wait(c->pointer));
        raised = PyErr_CheckSignals();
    } while (next == BIDE_WAIT && !raised);
    return raised ? NULL : PyLong_FromLong(next);
}

FUNCTION(abandon)
{
    struct box *c;

    PARSE("O&", as_call, &c);
    bide_call_abandon(c->pointer);
    Py_RETURN_NONE;
}

/* set_work(call, bytes, type, key, delay); defer(handle, ...): its id. */
FUNCTION(set_work)
{
    struct bide_work work = {0};
    Py_ssize_t length;
    struct box *c;

    PARSE("O&y#zzO&", as_call, &c, &work.bytes, &length, &work.type, &work.key,
          as_ns, &work.delay_ns);
    work.length = (size_t)length;
    return none_or_error(bide_call_set_work(c->pointer, &work));
}

/* state(call): (number of the attempt, seconds until its limit or until the
 * call has to be resumed, seconds until the next attempt) */
FUNCTION(read_state)
{
    const struct bide *b;
    struct box *c;

    PARSE("O&", as_call, &c);
    b = c->owner->owner->pointer;
    return Py_BuildValue("(Idd)", bide_call_attempt(c->pointer)->number,
                         seconds_until(b, bide_step_deadline_ns(c->pointer)),
                         seconds_until(b, bide_step_wake_ns(c->pointer)));
}

FUNCTION(registry_of)
{
    struct box *c;

    PARSE("O&", as_call, &c);
    Py_INCREF(c->owner->owner);
    return (PyObject *)c->owner->owner;
}

FUNCTION(read_result)
{
    struct box *c;

    return PyArg_ParseTuple(args, "O&", as_call, &c)
               ? tuple_of_result(bide_call_result(c->pointer),
                                 c->owner->owner->pointer)
               : NULL;
}

/* ---- watches ---- */

FUNCTION(new_watch)
{
    struct bide_watch *w = NULL;
    struct box *r;
    int rc;

    PARSE("O&", as_registry, &r);
    UNLOCKED(r, rc = bide_watch_new(r->pointer, &w));
    return rc ? set_error(rc) : (PyObject *)box_new(WATCH, r, w);
}

FUNCTION(read_fd)
{
    struct box *w;

    return PyArg_ParseTuple(args, "O&", as_watch, &w)
               ? PyLong_FromLong(bide_watch_fd(w->pointer))
               : NULL;
}

FUNCTION(clear_watch)
{
    struct box *w;

    return PyArg_ParseTuple(args, "O&", as_watch, &w)
               ? PyBool_FromLong(bide_watch_clear(w->pointer))
               : NULL;
}

/* set_watch(call, watch) */
FUNCTION(set_watch)
{
    struct box *c, *w;

    PARSE("O&O&", as_call, &c, as_watch, &w);
    bide_step_set_watch(c->pointer, w->pointer);
    Py_RETURN_NONE;
}

/* ---- deferred work ---- */

FUNCTION(defer)
{
    struct bide_work work = {0};
    Py_ssize_t length;
    uint64_t id = 0;
    struct box *h;
    int rc;

    PARSE("O&y#zzO&", as_handle, &h, &work.bytes, &length, &work.type,
          &work.key, as_ns, &work.delay_ns);
    work.length = (size_t)length;
    UNLOCKED(h->owner, rc = bide_defer(h->pointer, &work, &id));
    return rc ? set_error(rc) : PyLong_FromUnsignedLongLong(id);
}

/* take(handle, seconds): a piece of work that is due, with its fields; None
 * after that time or a signal handler. */
FUNCTION(take)
{
    struct bide_deferred *d = NULL;
    uint64_t wait_ns, until_ns = 0;
    struct box *h, *work;
    int rc;

    PARSE("O&O&", as_handle, &h, as_ns, &wait_ns);
    if (wait_ns) {
        until_ns = bide_now_ns(h->owner->pointer);
        until_ns =
            wait_ns < UINT64_MAX - until_ns ? until_ns + wait_ns : UINT64_MAX;
    }
    UNLOCKED(h->owner, rc = bide_deferred_take(h->pointer, until_ns, 1, &d));
    if (rc <= 0) {
        return rc < 0                 ? set_error(rc)
               : PyErr_CheckSignals() ? NULL
                                      : Py_BuildValue("");
    }
    work = box_new(WORK, h, d);
    if (!work) {
        bide_deferred_free(d); /* its lease expires */
        return NULL;
    }
    return Py_BuildValue("(NKy#ssKds)", work, (unsigned long long)d->id,
                         (const char *)d->bytes, (Py_ssize_t)d->length, d->type,
                         d->key, (unsigned long long)d->attempts,
                         seconds_of(d->deferred_realtime_ns), d->last_error);
}

/* Defines a function of a piece of work. */
#define OF_WORK(name, function)                                 \
    FUNCTION(name)                                              \
    {                                                           \
        struct box *w;                                          \
        int rc;                                                 \
                                                                \
        PARSE("O&", as_work, &w);                               \
        UNLOCKED(w->owner->owner,                               \
                 rc = function(w->owner->pointer, w->pointer)); \
        return none_or_error(rc);                               \
    }
OF_WORK(acknowledge, bide_deferred_ack)
OF_WORK(release_work, bide_deferred_release)
OF_WORK(extend, bide_deferred_extend)

FUNCTION(return_work)
{
    const char *reason;
    struct box *w;
    int rc;

    PARSE("O&z", as_work, &w, &reason);
    UNLOCKED(w->owner->owner,
             rc = bide_deferred_nack(w->owner->pointer, w->pointer, reason));
    return none_or_error(rc);
}

/* due(handle): seconds until the next work is due, or a lease ends. */
FUNCTION(read_due)
{
    struct box *h;
    uint64_t ns;
    int rc;

    PARSE("O&", as_handle, &h);
    UNLOCKED(h->owner, rc = bide_deferred_next_ns(h->pointer, &ns));
    return rc ? set_error(rc)
              : PyFloat_FromDouble(seconds_until(h->owner->pointer, ns));
}

/* ---- others ---- */

FUNCTION(name_outcome)
{
    char name[BIDE_NAME_MAX + 16];
    struct bide_outcome o;

    PARSE("O&", as_outcome, &o);
    bide_outcome_name(o, name, sizeof(name));
    return PyUnicode_FromString(name);
}

FUNCTION(change_epoch)
{
    epoch++;
    Py_RETURN_NONE;
}

FUNCTION(note_fork)
{
    forks++;
    Py_RETURN_NONE;
}

/* ---- the table ---- */

PyMethodDef native_functions[] = {
    {"open", open_registry, METH_VARARGS, NULL},
    {"close", close_registry, METH_VARARGS, NULL},
    {"declare", declare, METH_VARARGS, NULL},
    {"status", read_status, METH_VARARGS, NULL},
    {"names", list_names, METH_VARARGS, NULL},
    {"now", read_clock, METH_VARARGS, NULL},
    {"is_timeless", is_timeless, METH_VARARGS, NULL},
    {"registry_of", registry_of, METH_VARARGS, NULL},
    {"advance", advance_clock, METH_VARARGS, NULL},
    {"lookup", look_up, METH_VARARGS, NULL},
    {"is_open", is_open, METH_VARARGS, NULL},
    {"source", read_source, METH_VARARGS, NULL},
    {"value", read_value, METH_VARARGS, NULL},
    {"stats", read_stats, METH_VARARGS, NULL},
    {"call", new_call, METH_VARARGS, NULL},
    {"begin", begin_call, METH_VARARGS, NULL},
    {"ended", end_attempt, METH_VARARGS, NULL},
    {"resume", resume, METH_VARARGS, NULL},
    {"wait", sleep_on, METH_VARARGS, NULL},
    {"abandon", abandon, METH_VARARGS, NULL},
    {"set_work", set_work, METH_VARARGS, NULL},
    {"state", read_state, METH_VARARGS, NULL},
    {"result", read_result, METH_VARARGS, NULL},
    {"watch", new_watch, METH_VARARGS, NULL},
    {"set_watch", set_watch, METH_VARARGS, NULL},
    {"watch_fd", read_fd, METH_VARARGS, NULL},
    {"watch_clear", clear_watch, METH_VARARGS, NULL},
    {"defer", defer, METH_VARARGS, NULL},
    {"take", take, METH_VARARGS, NULL},
    {"ack", acknowledge, METH_VARARGS, NULL},
    {"nack", return_work, METH_VARARGS, NULL},
    {"release", release_work, METH_VARARGS, NULL},
    {"extend", extend, METH_VARARGS, NULL},
    {"due", read_due, METH_VARARGS, NULL},
    {"outcome_name", name_outcome, METH_VARARGS, NULL},
    {"change_epoch", change_epoch, METH_VARARGS, NULL},
    {"note_fork", note_fork, METH_VARARGS, NULL},
    {"setup", guard_setup, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
