/* Static probes (USDT) for bpftrace and its like: one nop each, if sys/sdt.h is
 * there when the library is built.  cli/dist/bide.bt uses them.  Times are ns;
 * an outcome is its domain + code * 2^32.
 *   bide:attempt (policy, number, outcome, took)
 *   bide:wait    (policy, attempts, outcome, wait)
 *   bide:verdict (policy, verdict, reason, attempts, elapsed)
 *   bide:change  (policy, source, version): this process has other rules */
#ifndef BIDE_PROBE_H
#define BIDE_PROBE_H

#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>

/* The outcome as it is in a register: taking it apart costs more than a nop. */
union probe_outcome {
    struct bide_outcome o;
    uint64_t word;
};

#define PROBE_AFTER(what, p, number, outcome, ns)    \
    DTRACE_PROBE4(bide, what, &(p)->name[0], number, \
                  ((union probe_outcome){.o = (outcome)}).word, ns)
#define PROBE_VERDICT(p, how, reason, attempts, ns) \
    DTRACE_PROBE5(bide, verdict, &(p)->name[0], how, reason, attempts, ns)
#define PROBE_CHANGE(p, source, version) \
    DTRACE_PROBE3(bide, change, &(p)->name[0], source, version)
#else
#define PROBE_AFTER(what, p, number, outcome, ns) ((void)(number))
#define PROBE_VERDICT(p, how, reason, attempts, ns) ((void)(ns))
#define PROBE_CHANGE(p, source, version) ((void)(p))
#endif

#endif
