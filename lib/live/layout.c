/* Checks the layout drawn in layout.h at compile time.  If a field moved, two
 * versions of the library would misread each other's numbers.  Any change here
 * requires a higher LIVE_FORMAT. */
#include "layout.h"

#include <stddef.h>

#include "process.h"
#include "sleeper.h"

#define AT(type, field, offset) \
    _Static_assert(offsetof(struct type, field) == (offset), #type " " #field)
#define SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)

_Static_assert(sizeof(void *) == 8, "64 bit only");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian only");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
               "an atomic with a lock does not work between processes");

_Static_assert(LIVE_SLEEPERS == 4096, "header: one page");
_Static_assert(LIVE_DIRECTORY == 528384, "sleepers");
_Static_assert(LIVE_DIRECTORY + DIRECTORY_WORDS * 8ull <= LIVE_CELLS,
               "directory");
_Static_assert(LIVE_CELLS == 2686976 && LIVE_CELLS % LIVE_ALIGN == 0, "cells");
_Static_assert(LIVE_BODIES == 69795840 && LIVE_BODIES % LIVE_ALIGN == 0,
               "bodies");
_Static_assert(LIVE_MARKS == 13491568640ull, "marks");
_Static_assert(LIVE_SNAPSHOTS == 19934019584ull, "snapshots");
_Static_assert(LIVE_PROCESSES == 20470890496ull, "processes");
_Static_assert(LIVE_SIZE == 20487667712ull, "the end");

AT(live_header, magic, 0);
AT(live_header, format, 8);
AT(live_header, header_size, 12);
AT(live_header, cell_size, 16);
AT(live_header, body_size, 20);
AT(live_header, cell_max, 24);
AT(live_header, directory_words, 28);
AT(live_header, sleeper_slots, 32);
AT(live_header, stripes, 36);
AT(live_header, registry_id, 40);
AT(live_header, boot_id, 56);
AT(live_header, tick_mult, 72);
AT(live_header, begun_ns, 80);
AT(live_header, cells_used, 88);
AT(live_header, cells_refused, 92);
AT(live_header, rings, 96);
AT(live_header, trouble, 100);
AT(live_header, trouble_ns, 104);
AT(live_header, pages_refused, 112);
AT(live_header, announced_txn, 120);
AT(live_header, free, 128);
AT(live_header, marks_refused, 136);
AT(live_header, shares_refused, 144);
AT(live_header, inode, 152);
AT(live_header, newest_txn, 160);
AT(live_header, newest_version, 168);
AT(live_header, recorded_ns, 176);
SIZE(live_header, 184);

AT(cell, gate, 0);
AT(cell, limit, 8);
AT(cell, limit_ms, 8);
AT(cell, generation, 16);
AT(cell, arrivals, 20);
AT(cell, woken_ns, 24);
AT(cell, budget, 64);
AT(cell, breaker, 128);
AT(cell, name, 192);
AT(cell, scope, 256);
AT(cell, hash, 320);
AT(cell, asked_by, 328);
AT(cell, marks, 332);
AT(cell, asked_program, 336);
AT(cell, scopes, 352);
AT(cell, scopes_refused, 356);
AT(cell, asked_space, 360);
AT(cell, made_by, 364);
AT(cell, begun, 368);
AT(cell, quiet_ns, 376);
AT(cell, counting, 384);
AT(cell, version, 384);
AT(cell, next, 392);
AT(cell, parts, 396);
AT(cell, snapshot_ns, 400);
SIZE(cell, 512);

AT(budget_words, tokens, 0);
AT(budget_words, size, 8);
AT(budget_words, size_txn, 16);
AT(budget_words, retries, 24);
AT(budget_words, next_turn, 32);
AT(budget_words, refill, 40);
AT(breaker_words, state, 0);
AT(breaker_words, run, 8);
AT(breaker_words, watched, 12);
AT(breaker_words, next_turn, 16);
AT(breaker_words, slow_after_ns, 24);
AT(breaker_words, calls, 32);
AT(breaker_words, use, 40);
AT(breaker_words, left, 48);
AT(breaker_words, ramp, 56);
AT(guard_rings, breaker, 0);
AT(guard_rings, budget, 800);
AT(guard_rings, base, 1600);
AT(guard_rings, round, 1640);
AT(guard_rings, longest, 1648);
AT(guard_rings, probe, 1656);
AT(guard_rings, process, 1912);
AT(guard_rings, transition, 2040);
AT(guard_rings, transitions, 2168);
AT(guard_rings, budget_refused, 2200);
AT(guard_rings, bits, 2208);
AT(guard_rings, holder, 3232);
SIZE(guard_rings, 3488);

AT(stripe, succeeded, 0);
AT(stripe, failed, 4368);
AT(stripe, counter, 8736);
SIZE(stripe, 8960);
_Static_assert(sizeof(struct stripe) % 64 == 0, "no shared cache lines");
_Static_assert(COUNTER_COUNT <= COUNTER_ROOM, "counters");

AT(whole_calls, took, 0);
AT(whole_calls, again, 4368);
AT(whole_calls, attempts, 8736);
SIZE(whole_calls, 8800);
_Static_assert(sizeof(struct call_counts) == sizeof(struct whole_calls) &&
                   sizeof(struct whole_calls) <= sizeof(struct stripe),
               "copied word by word");

AT(declared_rules, hash, 0);
AT(declared_rules, pid, 8);
AT(declared_rules, when_ns, 16);
AT(declared_rules, program, 24);
AT(declared_rules, text, 40);
SIZE(declared_rules, 40 + DECLARED_WORDS * 8);

AT(outcome_slot, key, 0);
AT(outcome_slot, count, 8);
AT(outcome_slot, app, 16);
SIZE(outcome_slot, 64);
AT(outcomes, other, 0);
AT(outcomes, slot, 64);
SIZE(outcomes, 64 + CELL_OUTCOMES * 64);

AT(body, stripe, 0);
AT(body, outcomes, STRIPE_MAX * 8960);
AT(body, guard, 18 * 4096);
AT(body, calls, 18 * 4096 + 3488);
AT(body, declared, 21 * 4096);
AT(body, limits, 22 * 4096);
AT(limits, rate, 0);
AT(limits, hint, 128);
AT(limits, places, 192);
AT(limits, slot, 256);
SIZE(limits, 8256);
_Static_assert(sizeof(struct limits) <= sizeof(struct stripe),
               "copied word by word");
_Static_assert(sizeof(struct body) == BODY_SIZE, "limits: three pages");
_Static_assert(BODY_SIZE % 4096 == 0, "whole pages");

AT(sleeper_slot, claim, 0);
AT(sleeper_slot, filled, 8);
AT(sleeper_slot, wake_ns, 16);
AT(sleeper_slot, cell, 24);
AT(sleeper_slot, attempts, 28);
AT(sleeper_slot, allowed, 32);
AT(sleeper_slot, pid_space, 36);
AT(sleeper_slot, program, 40);
AT(sleeper_slot, outcome, 56);
AT(sleeper_slot, pid, 120);
AT(sleeper_slot, waits_for, 124);
SIZE(sleeper_slot, 128);

AT(process_row, generation, 0);
AT(process_row, pid, 4);
AT(process_row, space, 8);
AT(process_row, asks, 12);
AT(process_row, begun_ns, 16);
AT(process_row, program, 24);
AT(process_row, ask, 64);
SIZE(process_row, 4096);
