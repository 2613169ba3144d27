/* SPDX-License-Identifier: MIT */
/*
 * The tunables, which users know as options: one typed, bounded row each in tunables.def. They are read anywhere, as
 * tunables.NAME. They are written at start (environment.h), by mallopt, and by the dynamic rule for mmap_threshold
 * (heap/mapped.h), while other threads read them: so numbers are atomic, which costs a load nothing on x86-64. Whoever writes
 * one opens their pages first (readonly.h). A number is a size_t whatever its kind; SIZE_MAX is "none" where a row allows it,
 * a FLAG is 0 or 1, a CHOICE is 0 off, 1 auto, 2 on. A TEXT is a string, empty by default, and written at start only.
 */
#ifndef MYALLOC_TUNABLES_H
#define MYALLOC_TUNABLES_H

#include "base/base.h"

#define TUNABLE_TEXT_MAX 255
#define LIMIT_CGROUP (SIZE_MAX - 1) /* tunables.limit: what the control group allows */

enum choice { CHOICE_OFF, CHOICE_AUTO, CHOICE_ON };
enum level { LEVEL_OFF, LEVEL_SAMPLE, LEVEL_CHECK, LEVEL_PARANOID };
enum unwinder { UNWINDER_TABLES, UNWINDER_FP };

#define TUNABLE_FIELD_SIZE(name) _Atomic size_t name;
#define TUNABLE_FIELD_COUNT(name) _Atomic size_t name;
#define TUNABLE_FIELD_ANY(name) _Atomic size_t name;
#define TUNABLE_FIELD_MS(name) _Atomic size_t name;
#define TUNABLE_FIELD_FLAG(name) _Atomic size_t name;
#define TUNABLE_FIELD_CHOICE(name) _Atomic size_t name;
#define TUNABLE_FIELD_LEVEL(name) _Atomic size_t name;
#define TUNABLE_FIELD_UNWINDER(name) _Atomic size_t name;
#define TUNABLE_FIELD_LIMIT(name) _Atomic size_t name;
#define TUNABLE_FIELD_TEXT(name) char name[TUNABLE_TEXT_MAX + 1];

struct tunables {
#define TUNABLE(name, kind, value, least, most, parameter, glibc, variable, meaning) TUNABLE_FIELD_##kind(name)
#include "kit/tunables.def"
#undef TUNABLE
};

extern HIDDEN struct tunables tunables;

/* Whether free memory stays until malloc_trim is called or memory runs out: M_TRIM_THRESHOLD is -1, or more than any heap has.
 * Real-time programs, which must not fault later, say so. */
static inline bool tunables_trim_never(void) {
    return tunables.trim_threshold > SIZE_LIMIT;
}

enum tunable_kind {
    TUNABLE_SIZE,
    TUNABLE_COUNT,
    TUNABLE_ANY,
    TUNABLE_MS,
    TUNABLE_FLAG,
    TUNABLE_CHOICE,
    TUNABLE_LEVEL,
    TUNABLE_UNWINDER,
    TUNABLE_LIMIT,
    TUNABLE_TEXT
};

/* A row. No pointers: the table needs no relocation, so a program that sets nothing does not touch it. */
struct tunable {
    char name[24], glibc[24], variable[24];
    int parameter;
    enum tunable_kind kind;
    size_t offset, least, most;
};

enum {
#define TUNABLE(name, kind, value, least, most, parameter, glibc, variable, meaning) TUNABLE_AT_##name,
#include "kit/tunables.def"
#undef TUNABLE
    TUNABLES
};
extern HIDDEN const struct tunable tunables_rows[TUNABLES];

/* Reads `length` characters as a value of the tunable into `into`: 1k is 1024 where sizes are meant. NULL if that is done,
 * else what is wrong, and nothing has changed. Setting mmap_threshold, mmap_max, trim_threshold or top_pad ends the
 * dynamic rule, setting hugetlb sets hugepages. */
const char *tunables_set_text(struct tunables *into, const struct tunable *tunable, const char *text, size_t length);

/* What the tunable is set beside, in words, where it does nothing because that is not set; NULL where it does something. */
const char *tunables_lacks(const struct tunables *values, const struct tunable *tunable);

/* The values that the tunable accepts, in words. Returns `out`. */
char *tunables_allowed(const struct tunable *tunable, char *out, size_t room);

/* The tunable's value in `from`, as it could be given in MYALLOC_OPTIONS. Returns `out`, which must have room for a TEXT and
 * two quotes. */
char *tunables_value(const struct tunables *from, const struct tunable *tunable, char *out, size_t room);

/* Sets the number of a row. False, and nothing has changed, if it is out of the row's bounds or the tunables cannot be written
 * (readonly.h). */
bool tunables_set(size_t at, size_t value);

/* mallopt(3), as glibc: 1 and nothing changes if no tunable has the parameter; 0 and nothing changes if the value is out of
 * bounds, which only M_MXFAST and the M_MYALLOC_ parameters have, or the tunables cannot be written (readonly.h); else 1. */
int tunables_mallopt(int parameter, int value);

#endif
