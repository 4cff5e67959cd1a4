/* The names of the levels of early warning. */
#ifndef BIDE_CLI_LEVEL_H
#define BIDE_CLI_LEVEL_H

#include "rule/alarm.h"

static inline const char *
level_word(int level)
{
    return level == ALARM_OK     ? "ok"
           : level == ALARM_WARN ? "warning"
           : level == ALARM_CRIT ? "critical"
                                 : "unknown";
}

#endif
