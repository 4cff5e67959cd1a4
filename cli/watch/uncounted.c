#include "uncounted.h"

#include <stdio.h>

#include "admin/open.h"
#include "doctor/doctor.h"
#include "record/past.h"
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

bool
unrecorded_look(struct admin *registry, char *out, size_t size)
{
    struct doctor_finding f = {.id = FINDING_HISTORY_STOPPED};
    struct history_known known;
    struct finding_words words;

    *out = '\0';
    if (!registry || past_known(admin_past(registry), &known) ||
        !past_has_stopped(admin_past(registry), &known, &f.age_ns)) {
        return false;
    }
    findings_explain(&f, "bide", &words);
    snprintf(out, size, "%s", words.said.why);
    return true;
}
