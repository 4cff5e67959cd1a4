#include "author.h"

#include <stdio.h>
#include <string.h>

struct author
author_write(const char *who, uint32_t uid)
{
    struct author out;
    bool given = uid == 0 && *who && strcmp(who, "root") && strcmp(who, "0");

    snprintf(out.text, sizeof(out.text), "%.*s%s", RECORD_WHO_MAX, who,
             given ? " (uid 0)" : "");
    return out;
}
