/* The words of what bide doctor finds. */
#ifndef BIDE_CLI_FINDINGS_H
#define BIDE_CLI_FINDINGS_H

#include "cli/command/explain.h"
#include "doctor/doctor.h"

struct finding_words {
    struct explained said; /* what is wrong; what else there is to do, or "" */
    char run[4096];        /* the command that repairs it, for a shell, or "" */
};

/* Describes a finding; `bide` is the command for this registry, for a shell. */
void findings_explain(const struct doctor_finding *f, const char *bide,
                      struct finding_words *out);

#endif
