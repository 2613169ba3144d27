/* SPDX-License-Identifier: MIT */
/* run: helper
 * One fault a run, on guarded pages, as sample.test asks: the first word names it, the second what SIGSEGV led to before the
 * library's constructor (set in .preinit_array), the third what the program sets afterwards. */
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "tap.h"

#define PAGE 4096

void free_sized(void *p, size_t bytes) __attribute__((weak));
void free_aligned_sized(void *p, size_t align, size_t bytes) __attribute__((weak));

static sigjmp_buf back;

static void say(const char *text) {
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        abort();
}

/* ---- what was there before --------------------------------------------------------------------------------------- */

static void plain(int number) {
    say(number == SIGSEGV ? "plain handler\n" : "plain handler, wrong signal\n");
    _exit(7);
}

static void informed(int number, siginfo_t *info, void *context) {
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    bool right = number == SIGSEGV && info->si_addr != NULL && context != NULL;
    say(right ? "informed handler\n" : "informed handler, wrong arguments\n");
    say(sigismember(&blocked, SIGUSR1) ? "SIGUSR1 is blocked\n" : "SIGUSR1 is not blocked\n");
    _exit(8);
}

static void jumping(int number) {
    (void)number;
    siglongjmp(back, 1);
}

static void returning(int number) {
    (void)number;
    say("returning handler\n");
}

static char other_stack[64 * 1024];
static void on_other_stack(int number) {
    char here;
    (void)number;
    say(&here >= other_stack && &here < other_stack + sizeof other_stack ? "on the other stack\n" : "on the usual stack\n");
    _exit(9);
}

static void set(const char *what) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    if (strcmp(what, "plain") == 0) {
        action.sa_handler = plain;
    } else if (strcmp(what, "informed") == 0) {
        action.sa_sigaction = informed;
        action.sa_flags = SA_SIGINFO;
        sigaddset(&action.sa_mask, SIGUSR1);
    } else if (strcmp(what, "ignore") == 0) {
        action.sa_handler = SIG_IGN;
    } else if (strcmp(what, "jumping") == 0) {
        action.sa_handler = jumping;
    } else if (strcmp(what, "once") == 0) { /* it comes back to the fault, which then ends the process */
        action.sa_handler = returning;
        action.sa_flags = SA_RESETHAND;
    } else if (strcmp(what, "stack") == 0) {
        stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
        sigaltstack(&stack, NULL);
        action.sa_handler = on_other_stack;
        action.sa_flags = SA_ONSTACK;
    }
    sigaction(SIGSEGV, &action, NULL);
}

static void before_constructors(int count, char **words, char **environment) {
    (void)environment;
    if (count > 2)
        set(words[2]);
}

__attribute__((section(".preinit_array"), used)) static void (*const early)(int, char **, char **) = before_constructors;

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

static volatile char *shown(void *p) {
    printf("pointer %p\n", p);
    fflush(stdout);
    return p;
}

/* A block that stands at the end of its pages, or at their start. */
static volatile char *at_edge(size_t bytes, bool end) {
    for (int tries = 0; tries < 200; tries++) {
        uintptr_t p = (uintptr_t)malloc(bytes);
        if ((end ? p + bytes : p) % PAGE == 0)
            return shown((void *)p);
    }
    abort();
}

static void *free_it(void *p) {
    free(p);
    return NULL;
}

__attribute__((noinline)) static void *frame_of_allocation(size_t bytes) {
    void *p = malloc(bytes);
    __asm__ volatile("" : "+r"(p)); /* no jump to malloc */
    return p;
}

typedef char vector __attribute__((vector_size(16)));

/* Accesses of all sizes, from the first byte behind a block on, one of them from the block's last bytes on. */
static void touch_behind(const char *fault) {
    volatile char *p = at_edge(48, true) + 48;
    char other[300] = {0};
    if (strcmp(fault, "behind: char") == 0)
        *p = 1;
    else if (strcmp(fault, "behind: short") == 0)
        *(volatile short *)p = 1;
    else if (strcmp(fault, "behind: int") == 0)
        *(volatile int *)p += 1;
    else if (strcmp(fault, "behind: long") == 0)
        *(volatile long *)p = 1;
    else if (strcmp(fault, "behind: double") == 0)
        say(*(volatile double *)p > 1 ? "more\n" : "less\n");
    else if (strcmp(fault, "behind: vector") == 0)
        *(volatile vector *)p = (vector){0};
    else if (strcmp(fault, "behind: half inside") == 0)
        say(*(volatile int *)(p - 2) == 1 ? "one\n" : "other\n");
    else if (strcmp(fault, "behind: memcpy") == 0)
        memcpy((char *)p, other, sizeof other);
    else if (strcmp(fault, "behind: strlen") == 0)
        say(strlen((char *)memset((char *)p - 48, 'x', 48)) == 48 ? "48\n" : "other\n");
#if defined __x86_64__
    void *to = (char *)p - 48, *from = other;
    size_t count = sizeof other;
    if (strcmp(fault, "behind: rep movsb") == 0)
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    if (strcmp(fault, "behind: rep movsq from there") == 0) {
        count = 20;
        __asm__ volatile("rep movsq" : "+D"(from), "+S"(to), "+c"(count) : : "memory");
    }
#endif
}

