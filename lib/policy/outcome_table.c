#include "outcome_table.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* The class of an outcome decides what is retried by default, so each class has
 * a source:
 *
 * connect    Nothing of the request was sent, so any request may be repeated.
 *            errno: the errors of connect(2) and ip(7) before a connection is
 *            established. curl (libcurl-errors(3)): names not resolved, no
 *            connection, a failed handshake.  dns (getaddrinfo(3)): no address
 *            for the name; mistakes in the question have no class.
 * timeout    It is unknown whether the work was done. HTTP 408 and 504 (RFC
 *            9110, 15.5.9 and 15.6.5), gRPC DEADLINE_EXCEEDED (gRPC status
 *            codes), curl 28.
 * throttle   Too many requests: HTTP 429 (RFC 6585, 4), gRPC
 *            RESOURCE_EXHAUSTED.
 * transient  All of these, and errors of servers and connections that usually
 *            pass: HTTP 500, 502, 503 (retried by curl --retry and by the
 *            clients of Google and AWS), 425 (RFC 8470: ask again), 520 to 524
 *            of Cloudflare's edge; gRPC UNAVAILABLE ("most likely transient");
 *            broken connections (ECONNRESET, EPIPE, ECONNABORTED, ENETRESET;
 *            curl 18 52 55 56 and those of HTTP/2 and 3); system calls to
 *            repeat (EAGAIN, EINTR); exit statuses 69 and 75 of sysexits.h.
 *
 * Death by a signal has no class: a crash is likely to repeat, and SIGTERM is
 * sent on purpose.  Rows are sorted by domain and code.  A code without a row
 * has no class. */

#define NONE 0
#define CONNECT (OUTCOME_CONNECT | OUTCOME_TRANSIENT)
#define TIMEOUT (OUTCOME_TIMEOUT | OUTCOME_TRANSIENT)
#define THROTTLE (OUTCOME_THROTTLE | OUTCOME_TRANSIENT)
#define TRANSIENT OUTCOME_TRANSIENT

/* The name of a macro and its value.  Called directly with the macro: through
 * another macro, # would see the number. */
#define ROW(...)    \
    {               \
        __VA_ARGS__ \
    }
