/* SPDX-License-Identifier: MIT */
/* run: helper
 * One fault a run, as trap.test asks: jumps to where no code is, stacks that are not there, faults where they are hard to tell.
 * The second word says what SIGSEGV leads to before the library's constructor (set in .preinit_array). */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tap.h"

#define PAGE 4096

typedef void function(void);
struct object {
    function *method;
    char data[24];
};

extern const char __ehdr_start[]; /* of this program, by the linker */
static volatile int sink;

static void say(const char *text) {
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        abort();
}

static void leaving(int number) {
    (void)number;
    say("handler\n");
    _exit(7);
}

static void returning(int number) {
    (void)number;
    say("returning handler\n");
}

static void before_constructors(int count, char **words, char **environment) {
    (void)environment;
    if (count > 2)
        signal(SIGSEGV, strcmp(words[2], "leaving") == 0 ? leaving : returning);
}

__attribute__((section(".preinit_array"), used)) static void (*const early)(int, char **, char **) = before_constructors;

/* ---- jumps ------------------------------------------------------------------------------------------------------- */

__attribute__((noinline)) static void call(void *p) {
    ((function *)(uintptr_t)p)();
    say("came back\n"); /* so that it is no jump */
}

__attribute__((noinline, optimize("optimize-sibling-calls"))) static void call_last(void *p) {
    ((function *)(uintptr_t)p)();
}

__attribute__((noinline)) static void call_method(volatile struct object *object) {
    object->method();
    say("came back\n");
}

static void *freed(void) {
    char *volatile p = malloc(40);
    free(p);
    return p;
}

/* As a block of machine code that is unmapped, or a library that is closed. */
static void *unmapped(void) {
    void *p = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p, PAGE);
    return p;
}

__attribute__((noinline)) static bool jump(const char *fault) {
    volatile struct object object = {.method = NULL};
    if (strcmp(fault, "call freed") == 0)
        call(freed());
    else if (strcmp(fault, "jump freed") == 0)
        call_last(freed());
    else if (strcmp(fault, "call live") == 0)
        call(malloc(40));
    else if (strcmp(fault, "call null") == 0)
        call_method(&object);
    else if (strcmp(fault, "call unmapped") == 0)
        call(unmapped());
    else if (strcmp(fault, "call data") == 0)
        call((void *)&sink);
    else if (strcmp(fault, "call odd") == 0)
        call((char *)(uintptr_t)call + 2);
    else if (strcmp(fault, "call nowhere") == 0)
        call((void *)0x4141414141414140);
    else
        return false;
    return true;
}

/* ---- stacks ------------------------------------------------------------------------------------------------------ */

__attribute__((noinline)) static int deeper(int depth) {
    volatile char frame[200];
    frame[depth % 200] = (char)depth;
    return depth == 0 ? 0 : deeper(depth + 1) + frame[0];
}

static void *overflow(void *unused) {
    free(malloc(50)); /* a thread is known from its first call on */
    sink = deeper(1);
    return unused;
}

static void in_thread(void *(*work)(void *)) {
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    pthread_join(thread, NULL);
}

static ucontext_t outside, inside;

static void coroutine(void) {
    free(malloc(50)); /* the call stacks that are kept of it were read from this stack */
    swapcontext(&inside, &outside);
    sink = deeper(1);
}

static void run_coroutine(char *stack, size_t bytes, void (*between)(void *)) {
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = bytes;
    inside.uc_link = &outside;
    makecontext(&inside, coroutine, 0);
    swapcontext(&outside, &inside);
    if (between != NULL)
        between(stack);
    swapcontext(&outside, &inside);
}

static void *fill_stack(void *unused) {
    char local[64];
    memset(local, 1, (size_t)64 << 20); /* upwards, over the end of the stack */
    return unused;
}

static bool lose_stack(const char *fault) {
    if (strcmp(fault, "main overflow") == 0)
        overflow(NULL);
    else if (strcmp(fault, "thread overflow") == 0)
        in_thread(overflow);
    else if (strcmp(fault, "coroutine freed") == 0)
        run_coroutine(malloc(4 * PAGE), 4 * PAGE, free);
    else if (strcmp(fault, "coroutine freed large") == 0)
        run_coroutine(malloc(16 * PAGE), 16 * PAGE, free);
    else if (strcmp(fault, "coroutine overflow") == 0)
        run_coroutine(malloc(16 * PAGE), 16 * PAGE, NULL);
    else if (strcmp(fault, "above the stack") == 0)
        fill_stack(NULL);
    else
        return false;
    return true;
}

