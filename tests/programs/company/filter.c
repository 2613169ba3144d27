/* SPDX-License-Identifier: MIT */
/* run: helper */
/* A program that shuts itself in once it has started: from then on the kernel ends it for every system call that an allocator
 * has no business with (seccomp). Then threads allocate all sizes, pass blocks on and free them, memory is trimmed, and a child
 * is forked. Prints the number of a call that was not allowed. usage: filter ROUNDS [brk|twice|only|use]: brk is refused, as by
 * some filters; the program first frees a block twice; or does only that, or reading one that is free, and nothing but memory
 * and writing is allowed */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, KEPT = 64 };

static int rounds; /* of each thread: a block made, another dropped */

/* The allocator's: memory (rt_sigprocmask asks whether some can be read), waiting for each other, time and chance; writing and
 * the end; then what threads and a fork need, with their own calls of libc. */
static const int allowed[] = {
    SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_brk, SYS_futex, SYS_clock_gettime,
    SYS_getrandom, SYS_rt_sigprocmask, SYS_write, SYS_exit_group,
    SYS_clone, SYS_clone3, SYS_set_robust_list, SYS_rseq, SYS_exit, SYS_wait4, SYS_rt_sigreturn, SYS_set_tid_address,
};
enum { ALLOWED = sizeof allowed / sizeof *allowed, ALLOWED_ALONE = 12 };

static void not_allowed(int number, siginfo_t *info, void *context) {
    char line[] = "system call 0000\n";
    (void)number, (void)context;
    for (int i = 15, call = info->si_syscall; i >= 12; i--, call /= 10)
        line[i] = (char)('0' + call % 10);
    _exit(write(STDOUT_FILENO, line, sizeof line - 1) > 0 ? 3 : 4);
}

static void shut_in(bool refuse_brk, unsigned allows) {
    struct sock_filter filter[ALLOWED * 2 + 4] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    unsigned short length = 1;
    for (unsigned i = 0; i < allows; i++) {
        bool refuse = refuse_brk && allowed[i] == SYS_brk;
        filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
        filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, refuse ? SECCOMP_RET_ERRNO | 1 : SECCOMP_RET_ALLOW);
    }
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    struct sock_fprog program = {length, filter};
    struct sigaction action = {.sa_sigaction = not_allowed, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &action, NULL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(77);
}

static char *_Atomic passed[KEPT];

static void wrong(const char *what) {
    _exit(write(STDOUT_FILENO, what, strlen(what)) > 0 ? 5 : 6);
}

/* Each block says in its first bytes how long it is, and ends with that number's low byte. */
static char *make(unsigned draw) {
    size_t bytes = draw % 50 == 0 ? 40000 + draw % 3000000 : 24 + draw % 3000;
    char *p = draw % 3 == 0 ? malloc(bytes) : draw % 3 == 1 ? calloc(bytes, 1) : aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    if (p != NULL && draw % 5 == 0)
        p = realloc(p, bytes *= 2);
    if (p == NULL)
        wrong("no memory\n");
    memcpy(p, &bytes, sizeof bytes);
    p[bytes - 1] = (char)bytes;
    return p;
}

static void drop(char *p) {
    size_t bytes;
    if (p == NULL)
        return;
    memcpy(&bytes, p, sizeof bytes);
    if (p[bytes - 1] != (char)bytes)
        wrong("a byte has changed\n");
    free(p);
}

static void *work(void *seed) {
    unsigned draw = (unsigned)(size_t)seed;
    for (int i = 0; i < rounds; i++) {
        draw = draw * 1103515245 + 12345;
        drop(__atomic_exchange_n(&passed[draw >> 8 & (KEPT - 1)], make(draw >> 4), __ATOMIC_ACQ_REL));
        if (i % (rounds / 3) == 0)
            malloc_trim(0);
    }
    return NULL;
}

static void run_threads(void) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)(i + 1)) != 0)
            wrong("no thread\n");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* The block was allocated by a thread that has ended, before the program shut itself in. */
static char *volatile mine;

static void *take(void *unused) {
    prctl(PR_SET_NAME, "taker");
    mine = malloc(40);
    return unused;
}

__attribute__((noinline)) static void misuse(bool use) {
    char *p = mine;
    free(p);
    if (use)
        rounds += *(volatile char *)p;
    else
        free(p);
}

int main(int count, char **arguments) {
    int status = 0;
    pthread_t first; /* libc sets handlers of its own when the first thread is made */
    if (pthread_create(&first, NULL, take, NULL) != 0 || pthread_join(first, NULL) != 0)
        return 9;
    rounds = count > 1 ? atoi(arguments[1]) : 0;
    if (rounds < 3)
        return 10;
    const char *how = count > 2 ? arguments[2] : "";
    bool alone = strcmp(how, "only") == 0 || strcmp(how, "use") == 0;
    shut_in(strcmp(how, "brk") == 0, alone ? ALLOWED_ALONE : ALLOWED);
    if (alone || strcmp(how, "twice") == 0)
        misuse(*how == 'u');
    if (alone)
        _exit(write(STDOUT_FILENO, "done\n", 5) == 5 ? 0 : 7);
    run_threads();
    pid_t child = fork();
    if (child == 0) {
        mine = malloc(40);
        if (strcmp(how, "twice") == 0)
            misuse(false);
        run_threads();
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        return 8;
    for (int i = 0; i < KEPT; i++)
        drop(passed[i]);
    wrong("done\n"); /* by _exit: what is told at the exit may open files */
}
