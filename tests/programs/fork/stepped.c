/* SPDX-License-Identifier: MIT */
/* run: libs=so timeout=900 effort=20 */
/*
 * A signal handler that allocates, though it must not, after each single instruction of the library: the processor's trap
 * flag raises SIGTRAP after every one, and at the Nth the handler uses the allocator, for N = 1, 2, ... to the end of the
 * call, each in a process of its own. Every outcome must be right, or told in one line and abort. Only between reading and
 * writing the head of a list may a block be handed out twice, or one be lost: how many instructions that is, is counted.
 * A handler that does not allocate, but forks, or that calls exit() and so never returns, must come to a right end at every
 * instruction: in parent and child, with one thread and with two, and in the functions that run at exit.
 * --all leaves no instruction out, --verbose lists where something went wrong.
 */
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/ucontext.h>

#include "tap.h"

int myalloc_check_heap(void);
#pragma weak myalloc_check_heap

enum outcome { RIGHT, TOLD, LOST, TWICE, HUNG, OTHER, ENDED, OUTCOMES };
static const char *const words[] = {"right", "told", "one lost", "handed out twice", "hung", "something else"};

#if defined(__x86_64__)

enum { HELD = 400, TRAP_FLAG = 0x100 };

static uintptr_t code_start, code_end;
static volatile long step, wanted;
enum { LINKS = 16, WINDOW = 6 }; /* bytes that a free block's links take; instructions that a list is open for, at most */
static unsigned char *given[3], *handed[1000];
static size_t block_bytes, live_before;
static const char *action;
static volatile uintptr_t *where; /* shared with the parent: the instruction that comes next */

static int find_code(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size, (void)data;
    for (int i = 0; strstr(info->dlpi_name, "libmyalloc") != NULL && i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
            code_start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            code_end = code_start + info->dlpi_phdr[i].p_memsz;
            *where = info->dlpi_addr;
        }
    return 0;
}

/* Behind the links: a block that is in a list, too, does not break the list, so that this is told from other faults. Not
 * all of it: each byte may be a step. */
static void *fill(unsigned char *p, int value) {
    p[LINKS] = p[block_bytes - 1] = (unsigned char)value;
    return p;
}

static bool is_child; /* of the handler's fork: it goes on with the call, like its parent */

static bool forks(void) {
    return strncmp(action, "forks", 5) == 0;
}

/* The child's verdict is the parent's, if it is not right. */
static void fork_here(void) {
    pid_t id = fork();
    is_child = id == 0;
    if (is_child) {
        tap_alarm(10);
        return;
    }
    int status = tap_wait(id);
    if (status != 0)
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status) == SIGALRM ? HUNG : OTHER);
}

/* What the handler does: keeps blocks, frees others, or both in turn; or what needs no allocation. */
static void act(void) {
    if (forks())
        fork_here();
    else if (strcmp(action, "exits") == 0)
        exit(RIGHT);
    else if (strcmp(action, "keeps") == 0) {
        for (int i = 0; i < 3; i++)
            given[i] = fill(malloc(block_bytes), 100 + i);
    } else if (strcmp(action, "frees") == 0) {
        for (int i = 0; i < 3; i++)
            free(given[i]);
        memset(given, 0, sizeof given);
    } else {
        for (int i = 0; i < 3; i++)
            free(fill(malloc(block_bytes), 90));
    }
}

/* libc's copy of a block may be one instruction that traps after each byte: its rest is done here at once. */
static void end_copy(const unsigned char *code, greg_t *registers) {
    if (code[0] != 0xf3 || code[1] != 0xa4) /* rep movsb */
        return;
    size_t bytes = (size_t)registers[REG_RCX];
    memcpy((void *)registers[REG_RDI], (const void *)registers[REG_RSI], bytes);
    registers[REG_RDI] += (greg_t)bytes;
    registers[REG_RSI] += (greg_t)bytes;
    registers[REG_RCX] = 0;
}

