/* The texts of result codes, verdicts, reasons and ends, made from the tables
 * of bide.h. */
#include <bide.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define X(name, number, text) [number] = text,

const char *
bide_verdict_name(enum bide_verdict verdict)
{
    static const char *const names[] = {BIDE_VERDICTS(X)};

    return (size_t)verdict < COUNT(names) ? names[verdict] : "unknown";
}

const char *
bide_reason_name(enum bide_reason reason)
{
    static const char *const names[] = {BIDE_REASONS(X)};

    return (size_t)reason < COUNT(names) ? names[reason] : "unknown";
}

const char *
bide_end_name(enum bide_end end)
{
    static const char *const names[] = {BIDE_ENDS(X)};

    return (size_t)end < COUNT(names) ? names[end] : "unknown";
}
#undef X

const char *
bide_version(void)
{
    return BIDE_VERSION;
}

const char *
bide_strerror(int rc)
{
    switch (rc) {
    case 0:
        return "done";
#define X(name, number, text) \
    case name:                \
        return text;
        BIDE_ERRORS(X)
#undef X
    default:
        return "unknown error";
    }
}