#define E(code, classes, note) \
    ROW(BIDE_DOMAIN_ERRNO, code, #code, classes, note)
#define N(code) ROW(BIDE_DOMAIN_ERRNO, code, #code, NONE, NULL)
#define H(code, classes, note) ROW(BIDE_DOMAIN_HTTP, code, NULL, classes, note)
#define G(code, name, classes) ROW(BIDE_DOMAIN_GRPC, code, #name, classes, NULL)
#define X(code, classes, note) ROW(BIDE_DOMAIN_EXIT, code, NULL, classes, note)
#define S(code) ROW(BIDE_DOMAIN_SIGNAL, code, #code, NONE, NULL)
#define C(code, classes, note) ROW(BIDE_DOMAIN_CURL, code, NULL, classes, note)
/* The constants of glibc and musl are negative. */
#define D(code, classes, note) \
    ROW(BIDE_DOMAIN_DNS, -(code), #code, classes, note)
#define M(code) ROW(BIDE_DOMAIN_DNS, -(code), #code, NONE, NULL)

/* clang-format off */
static const struct outcome_row rows[] = {
    N(EPERM), N(ENOENT), N(ESRCH),
    E(EINTR, TRANSIENT, "interrupted by a signal"),
    N(EIO), N(ENXIO), N(E2BIG), N(ENOEXEC), N(EBADF), N(ECHILD),
    E(EAGAIN, TRANSIENT, "also EWOULDBLOCK"),
    N(ENOMEM), N(EACCES), N(EFAULT), N(ENOTBLK), N(EBUSY), N(EEXIST), N(EXDEV),
    N(ENODEV), N(ENOTDIR), N(EISDIR), N(EINVAL), N(ENFILE), N(EMFILE),
    N(ENOTTY), N(ETXTBSY), N(EFBIG), N(ENOSPC), N(ESPIPE), N(EROFS), N(EMLINK),
    E(EPIPE, TRANSIENT, "the other side had closed the connection"),
    N(EDOM), N(ERANGE),
    E(EDEADLK, NONE, "also EDEADLOCK"),
    N(ENAMETOOLONG), N(ENOLCK), N(ENOSYS), N(ENOTEMPTY), N(ELOOP), N(ENOMSG),
    N(EIDRM), N(ECHRNG), N(EL2NSYNC), N(EL3HLT), N(EL3RST), N(ELNRNG),
    N(EUNATCH), N(ENOCSI), N(EL2HLT), N(EBADE), N(EBADR), N(EXFULL), N(ENOANO),
    N(EBADRQC), N(EBADSLT), N(EBFONT), N(ENOSTR), N(ENODATA),
    E(ETIME, TIMEOUT, "a timer of the kernel expired"),
    N(ENOSR),
    E(ENONET, CONNECT, NULL),
    N(ENOPKG), N(EREMOTE), N(ENOLINK), N(EADV), N(ESRMNT), N(ECOMM), N(EPROTO),
    N(EMULTIHOP), N(EDOTDOT), N(EBADMSG), N(EOVERFLOW), N(ENOTUNIQ), N(EBADFD),
    N(EREMCHG), N(ELIBACC), N(ELIBBAD), N(ELIBSCN), N(ELIBMAX), N(ELIBEXEC),
    N(EILSEQ),
    E(ERESTART, TRANSIENT, NULL),
    N(ESTRPIPE), N(EUSERS), N(ENOTSOCK), N(EDESTADDRREQ), N(EMSGSIZE),
    N(EPROTOTYPE), N(ENOPROTOOPT), N(EPROTONOSUPPORT), N(ESOCKTNOSUPPORT),
    E(EOPNOTSUPP, NONE, "also ENOTSUP"),
    N(EPFNOSUPPORT), N(EAFNOSUPPORT), N(EADDRINUSE),
    E(EADDRNOTAVAIL, CONNECT, "no local port or address was free"),
    E(ENETDOWN, CONNECT, NULL),
    E(ENETUNREACH, CONNECT, "no route to the network"),
    E(ENETRESET, TRANSIENT, NULL),
    E(ECONNABORTED, TRANSIENT, NULL),
    E(ECONNRESET, TRANSIENT,
      "the other side dropped the connection; it may have done the work"),
    N(ENOBUFS), N(EISCONN), N(ENOTCONN), N(ESHUTDOWN), N(ETOOMANYREFS),
    E(ETIMEDOUT, TIMEOUT, "no answer in time"),
    E(ECONNREFUSED, CONNECT, "no process listens there"),
    E(EHOSTDOWN, CONNECT, NULL),
    E(EHOSTUNREACH, CONNECT, "no route to the host"),
    N(EALREADY), N(EINPROGRESS), N(ESTALE), N(EUCLEAN), N(ENOTNAM), N(ENAVAIL),
    N(EISNAM), N(EREMOTEIO), N(EDQUOT), N(ENOMEDIUM), N(EMEDIUMTYPE),
    N(ECANCELED), N(ENOKEY), N(EKEYEXPIRED), N(EKEYREVOKED), N(EKEYREJECTED),
    N(EOWNERDEAD), N(ENOTRECOVERABLE), N(ERFKILL), N(EHWPOISON),

    H(0, TRANSIENT, "no readable answer"),
    H(400, NONE, "Bad Request"),
    H(401, NONE, "Unauthorized"),
    H(402, NONE, "Payment Required"),
    H(403, NONE, "Forbidden"),
    H(404, NONE, "Not Found"),
    H(405, NONE, "Method Not Allowed"),
    H(406, NONE, "Not Acceptable"),
    H(407, NONE, "Proxy Authentication Required"),
    H(408, TIMEOUT, "Request Timeout"),
    H(409, NONE, "Conflict"),
    H(410, NONE, "Gone"),
    H(411, NONE, "Length Required"),
    H(412, NONE, "Precondition Failed"),
    H(413, NONE, "Content Too Large"),
    H(414, NONE, "URI Too Long"),
    H(415, NONE, "Unsupported Media Type"),
    H(416, NONE, "Range Not Satisfiable"),
    H(417, NONE, "Expectation Failed"),
    H(421, NONE, "Misdirected Request"),
    H(422, NONE, "Unprocessable Content"),
    H(423, NONE, "Locked"),
    H(424, NONE, "Failed Dependency"),
    H(425, TRANSIENT, "Too Early"),
    H(426, NONE, "Upgrade Required"),
    H(428, NONE, "Precondition Required"),
    H(429, THROTTLE, "Too Many Requests"),
    H(431, NONE, "Request Header Fields Too Large"),
    H(451, NONE, "Unavailable For Legal Reasons"),
    H(500, TRANSIENT, "Internal Server Error"),
    H(501, NONE, "Not Implemented"),
    H(502, TRANSIENT, "Bad Gateway"),
    H(503, TRANSIENT, "Service Unavailable"),
    H(504, TIMEOUT, "Gateway Timeout"),
    H(505, NONE, "HTTP Version Not Supported"),
    H(507, NONE, "Insufficient Storage"),
    H(508, NONE, "Loop Detected"),
    H(511, NONE, "Network Authentication Required"),
    H(520, TRANSIENT, "Cloudflare: unexpected answer from the origin"),
    H(521, TRANSIENT, "Cloudflare: the origin refused the connection"),
    H(522, TRANSIENT, "Cloudflare: no connection to the origin in time"),
    H(523, TRANSIENT, "Cloudflare: no route to the origin"),
    H(524, TRANSIENT, "Cloudflare: no answer from the origin in time"),

    G(0, OK, NONE),
    G(1, CANCELLED, NONE),
    G(2, UNKNOWN, NONE),
    G(3, INVALID_ARGUMENT, NONE),
    G(4, DEADLINE_EXCEEDED, TIMEOUT),
    G(5, NOT_FOUND, NONE),
    G(6, ALREADY_EXISTS, NONE),
    G(7, PERMISSION_DENIED, NONE),
    G(8, RESOURCE_EXHAUSTED, THROTTLE),
    G(9, FAILED_PRECONDITION, NONE),
    G(10, ABORTED, NONE),
    G(11, OUT_OF_RANGE, NONE),
    G(12, UNIMPLEMENTED, NONE),
    G(13, INTERNAL, NONE),
    G(14, UNAVAILABLE, TRANSIENT),
    G(15, DATA_LOSS, NONE),
    G(16, UNAUTHENTICATED, NONE),

    X(64, NONE, "EX_USAGE"),
    X(65, NONE, "EX_DATAERR"),
    X(66, NONE, "EX_NOINPUT"),
    X(67, NONE, "EX_NOUSER"),
    X(68, NONE, "EX_NOHOST"),
    X(69, TRANSIENT, "EX_UNAVAILABLE"),
    X(70, NONE, "EX_SOFTWARE"),
    X(71, NONE, "EX_OSERR"),
    X(72, NONE, "EX_OSFILE"),
    X(73, NONE, "EX_CANTCREAT"),
    X(74, NONE, "EX_IOERR"),
    X(75, TRANSIENT, "EX_TEMPFAIL"),
    X(76, NONE, "EX_PROTOCOL"),
    X(77, NONE, "EX_NOPERM"),
    X(78, NONE, "EX_CONFIG"),
    X(124, NONE, "timeout(1): the time limit expired"),
    X(126, NONE, "the shell: found, but cannot be run"),
    X(127, NONE, "the shell: command not found"),

    S(SIGHUP), S(SIGINT), S(SIGQUIT), S(SIGILL), S(SIGTRAP), S(SIGABRT),
    S(SIGBUS), S(SIGFPE), S(SIGKILL), S(SIGUSR1), S(SIGSEGV), S(SIGUSR2),
    S(SIGPIPE), S(SIGALRM), S(SIGTERM), S(SIGSTKFLT), S(SIGCHLD), S(SIGCONT),
    S(SIGSTOP), S(SIGTSTP), S(SIGTTIN), S(SIGTTOU), S(SIGURG), S(SIGXCPU),
    S(SIGXFSZ), S(SIGVTALRM), S(SIGPROF), S(SIGWINCH), S(SIGIO), S(SIGPWR),
    S(SIGSYS),

    C(5, CONNECT, "COULDNT_RESOLVE_PROXY"),
    C(6, CONNECT, "COULDNT_RESOLVE_HOST"),
    C(7, CONNECT, "COULDNT_CONNECT"),
    C(8, TRANSIENT, "WEIRD_SERVER_REPLY"),
    C(16, TRANSIENT, "HTTP2: framing"),
    C(18, TRANSIENT, "PARTIAL_FILE"),
    C(28, TIMEOUT, "OPERATION_TIMEDOUT"),
    C(35, CONNECT, "SSL_CONNECT_ERROR: the handshake failed"),
    C(45, CONNECT, "INTERFACE_FAILED"),
    C(47, NONE, "TOO_MANY_REDIRECTS"),
    C(51, NONE, "PEER_FAILED_VERIFICATION (before 7.62)"),
    C(52, TRANSIENT, "GOT_NOTHING"),
    C(55, TRANSIENT, "SEND_ERROR"),
    C(56, TRANSIENT, "RECV_ERROR"),
    C(60, NONE, "PEER_FAILED_VERIFICATION"),
    C(77, NONE, "SSL_CACERT_BADFILE"),
    C(81, TRANSIENT, "AGAIN"),
    C(92, TRANSIENT, "HTTP2_STREAM"),
    C(95, TRANSIENT, "HTTP3"),
    C(96, CONNECT, "QUIC_CONNECT_ERROR"),
    C(97, CONNECT, "PROXY: the handshake with the proxy failed"),

    M(EAI_BADFLAGS),
    D(EAI_NONAME, CONNECT, "no such name"),
    D(EAI_AGAIN, CONNECT, "no name server answered"),
    D(EAI_FAIL, CONNECT, "a name server answered with a failure"),
    D(EAI_NODATA, CONNECT, "the name has no address"),
    M(EAI_FAMILY), M(EAI_SOCKTYPE), M(EAI_SERVICE),
    D(EAI_ADDRFAMILY, CONNECT, "the name has no address of this family"),
    M(EAI_MEMORY),
    D(EAI_SYSTEM, NONE, "use the errno"),
    M(EAI_OVERFLOW), M(EAI_IDN_ENCODE),
};
/* clang-format on */
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

/* Other names of the same code. */
static const struct {
    const char *alias, *name;
} aliases[] = {
    {"EWOULDBLOCK", "EAGAIN"}, {"EDEADLOCK", "EDEADLK"},
    {"ENOTSUP", "EOPNOTSUPP"}, {"SIGIOT", "SIGABRT"},
    {"SIGPOLL", "SIGIO"},      {"SIGCLD", "SIGCHLD"},
};

static const struct outcome_class_row classes[] = {
    {OUTCOME_ANY, "any", "every failure"},
    {OUTCOME_CONNECT, "connect", "nothing was sent: safe to repeat"},
    {OUTCOME_TIMEOUT, "timeout", "no answer in time"},
    {OUTCOME_THROTTLE, "throttle", "too many requests"},
    {OUTCOME_TRANSIENT, "transient",
     "connect, timeout, throttle, and errors that usually pass"},
};

static const struct outcome_domain domains[OUTCOME_DOMAINS] = {
    [BIDE_DOMAIN_OK] = {"ok", NULL, 0, 0, 0, INT32_MAX},
    [BIDE_DOMAIN_ERRNO] = {"errno",
                           "an errno is a name such as "
                           "errno.ECONNRESET, or a number",
                           0, INT32_MAX, 0, 0},
    [BIDE_DOMAIN_HTTP] = {"http",
                          "an HTTP status is http.503, http.5xx or "
                          "http.500-504, from 100 to 999",
                          100, 999, 100, 399},
    [BIDE_DOMAIN_GRPC] = {"grpc",
                          "a gRPC status is a name such as "
                          "grpc.UNAVAILABLE, or 0 to 16",
                          0, 16, 0, 0},
    [BIDE_DOMAIN_EXIT] = {"exit",
                          "an exit status is exit.75 or exit.64-78, "
                          "from 0 to 255",
                          0, 255, 0, 0},
    [BIDE_DOMAIN_SIGNAL] = {"signal",
                            "a signal is a name such as "
                            "signal.SIGKILL, or 1 to 64",
                            1, 64, 1, 0},
    [BIDE_DOMAIN_CURL] = {"curl", "a curl code is a number such as curl.28", 0,
                          INT32_MAX, 0, 0},
    [BIDE_DOMAIN_APP] = {"app",
                         "an outcome of an application is app.NAME, "
                         "with 1 to 48 of A-Z a-z 0-9 . _ -",
                         0, INT32_MAX, 1, 0},
    [BIDE_DOMAIN_DNS] = {"dns",
                         "a result of getaddrinfo(3) is a name such as "
                         "dns.EAI_AGAIN, or a number",
                         0, INT32_MAX, 0, 0},
};

const struct outcome_row *
outcome_row(size_t i)
{
    return i < ROWS ? &rows[i] : NULL;
}

const struct outcome_class_row *
outcome_class_row(size_t i)
{
    return i < sizeof(classes) / sizeof(classes[0]) ? &classes[i] : NULL;
}

const struct outcome_domain *
outcome_domain(unsigned domain)
{
    return domain < OUTCOME_DOMAINS ? &domains[domain] : NULL;
}

static int
compare_rows(const void *a, const void *b)
{
    const struct outcome_row *x = a, *y = b;

    if (x->domain != y->domain) {
        return x->domain < y->domain ? -1 : 1;
    }
    return (x->code > y->code) - (x->code < y->code);
}

const struct outcome_row *
outcome_row_of(uint8_t domain, int32_t code)
{
    struct outcome_row wanted = {domain, code, NULL, 0, NULL};

    return bsearch(&wanted, rows, ROWS, sizeof(rows[0]), compare_rows);
}

const struct outcome_row *
outcome_row_named(uint8_t domain, const char *name)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (strcmp(aliases[i].alias, name) == 0) {
            name = aliases[i].name;
        }
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].domain == domain && rows[i].name &&
            strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}