static void touch(const char *fault) {
    if (strncmp(fault, "behind: ", 8) == 0) {
        touch_behind(fault);
    } else if (strcmp(fault, "read after free") == 0) {
        volatile char *p = shown(frame_of_allocation(40));
        free((void *)p);
        (void)p[3];
    } else if (strcmp(fault, "write after free") == 0) {
        volatile char *p = shown(frame_of_allocation(40));
        pthread_t thread;
        pthread_create(&thread, NULL, free_it, (void *)p);
        pthread_join(thread, NULL);
        p[39] = 1;
    } else if (strcmp(fault, "write behind") == 0) {
        at_edge(48, true)[48] = 1;
    } else if (strcmp(fault, "read far behind") == 0) {
        (void)at_edge(5 * PAGE, true)[5 * PAGE + 100];
    } else if (strcmp(fault, "write before") == 0) {
        at_edge(48, false)[-1] = 1;
    } else if (strcmp(fault, "read of nothing") == 0) {
        (void)*shown(malloc(0));
    } else if (strcmp(fault, "jump") == 0) {
        volatile char *p = shown(malloc(40));
        free((void *)p);
        ((void (*)(void))(uintptr_t)p)();
    } else if (strcmp(fault, "elsewhere") == 0) {
        *(volatile int *)mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) = 1;
    } else if (strcmp(fault, "sent") == 0) {
        raise(SIGSEGV);
    }
}

static void twice(void) {
    for (volatile int i = 0; i < 2; i++)
        if (sigsetjmp(back, 1) == 0)
            touch("read after free");
    say("went on\n");
}

static void misuse(const char *fault) {
    volatile char *p = shown(strcmp(fault, "alignment") == 0 ? memalign(64, 40) : frame_of_allocation(40));
    if (strcmp(fault, "double free") == 0) {
        free((void *)p);
        free((void *)p);
    } else if (strcmp(fault, "inner free") == 0) {
        free((void *)(p + 16));
    } else if (strcmp(fault, "tail") == 0) {
        p[40] ^= 1;
        free((void *)p);
    } else if (strcmp(fault, "head") == 0) {
        while ((uintptr_t)p % PAGE == 0)
            p = shown(frame_of_allocation(40));
        p[-2] ^= 1;
        free((void *)p);
    } else if (strcmp(fault, "size") == 0) {
        free_sized((void *)p, 41);
    } else if (strcmp(fault, "alignment") == 0) {
        free_aligned_sized((void *)p, 32, 40);
    } else if (strcmp(fault, "realloc of freed") == 0) {
        free((void *)p);
        p = realloc((void *)p, 80);
    } else if (strcmp(fault, "size of freed") == 0) {
        free((void *)p);
        malloc_usable_size((void *)p);
    } else if (strcmp(fault, "right") == 0) {
        bool good = malloc_usable_size((void *)p) == 40;
        for (int i = 0; i < 40; i++) {
            good &= p[i] == 0; /* pages come zeroed */
            p[i] = (char)i;
        }
        p = realloc((void *)p, 9000);
        for (int i = 0; i < 40; i++)
            good &= p[i] == i;
        free_sized((void *)p, 9000);
        free_aligned_sized(memalign(256, 100), 256, 100);
        free(malloc(0));
        free(malloc(1 << 20));
        say(good ? "all right\n" : "contents or size are wrong\n");
    }
}

static void ask(void) {
    struct sigaction segv, bus;
    sigaction(SIGSEGV, NULL, &segv);
    sigaction(SIGBUS, NULL, &bus);
    bool none = segv.sa_handler == SIG_DFL && bus.sa_handler == SIG_DFL && segv.sa_flags == 0;
    say(none ? "no handler\n" : segv.sa_flags & SA_ONSTACK ? "a handler on the other stack\n" : "another handler\n");
}

int main(int count, char **words) {
    tap_watchdog(60);
    for (char *c = count > 1 ? strchr(words[1], '_') : NULL; c != NULL; c = strchr(c, '_'))
        *c = ' '; /* gdb splits words */
    setvbuf(stdout, NULL, _IONBF, 0); /* allocates nothing */
    if (count > 3)
        set(words[3]);
    if (count < 2 || strcmp(words[1], "ask") == 0)
        ask();
    else if (strcmp(words[1], "twice") == 0)
        twice();
    else
        (count > 2 ? touch : misuse)(words[1]);
    say("end\n");
    return 0;
}
