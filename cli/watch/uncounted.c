#include "uncounted.h"

#include <stdio.h>

#include "doctor/doctor.h"
#include "findings.h"

bool
uncounted_look(struct admin *registry, char *out, size_t size)
{
    struct finding_words words;
    struct doctor_finding f;

    *out = '\0';
    if (!registry || !admin_uncounted(registry, &f)) {
        return false;
    }
    findings_explain(&f, "bide", &words);
    snprintf(out, size, "%s%s",
             f.level == DOCTOR_NOTE      ? ""
             : f.level == DOCTOR_UNKNOWN ? "calls are not shown: "
                                         : "calls may not be counted: ",
             words.said.why);
    return f.level != DOCTOR_NOTE;
}
