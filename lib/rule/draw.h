/* Random draws that depend only on their arguments: the same seed gives the
 * same waits on every machine.  Pure. */
#ifndef BIDE_RULE_DRAW_H
#define BIDE_RULE_DRAW_H

#include <stdint.h>

/* Returns draw `n` of a call, uniform over 64 bits: the output function of
 * SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
 * Generators, OOPSLA 2014) over a counter. */
static inline uint64_t
draw_bits(uint64_t seed, uint64_t call, uint32_t n)
{
    uint64_t z = seed + (call * 1024 + n + 1) * 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Returns a number u, 0 <= u < 1, made from the upper 53 bits: as many as a
 * double can hold. */
static inline double
draw_unit(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1p-53;
}

#endif
