/* The words of what bide doctor finds. */
#ifndef BIDE_CLI_FINDINGS_H
#define BIDE_CLI_FINDINGS_H

#include "doctor/doctor.h"
#include "cli/command/explain.h"

/* Writes what is wrong and what to do ("" if there is nothing to do). */
void findings_explain(const struct doctor_finding *f, struct explained *out);

#endif