/* ---- where it is hard -------------------------------------------------------------------------------------------- */

static void faulting(int number) {
    (void)number;
    *(volatile char *)freed() = 1;
}

/* The loader reads the program's header, and the symbols behind it, to tell a name. */
static void hide_header(void) {
    mprotect((void *)(uintptr_t)__ehdr_start, PAGE, PROT_NONE);
}

static pthread_barrier_t both;

/* A constructor of a library runs under the loader's lock, for which the report of another thread waits. */
static void *fault_in_loader(void *name) {
    sink = dlopen(name, RTLD_NOW) != NULL;
    return NULL;
}

static void meet(void) {
    pthread_barrier_wait(&both);
    usleep(300 * 1000); /* until the other's report waits for the loader */
    *(volatile char *)freed() = 1;
}

static void fault_beside_loader(void) {
    pthread_t thread;
    char text[32], *volatile p = freed();
    snprintf(text, sizeof text, "%p", (void *)(uintptr_t)meet);
    setenv("TRAPPED_MEET", text, 1);
    pthread_barrier_init(&both, NULL, 2);
    pthread_create(&thread, NULL, fault_in_loader, getenv("TRAPPED_PLUGIN"));
    pthread_barrier_wait(&both);
    *p = 1;
}

__attribute__((noinline)) static void meet_difficulty(const char *fault) {
    char *volatile p = freed();
    if (strcmp(fault, "in a handler") == 0) {
        signal(SIGUSR1, faulting);
        raise(SIGUSR1);
    } else if (strcmp(fault, "in its report") == 0) {
        hide_header();
        *p = 1;
    } else if (strcmp(fault, "in another report") == 0) {
        hide_header();
        free(p);
    } else if (strcmp(fault, "beside the loader") == 0) {
        fault_beside_loader();
    } else if (strcmp(fault, "null") == 0) {
        ((volatile struct object *)NULL)->data[0] = 1;
    } else if (strcmp(fault, "nowhere") == 0) {
        *(volatile char *)0x4141414141414140 = 1;
    } else if (strcmp(fault, "wild free") == 0) {
        free((void *)0x4141414141414140);
    }
}

/* ---- the alternate stack ----------------------------------------------------------------------------------------- */

static void *ask_in_thread(void *unused) {
    stack_t stack;
    free(malloc(50));
    sigaltstack(NULL, &stack);
    say(stack.ss_flags & SS_DISABLE ? "thread: none\n" : "thread: a stack\n");
    return unused;
}

static void *set_own(void *unused) {
    static char own[64 * 1024];
    stack_t stack = {.ss_sp = own, .ss_size = sizeof own}, before;
    free(malloc(50));
    bool set = sigaltstack(&stack, &before) == 0 && sigaltstack(NULL, &stack) == 0 && stack.ss_sp == own;
    say(set ? "own: set\n" : "own: refused\n");
    return unused;
}

static size_t mappings(void) {
    size_t lines = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

static void *allocate(void *unused) {
    free(malloc(50));
    return unused;
}

/* Threads come and go, and leave no mapping behind. */
static void ask(void) {
    stack_t stack;
    sigaltstack(NULL, &stack);
    say(stack.ss_flags & SS_DISABLE ? "main: none\n" : "main: a stack\n");
    in_thread(ask_in_thread);
    in_thread(set_own);
    size_t before = mappings();
    for (int i = 0; i < 100; i++)
        in_thread(allocate);
    say(mappings() <= before + 4 ? "mappings: as before\n" : "mappings: more\n");
}

int main(int count, char **words) {
    tap_watchdog(60);
    setvbuf(stdout, NULL, _IONBF, 0);
    if (count < 2)
        ask();
    else if (!jump(words[1]) && !lose_stack(words[1]))
        meet_difficulty(words[1]);
    say("end\n");
    return 0;
}
