/* SPDX-License-Identifier: MIT */
/*
 * Probes: places at which a tracer outside of the process (gdb, bpftrace, perf, OpenTelemetry's profiler) may listen. Nobody
 * listening, one costs a load and a branch, on slow paths only; what it tells is worked out for listeners alone.
 *
 * otel_memory:alloc and :free are those that the design document on memory profiling of OpenTelemetry's eBPF profiler defines:
 * a sampled block, its size as the program asked, and the bytes of allocations that the sample stands for, so that sums of
 * them are right on average; and that a block which was told of is free. The three of `myalloc` tell what the heap and the
 * OS, or the limit, have to do with each other.
 *
 * To add one: a row in probe.def, and its call where it happens.
 */
#ifndef MYALLOC_PROBE_H
#define MYALLOC_PROBE_H

#include <stdatomic.h>

#include "base/arch_probe.h"
#include "base/base.h"

/* For each row of probe.def: PROVIDER_NAME_semaphore, how many listen, written from outside; probe_NAME_is_on(); and
 * probe_NAME(first, second, third), which tells them. */
#if ARCH_PROBES
#define PROBE(provider, name, arguments, meaning)                                                                      \
    extern HIDDEN _Atomic uint16_t provider##_##name##_semaphore;                                                      \
    void probe_##name(uintptr_t first, uintptr_t second, uintptr_t third);                                             \
    static inline bool probe_##name##_is_on(void) {                                                                    \
        return UNLIKELY(atomic_load_explicit(&provider##_##name##_semaphore, memory_order_relaxed) != 0);              \
    }
#else
#define PROBE(provider, name, arguments, meaning)                                                                      \
    static inline void probe_##name(uintptr_t first, uintptr_t second, uintptr_t third) {                              \
        (void)first, (void)second, (void)third;                                                                        \
    }                                                                                                                  \
    static inline bool probe_##name##_is_on(void) {                                                                    \
        return false;                                                                                                  \
    }
#endif
#include "kit/probe.def"
#undef PROBE

#endif
