/* SPDX-License-Identifier: MIT */
#include "kit/probe.h"

#if ARCH_PROBES
/* A function of its own for each, so that there is one note, and the arguments are where they are passed. The semaphores lie
 * in the file, not among zeroed data: the kernel counts them up by the place that they have there. */
#define PROBE(provider, name, arguments, meaning)                                                                      \
    _Atomic uint16_t provider##_##name##_semaphore __attribute__((used, section(ARCH_PROBE_SECTION)));                 \
    COLD void probe_##name(uintptr_t first, uintptr_t second, uintptr_t third) {                                       \
        ARCH_PROBE(provider, name, ARCH_PROBE_ARGUMENTS_##arguments, first, second, third);                            \
    }
#include "kit/probe.def"
#undef PROBE
#endif
