/* SPDX-License-Identifier: MIT */
/*
 * The start of the process, and what is arranged for its end. Nothing has to run before the first malloc: all state is
 * constant-initialised, and what is set up here concerns modes, threads and forks, which come later.
 */
#include <stdlib.h>

#include "base/base.h"
#include "os/os.h"
#include "kit/environment.h"
#include "kit/finding.h"
#include "kit/modes.h"
#include "kit/readonly.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/aside.h"
#include "heap/cache.h"
#include "heap/region.h"
#include "callers/code.h"
#include "callers/unwind.h"
#include "protect/trap.h"
#include "protect/protections.h"
#include "observe/leaks.h"
#include "observe/profile_text.h"
#include "observe/stats.h"
#include "process/background.h"
#include "process/end_signals.h"
#include "process/exit.h"
#include "process/fork.h"
#include "process/mode_start.h"
#include "process/thread.h"
#include "process/verify.h"

/* By this atexit knows whose a function is. What startup files of the compiler define in a program, the shared library, linked
 * without them, has of its own: they would have the loader look for four names that it has no use of. */
HIDDEN const void *const __dso_handle __attribute__((weak)) = &__dso_handle;

/* What a program linked with -lmcheck defines: a function that calls mcheck(NULL). */
extern void (*volatile __malloc_initialize_hook)(void) __attribute__((weak));

/* What is never freed is looked at once more. */
static void check_at_exit(void) {
    if (!exit_leaves_out("the last look at blocks"))
        protections_check(FAULT_AT_EXIT);
}

static void start_modes(void) {
    if (modes_has(MODE_START))
        mode_start();
    if (&__malloc_initialize_hook != NULL && __malloc_initialize_hook != NULL)
        __malloc_initialize_hook();
    if (modes_has(MODE_CHECK | MODE_LEAKS | MODE_GUARDED | MODE_HARDENED | MODE_PROFILE))
        unwind_prepare();
    if (modes_has(MODE_CHECK | MODE_LEAKS | MODE_GUARDED | MODE_HARDENED | MODE_PROFILE) || tunables.background != 0)
        report_thread_life(); /* before the program may shut itself in (seccomp) */
    trap_start();
    if (modes_has(MODE_CHECK | MODE_HARDENED | MODE_GUARDED))
        atexit(check_at_exit);
}

static void verify_at_exit(void) {
    if (!aside_is_on() && verify_heap() > 0)
        os_abort();
}

/* Registered before everybody else's, so it runs after all of them, and after the destructors of libraries. */
static void tell_at_exit(void) {
    if (!exit_leaves_out("stats"))
        stats_write(tunables.stats);
}

static void profile_at_exit(void) {
    if (!exit_leaves_out("profile"))
        profile_tell();
}

/* The same where a signal ends the process. */
static void tell_at_signal(void) {
    if (modes_has(MODE_CHECK | MODE_HARDENED | MODE_GUARDED))
        protections_check(FAULT_AT_EXIT);
    if (modes_has(MODE_LEAKS))
        leaks_report();
    stats_write(tunables.stats);
    if (tunables.profile)
        profile_tell();
}

/* What is read-only from now on. In a static program the code and the pages of RELRO are the program's own to change. */
static void close_all(void) {
    readonly_close();
    if (!MYALLOC_STATIC)
        os_seal_object(close_all);
}

/* The main thread opens its lists now, so that its end is heard of. */
static void start_helper(void) {
    thread_open();
    background_settle();
}

__attribute__((constructor(101))) static void start(void) {
    os_sbrk_prepare();
    environment_read();
    code_started();
    os_fence_below(&cache_self); /* or the first mapping would lie there, and run over into our lists */
    leaks_arrange_status();
    if (tunables.stats[0] != '\0')
        atexit(tell_at_exit);
    if (tunables.profile)
        atexit(profile_at_exit);
    thread_arrange();
    if (MYALLOC_DEBUG)
        atexit(verify_at_exit);
    fork_arrange_late();
    start_modes();
    region_name_early();
    leaks_arrange();
    if (tunables.stats[0] != '\0' || modes_has(MODE_CHECK | MODE_HARDENED | MODE_GUARDED | MODE_LEAKS))
        finding_keep();
    exit_arrange();
    end_signals_arrange(tell_at_signal);
    if (tunables.background != 0)
        start_helper();
    if (tunables.protect == LEVEL_PARANOID)
        close_all();
    if (MYALLOC_DEBUG && environment_variable("MYALLOC_COUNTERS") != NULL)
        atexit(report_counter_line);
}
