/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=120 */
/* C++'s operators in a program that has no C++ runtime, and then in one that loads it as a plug-in would, outside the global
 * scope: what happens when memory runs out. */
#include <dlfcn.h>

#include "tap.h"

typedef void handler(void);
typedef handler *set_handler(handler *);

static void *(*new)(size_t), *(*new_nothrow)(size_t, const void *), *(*new_array)(size_t, const void *);
static void *(*new_aligned)(size_t, size_t, const void *), (*delete)(void *);
static set_handler *set_new_handler;
static volatile size_t absurd = PTRDIFF_MAX;
static int asked;

static void *symbol(void *module, const char *name) {
    void *found = dlsym(module, name);
    if (found == NULL)
        printf("# %s is missing\n", name);
    return found;
}

/* Gives up when it is called for the second time. */
static void on_no_memory(void) {
    if (++asked % 2 == 0)
        set_new_handler(NULL);
}

/* What a child says that cannot have its memory; true if it ends by SIGABRT. */
static bool aborts_with(char *said, size_t room) {
    int ends[2], status = 0;
    size_t length = 0;
    if (pipe(ends) != 0)
        return false;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        new(absurd);
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got; length < room - 1 && (got = read(ends[0], said + length, room - 1 - length)) > 0;)
        length += (size_t)got;
    said[length] = '\0';
    close(ends[0]);
    return waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static bool gives_up_after(void *p, int calls) {
    bool right = p == NULL && asked == calls;
    asked = 0;
    return right;
}

int main(void) {
    tap_watchdog(50);
    char said[4096];
    *(void **)&new = symbol(RTLD_DEFAULT, "_Znwm");
    *(void **)&delete = symbol(RTLD_DEFAULT, "_ZdlPv");
    *(void **)&new_nothrow = symbol(RTLD_DEFAULT, "_ZnwmRKSt9nothrow_t");
    *(void **)&new_array = symbol(RTLD_DEFAULT, "_ZnamRKSt9nothrow_t");
    *(void **)&new_aligned = symbol(RTLD_DEFAULT, "_ZnwmSt11align_val_tRKSt9nothrow_t");
    char *p = new(100);
    memset(p, 1, 100);
    delete(p);
    tap(new_nothrow(absurd, NULL) == NULL && new_aligned(absurd, 64, NULL) == NULL, "without a runtime: nothrow gives NULL");
    bool aborted = aborts_with(said, sizeof said);
    tap(aborted && strcmp(said, "myalloc: operator new(9223372036854775807): out of memory, and no C++ runtime to throw "
                                "std::bad_alloc\n") == 0, "and new says why it ends the program");
    void *runtime = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL);
    if (!tap(runtime != NULL, "the C++ runtime is loaded"))
        return tap_done();
    aborted = aborts_with(said, sizeof said);
    tap(aborted && strstr(said, "std::bad_alloc") != NULL && strstr(said, "myalloc") == NULL, "then std::bad_alloc is thrown");
    *(void **)&set_new_handler = symbol(runtime, "_ZSt15set_new_handlerPFvvE");
    tap(new_nothrow(absurd, NULL) == NULL, "nothrow gives NULL");
    set_new_handler(on_no_memory);
    tap(gives_up_after(new_nothrow(absurd, NULL), 2), "once the new-handler gives up");
    set_new_handler(on_no_memory);
    tap(gives_up_after(new_array(absurd, NULL), 2), "so for arrays");
    set_new_handler(on_no_memory);
    tap(gives_up_after(new_aligned(absurd, 64, NULL), 2), "and for aligned objects");
    return tap_done();
}