static void trapped(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uintptr_t at = (uintptr_t)registers[REG_RIP];
    if (at < code_start || at >= code_end)
        end_copy((const unsigned char *)at, registers);
    else if (++step == wanted) {
        *where = at;
        act();
        registers[REG_EFL] &= ~TRAP_FLAG;
    }
}

static inline void stepping(bool on) {
    uint64_t flags;
    __asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
    flags = on ? flags | TRAP_FLAG : flags & ~(uint64_t)TRAP_FLAG;
    __asm__ volatile("pushq %0; popfq" : : "r"(flags) : "memory", "cc");
}

/* ---- what is interrupted ----------------------------------------------------------------------------------------- */

static unsigned char *held[HELD];
static size_t held_count;

static void hold(size_t count) {
    for (; held_count < count; held_count++)
        held[held_count] = fill(malloc(block_bytes), 7);
}

static void release(size_t count) {
    while (count-- > 0)
        free(held[--held_count]);
}

static void with_list(void) { /* blocks in the list, and room for more */
    hold(100);
    release(5);
}

static void with_empty_list(void) {
    hold(100);
    while (mallinfo2().fsmblks > 0 && held_count < HELD - 1)
        hold(held_count + 1);
}

static void with_full_list(void) { /* the next free finds no room: seen by the blocks that go elsewhere */
    hold(300);
    release(150);
}

static void nothing(void) {
}

static void allocate(void) {
    held[held_count] = fill(malloc(block_bytes), 7);
    held_count++;
}

static void clear(void) {
    held[held_count] = fill(calloc(1, block_bytes), 7);
    held_count++;
}

static void free_one(void) {
    free(held[--held_count]);
}

static void free_many(void) {
    for (int i = 0; i < 20; i++)
        free(held[--held_count]);
}

static void resize(void) {
    size_t last = held_count - 1;
    held[last] = fill(realloc(held[last], block_bytes * 3), 7);
}

static void trim(void) {
    malloc_trim(0);
}

static void count_all(void) {
    (void)mallinfo2();
}

static void *do_nothing(void *unused) {
    return unused;
}

/* libc keeps the stack of a thread that has ended, with what it has allocated for it, for the next. */
static void with_a_stack(void) {
    pthread_t id;
    pthread_create(&id, NULL, do_nothing, NULL);
    pthread_join(id, NULL);
    live_before = mallinfo2().uordblks;
}

static void *allocate_first(void *stack) {
    sigaltstack(stack, NULL);
    stepping(true);
    allocate();
    stepping(false);
    if (myalloc_check_heap() != 0) /* while this thread's lists are there to be looked at */
        _exit(LOST);
    if (is_child) /* whose only thread this is */
        _exit(RIGHT);
    return NULL;
}

static void in_a_thread(void) {
    static char memory[65536];
    static stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    pthread_t id;
    stepping(false);
    pthread_create(&id, NULL, allocate_first, &stack);
    pthread_join(id, NULL);
}

struct scenario {
    const char *name;
    size_t bytes;
    void (*prepare)(void), (*call)(void);
    int heads;  /* places in the code where the head of a list is read and written */
    int stride; /* only each so manieth instruction, of long calls */
    long most;  /* no further than so many instructions; 0: to the end */
};

static const struct scenario scenarios[] = {
    {"malloc of 64 bytes", 64, with_list, allocate, 1, 1, 0},
    {"free of 64 bytes", 64, with_list, free_one, 1, 1, 0},
    {"calloc of 64 bytes", 64, with_list, clear, 1, 1, 0},
    {"malloc of 2000 bytes", 2000, with_list, allocate, 1, 23, 0},
    {"malloc of 64 bytes, list empty", 64, with_empty_list, allocate, 1, 17, 0},
    {"malloc of 72 bytes, the first of its size", 72, nothing, allocate, 0, 11, 0},
    {"20 frees of 64 bytes beyond the list", 64, with_full_list, free_many, 1, 31, 0},
    {"free of 3000 bytes", 3000, with_full_list, free_one, 1, 13, 0},
    {"realloc of 100 bytes to 300", 100, with_list, resize, 2, 29, 0},
    {"malloc of 50000 bytes", 50000, with_list, allocate, 0, 19, 0},
    {"free of 50000 bytes", 50000, with_list, free_one, 0, 19, 0},
    {"malloc of 1 MiB", 1 << 20, nothing, allocate, 0, 17, 0},
    {"realloc of 100000 bytes to 300000", 100000, with_list, resize, 0, 41, 0},
    {"a thread's first malloc, of 64 bytes", 64, with_a_stack, in_a_thread, 0, 2, 200},
    {"malloc_trim", 64, with_full_list, trim, 0, 797, 0},
    {"mallinfo2", 64, with_list, count_all, 0, 797, 0},
};

