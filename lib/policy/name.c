#include <string.h>

#include "policy.h"

static bool
is_first_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
is_name_character(char c)
{
    return is_first_character(c) || c == '.' || c == '_' || c == '-';
}

bool
policy_name_ok(const char *name)
{
    size_t i = 1;

    if (!is_first_character(name[0])) {
        return false;
    }
    while (i <= BIDE_NAME_MAX && is_name_character(name[i])) {
        i++;
    }
    return name[i] == '\0' && i <= BIDE_NAME_MAX;
}

void
policy_name_near(const char *text, char *out)
{
    size_t length = strlen(text);

    out[0] = '\0';
    if (length > BIDE_NAME_MAX) {
        return;
    }
    for (size_t i = 0; i < length; i++) {
        char c = text[i];

        if (c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        }
        out[i] = is_name_character(c) ? c : '-';
    }
    out[length] = '\0';
    if (!policy_name_ok(out)) {
        out[0] = '\0';
    }
}
