/* SPDX-License-Identifier: MIT */
/* glibc's questions and orders to its malloc (rank 17), answered from stats.h: glibc manual, "Statistics for Memory
 * Allocation with malloc" and "Malloc Tunable Parameters". */
#include <errno.h>
#include <malloc.h>
#include <mcheck.h>
#include <stdio.h>
#include <unistd.h>

#include "base.h"
#include "environment.h"
#include "front.h"
#include "os.h"
#include "report.h"
#include "stats.h"
#include "trace.h"
#include "tunables.h"
#include "watch.h"

EXPORT int mallopt(int parameter, int value) {
    environment_read();
    if (!tunables_mallopt(parameter, value))
        return 0;
    if (parameter == M_CHECK_ACTION)
        report_action = (unsigned)value & (REPORT_SAY | REPORT_ABORT | REPORT_SHORT);
    if (parameter == M_PERTURB && tunables.perturb != 0)
        watch_on(WATCH_PERTURB);
    else if (parameter == M_PERTURB)
        watch_off(WATCH_PERTURB);
    return 1;
}

EXPORT struct mallinfo2 mallinfo2(void) {
    struct stats stats;
    stats_read(&stats);
    return (struct mallinfo2){
        .arena = stats.heap,
        .ordblks = stats.free >> UNIT_SHIFT,
        .hblks = stats.mapped_count,
        .hblkhd = stats.mapped,
        .fsmblks = stats.cached,
        .uordblks = stats.live - stats.mapped,
        .fordblks = stats.heap - (stats.live - stats.mapped),
        .keepcost = stats.top,
    };
}

static int as_int(size_t n) {
    return n > INT_MAX ? INT_MAX : (int)n;
}

/* The fields of the old structure are int: what does not fit is INT_MAX, not a remainder. */
EXPORT struct mallinfo mallinfo(void) {
    struct mallinfo2 info = mallinfo2();
    return (struct mallinfo){
        .arena = as_int(info.arena),
        .ordblks = as_int(info.ordblks),
        .hblks = as_int(info.hblks),
        .hblkhd = as_int(info.hblkhd),
        .fsmblks = as_int(info.fsmblks),
        .uordblks = as_int(info.uordblks),
        .fordblks = as_int(info.fordblks),
        .keepcost = as_int(info.keepcost),
    };
}

EXPORT void malloc_stats(void) {
    struct stats stats;
    stats_read(&stats);
    char text[512];
    size_t length = report_format(text, sizeof text,
                                  "Arena 0:\nsystem bytes     = %z\nin use bytes     = %z\n"
                                  "Total (incl. mmap):\nsystem bytes     = %z\nin use bytes     = %z\n"
                                  "max mmap regions = %z\nmax mmap bytes   = %z\n",
                                  stats.heap, stats.live - stats.mapped, stats.taken, stats.live, stats.mapped_count,
                                  stats.mapped);
    os_write(STDERR_FILENO, text, length);
}

EXPORT int malloc_info(int options, FILE *stream) {
    if (options != 0)
        return EINVAL;
    struct stats stats;
    stats_read(&stats);
    size_t free_bytes = stats.home + stats.cached + stats.free;
    fprintf(stream,
            "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n</sizes>\n"
            "<total type=\"fast\" count=\"0\" size=\"%zu\"/>\n<total type=\"rest\" count=\"0\" size=\"%zu\"/>\n"
            "<system type=\"current\" size=\"%zu\"/>\n</heap>\n",
            stats.cached, stats.home + stats.free, stats.heap);
    fprintf(stream,
            "<total type=\"fast\" count=\"0\" size=\"%zu\"/>\n<total type=\"rest\" count=\"0\" size=\"%zu\"/>\n"
            "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n<system type=\"current\" size=\"%zu\"/>\n"
            "<live blocks=\"%zu\" size=\"%zu\"/>\n</malloc>\n",
            stats.cached, free_bytes - stats.cached, stats.mapped_count, stats.mapped, stats.taken, stats.live_blocks,
            stats.live);
    return 0;
}

EXPORT void mtrace(void) {
    trace_start();
}

EXPORT void muntrace(void) {
    trace_stop();
}

EXPORT int malloc_trim(size_t pad) {
    return front_trim(pad) > 0;
}

#if MYALLOC_STATIC
/* libc.a's fork and thread exit refer to these; undefined, they would pull in its malloc.o and clash with ours. What they
 * stand for is done in process.c. */
void __malloc_fork_lock_parent(void) {}
void __malloc_fork_unlock_parent(void) {}
void __malloc_fork_unlock_child(void) {}
void __malloc_arena_thread_freeres(void) {}
#endif