/* ---- one run ----------------------------------------------------------------------------------------------------- */

static bool holds(const unsigned char *p, unsigned char value) {
    return p == NULL || (p[LINKS] == value && p[block_bytes - 1] == value);
}

static void free_all(unsigned char **blocks, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
}

/* All blocks of the program and of the handler hold what they should, also after many more have been handed out; and when
 * all are free, nothing is in use. */
static enum outcome judge(void) {
    bool whole = true;
    for (size_t i = 0; i < sizeof handed / sizeof *handed && i * block_bytes < 128 << 10; i++)
        handed[i] = fill(malloc(block_bytes), 50);
    for (size_t i = 0; i < held_count; i++)
        whole = whole && holds(held[i], 7);
    for (int i = 0; i < 3; i++)
        whole = whole && (strcmp(action, "keeps") != 0 || holds(given[i], (unsigned char)(100 + i)));
    if (!whole)
        return TWICE;
    free_all(held, held_count);
    free_all(given, 3);
    free_all(handed, sizeof handed / sizeof *handed);
    malloc_trim(0);
    return mallinfo2().uordblks == live_before && myalloc_check_heap() == 0 ? RIGHT : LOST;
}

/* Runs at exit, of which no function but this was interrupted: blocks from before can be freed and resized, new ones come in
 * nobody's place. */
static void at_exit(void) {
    bool whole = true;
    size_t count = held_count < 50 ? held_count : 50; /* not the last, which may be the call's */
    for (size_t i = 0; i < count / 2; i++)
        free(held[i]);
    for (size_t i = 0; i < 100; i++)
        handed[i] = fill(i % 3 == 0 ? calloc(1, block_bytes)
                                    : realloc(i % 3 == 1 ? malloc(block_bytes / 2) : NULL, block_bytes), 50);
    for (size_t i = count / 2; i < count; i++)
        whole = whole && holds(held[i], 7);
    for (size_t i = count / 2; i < count; i++)
        whole = whole && holds(held[i] = realloc(held[i], block_bytes * 2), 7);
    free_all(handed, 100);
    if (!whole)
        _exit(TWICE);
}

static void *sleep_on(void *unused) {
    pause();
    return unused;
}

static _Noreturn void child(const struct scenario *scenario, int errors) {
    static char stack[65536];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction trap = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    dup2(errors, STDERR_FILENO);
    tap_alarm(10);
    sigaltstack(&other, NULL);
    sigaction(SIGTRAP, &trap, NULL);
    pthread_t id;
    if (strcmp(action, "forks among threads") == 0)
        pthread_create(&id, NULL, sleep_on, NULL);
    if (strcmp(action, "exits") == 0)
        atexit(at_exit);
    live_before = mallinfo2().uordblks;
    scenario->prepare();
    if (strcmp(action, "frees") == 0)
        for (int i = 0; i < 3; i++)
            given[i] = malloc(block_bytes);
    stepping(true);
    scenario->call();
    stepping(false);
    _exit(step < wanted ? ENDED : judge());
}

