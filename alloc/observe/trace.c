/* SPDX-License-Identifier: MIT */
#include "observe/trace.h"

#include <string.h>

#include "os/os.h"
#include "kit/environment.h"
#include "kit/lock.h"
#include "kit/path.h"
#include "kit/report.h"
#include "kit/text.h"
#include "kit/tunables.h"
#include "heap/aside.h"
#include "heap/mode_switch.h"
#include "callers/backtrace.h"
#include "callers/unwind.h"

#define LINE_MOST 1024 /* bytes of a line; a longer name of a module or function is left out */

extern int __cxa_atexit(void (*function)(void *), void *argument, void *dso);

static struct lock trace_lock;
static struct os_file file;
static bool open, unbuffered, exit_arranged;
static _Atomic bool muted; /* in a forked child, whatever of the log it has is its parent's: nothing of it is written */
static char buffer[8 * KIB] BIG_TABLE;
static size_t filled;

/* ---- the buffer and the file ------------------------------------------------------------------------------------- */

static void close_locked(void) {
    os_file_close(&file);
    open = false;
    filled = 0;
}

/* Writes the buffer. Returns 0, or the error number; the log is closed then, and the caller tells so once it has let go of the
 * lock. */
static int flush_locked(void) {
    int error = filled > 0 && !muted ? os_file_write(&file, buffer, filled) : 0;
    filled = 0;
    if (error != 0)
        close_locked();
    return error;
}

static int put_locked(const char *text, size_t length) {
    int error = 0;
    if (filled + length > sizeof buffer)
        error = flush_locked();
    if (error != 0)
        return error;
    memcpy(buffer + filled, text, length);
    filled += length;
    return unbuffered ? flush_locked() : 0;
}

static void given_up(int error) {
    if (error == 0)
        return;
    mode_switch_off(MODE_TRACE);
    report_line("mtrace: cannot go on writing the log: %s; tracing is off", path_error(error));
}

static void at_exit(void *unused) {
    (void)unused;
    if (aside_is_on()) /* the buffer may be half changed */
        return;
    lock_acquire(&trace_lock, LOCK_TRACE);
    unbuffered = true;
    int error = open ? flush_locked() : 0;
    lock_release(&trace_lock, LOCK_TRACE);
    given_up(error);
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* True if a path may stand in a line: glibc's mtrace script splits lines at white space. */
static bool can_stand(const char *path) {
    for (; *path != '\0'; path++)
        if ((unsigned char)*path <= ' ')
            return false;
    return true;
}

/* "@ module:(function+0x1a)[0x11a2] ", as far as that is known; the empty string if the caller is not. Returns the length. */
static size_t format_caller(char *out, size_t room) {
    void *caller;
    struct backtrace_symbol symbol;
    *out = '\0';
    if (unwind_capture(&caller, 1, 0) == 0)
        return 0;
    backtrace_resolve(caller, &symbol, NULL, 0);
    if (symbol.module == NULL)
        return text_format(out, room, "@ [%p] ", (char *)caller - 1);
    size_t function = symbol.function ? strlen(symbol.function) : 0, length = 0;
    if (can_stand(symbol.module) && strlen(symbol.module) + function < room - 100)
        length = text_format(out, room, "@ %s:", symbol.module);
    else
        length = text_format(out, room, "@ ");
    if (function != 0 && length + function < room - 80)
        length += text_format(out + length, room - length, "(%s+%p)", symbol.function, symbol.offset - 1);
    return length + text_format(out + length, room - length, "[%p] ", symbol.module_offset - 1);
}

/* The line is made before the lock is taken: finding names may wait for the loader's lock, whose holder may be waiting for ours
 * in malloc. */
static void put_line(const char *format, const void *p, size_t bytes) {
    char line[LINE_MOST];
    size_t length = format_caller(line, sizeof line);
    length += text_format(line + length, sizeof line - length, format, p, bytes);
    lock_acquire(&trace_lock, LOCK_TRACE);
    int error = open ? put_locked(line, length) : 0;
    lock_release(&trace_lock, LOCK_TRACE);
    given_up(error);
}

void trace_allocated(const void *p, size_t bytes) {
    if (p != NULL)
        put_line("+ %p %p\n", p, bytes);
    else
        put_line("+ (nil) %p\n", (const void *)bytes, 0);
}

void trace_freeing(const void *p) {
    put_line("- %p\n", p, 0);
}

void trace_resizing(const void *p) {
    put_line("< %p\n", p, 0);
}

void trace_resized(const void *old, size_t old_usable, const void *p, size_t bytes) {
    if (p != NULL) {
        put_line("> %p %p\n", p, bytes);
        return;
    }
    put_line("> %p %p\n", old, old_usable);
    put_line("! %p %p\n", old, bytes);
}

/* ---- start and end ----------------------------------------------------------------------------------------------- */

/* The program may have set the variable after it started, so the environment is read here, not with the tunables; a relative
 * path in it leads on from where the program is now, as with glibc. */
static const char *file_name(char *out, size_t room) {
    const char *name = environment_variable("MALLOC_TRACE");
    return name != NULL ? name : path_from_start(tunables.trace, out, room) ? out : "";
}

void trace_start(void) {
    char path[PATH_ROOM];
    const char *name = file_name(path, sizeof path);
    if (*name == '\0' || aside_is_on())
        return;
    unwind_prepare();
    lock_acquire(&trace_lock, LOCK_TRACE);
    bool fresh = !open, arrange = fresh && !exit_arranged;
    int error = fresh ? os_file_create(&file, name) : 0;
    if (fresh && error == 0) {
        open = true;
        exit_arranged = true;
        error = put_locked("= Start\n", 8);
    }
    bool started = open;
    lock_release(&trace_lock, LOCK_TRACE);
    if (error != 0)
        report_line("mtrace: cannot write the log '%s' (see MALLOC_TRACE): %s; nothing is traced", name,
                    path_error(error));
    if (!fresh || !started)
        return;
    if (arrange)
        __cxa_atexit(at_exit, NULL, NULL);
    mode_switch_on(MODE_TRACE);
}

void trace_stop(void) {
    if (aside_is_on())
        return;
    mode_switch_off(MODE_TRACE);
    lock_acquire(&trace_lock, LOCK_TRACE);
    int error = open ? put_locked("= End\n", 6) : 0;
    if (error == 0 && open)
        error = flush_locked();
    if (open)
        close_locked();
    lock_release(&trace_lock, LOCK_TRACE);
    given_up(error);
}

static void child(void) {
    muted = true;
}

/* With the file gone, a log that the child begins is its own. */
static void forked(void) {
    muted = false;
    if (open) {
        close_locked();
        mode_switch_off(MODE_TRACE);
    }
}

const struct lock_set trace_locks = {.rank = LOCK_TRACE, .lock = &trace_lock, .forked = forked, .child = child};
