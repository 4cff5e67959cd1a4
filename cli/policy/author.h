/* The author of a change. */
#ifndef BIDE_CLI_AUTHOR_H
#define BIDE_CLI_AUTHOR_H

#include <stddef.h>
#include <stdint.h>

/* Writes the author's name, or a number; returns the real uid. */
uint32_t author_find(char *name, size_t size);

#endif
