/* SPDX-License-Identifier: MIT */
/* Work of a known amount, the same in loads and in allocators: their ratio is that of the turns on any machine. */
#ifndef TESTS_BENCH_SPIN_H
#define TESTS_BENCH_SPIN_H

enum { SPIN_TURNS = 60000, SLOW_FACTOR = 2, FAT_BYTES = 8192, FATAL_CALL = 500 };

static inline void spin(int turns) {
    for (volatile int i = 0; i < turns; i++)
        ;
}

#endif