static enum outcome told(int errors) {
    static const char text[] = "called by a signal handler that interrupted the allocator";
    char line[1024];
    ssize_t length = pread(errors, line, sizeof line - 1, 0);
    line[length > 0 ? length : 0] = '\0';
    char *summary = strstr(line, "\nSUMMARY: myalloc: ");
    bool one = summary != NULL && strstr(summary + 1, "\nSUMMARY") == NULL;
    if (!one || strncmp(line, "==", 2) != 0 || strstr(line, ": myalloc: ") == NULL)
        return OTHER;
    return strstr(line, text) != NULL ? TOLD : strstr(line, "double free") != NULL ? TWICE : OTHER;
}

static enum outcome run(const struct scenario *scenario, long at) {
    int errors = memfd_create("errors", 0), status = 0;
    block_bytes = scenario->bytes;
    wanted = at;
    pid_t id = fork();
    if (id == 0)
        child(scenario, errors);
    waitpid(id, &status, 0);
    enum outcome outcome = WIFEXITED(status) && WEXITSTATUS(status) <= ENDED ? (enum outcome)WEXITSTATUS(status)
                           : WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? told(errors)
                           : WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? HUNG
                                                                                : OTHER;
    close(errors);
    return outcome;
}

/* Distinct instructions at which something went wrong that is allowed there only. */
static bool is_new(uintptr_t at) {
    static uintptr_t seen[100];
    size_t i = 0;
    if (at == 0) {
        memset(seen, 0, sizeof seen);
        return false;
    }
    while (i < 99 && seen[i] != 0 && seen[i] != at)
        i++;
    bool fresh = seen[i] == 0;
    seen[i] = at;
    return fresh;
}

/* `strict`: every outcome must be right. */
static void step_through(const struct scenario *scenario, uintptr_t base, bool verbose, bool all, bool strict) {
    long counts[OUTCOMES] = {0}, steps = 0, open = 0, stride = strict ? 2 * scenario->stride - 1 : scenario->stride;
    stride = all ? 1 : stride > 1 ? stride * 100 / tap_effort(100) : stride;
    is_new(0);
    for (long at = 1;; at += stride) {
        enum outcome outcome = run(scenario, at);
        if (outcome == ENDED || counts[HUNG] > 3 || (scenario->most > 0 && at > scenario->most))
            break;
        counts[outcome]++;
        steps++;
        open += (outcome == LOST || outcome == TWICE) && is_new(*where);
        if (outcome > TWICE || (strict && outcome != RIGHT) || (outcome > TOLD && (verbose || scenario->heads == 0)))
            printf("# at %#lx: %s\n", (long)(*where - base), words[outcome]);
    }
    tap(steps > 0 && counts[HUNG] + counts[OTHER] == 0 && open <= scenario->heads * WINDOW &&
        (!strict || counts[RIGHT] == steps),
        "%s, handler %s: %ld processes, %ld right, %ld told, %ld lost, %ld twice, %ld hung; %ld instructions open",
        scenario->name,
        action, steps, counts[RIGHT], counts[TOLD], counts[LOST], counts[TWICE], counts[HUNG], open);
}

int main(int argc, char **argv) {
    static const char *const actions[] = {"keeps", "frees", "both", "forks", "forks among threads", "exits"};
    where = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    dl_iterate_phdr(find_code, NULL);
    uintptr_t base = *where;
    bool all = argc > 1 && (strcmp(argv[1], "--all") == 0 || strcmp(argv[1], "--soak") == 0);
    bool verbose = argc > 1 && strcmp(argv[1], "--verbose") == 0;
    block_bytes = 40; /* the loader finds the functions now, not step by step */
    free(realloc(fill(calloc(1, 40), 1), 80));
    free(malloc(40));
    malloc_trim(0);
    count_all();
    if (!tap(code_start != 0, "the library's code is found"))
        return tap_done();
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        for (size_t k = 0; k < sizeof actions / sizeof *actions; k++) {
            action = actions[k];
            if (k == 1 && scenarios[i].prepare == nothing) /* it would not be the first call */
                continue;
            step_through(&scenarios[i], base, verbose, all, k > 2);
        }
    return tap_done();
}

#else

int main(void) {
    printf("ok 1 # SKIP single steps are made by the trap flag of x86-64\n1..1\n");
    return 0;
}

#endif
