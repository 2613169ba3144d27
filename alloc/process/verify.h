/* SPDX-License-Identifier: MIT */
/*
 * A walk over all of the allocator's structures that looks whether the invariants named in the headers hold:
 * S1-S4, U1-U2, R1-R3, X1, C1-C2, O1, Z1, K1-K6, L1-L3, H1, H3, P1-P3, P5, P7, G1-G3, Q1, and, while the process has one
 * thread, N1.
 * As U1 and K5 it looks at W1; as H1 and P5 at A1 and A2 of the tables of checked and of mapped hardened blocks. What is broken
 * is named on standard error. H2, P4 and P6 are looked at by mcheck_check_all. No walk can see C3, X2 and N2, which tests look
 * at, nor I1, E1, E2, F1, F2, T1 and T2, which are about what happens over time.
 */
#ifndef MYALLOC_VERIFY_H
#define MYALLOC_VERIFY_H

#include "base/base.h"
#include "kit/report.h"

/* The number of invariants found broken. Any thread that holds no lock; takes all locks (all_locks.h). */
size_t verify_heap(void);

/* In debug builds: from time to time, more seldom the larger the heap, ends the program if something is broken. For
 * slow paths that hold no lock, while this thread's lists are in order. */
void verify_slow(void);

static inline void verify_now_and_then(void) {
    if (MYALLOC_DEBUG)
        verify_slow();
}

#endif
