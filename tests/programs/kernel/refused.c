/* SPDX-License-Identifier: MIT */
/* run: helper */
/* refused CALL ERROR early|late 0: a program that works while the kernel refuses to the allocator one system call, with one
 * error, from before its start or after a while. It must not notice. The filter looks where a call comes from, so libc's own
 * calls are answered as ever. To know before the start where the library will lie, the program starts itself anew, at
 * addresses that are not random: it finds the library, sets the filter, and starts itself once more. refused.test runs it. */
#include "tap.h"
#include "work.h"

#include <link.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static uintptr_t library_start, library_end;

static int find_library(struct dl_phdr_info *module, size_t size, void *unused) {
    (void)size, (void)unused;
    if (strstr(module->dlpi_name, "/libmyalloc") == NULL)
        return 0;
    library_start = module->dlpi_addr;
    for (int i = 0; i < module->dlpi_phnum; i++)
        if (module->dlpi_phdr[i].p_type == PT_LOAD)
            library_end = module->dlpi_addr + module->dlpi_phdr[i].p_vaddr + module->dlpi_phdr[i].p_memsz;
    return 1;
}

static int fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    return 3;
}

/* Allowed, but for this call from the library, whose addresses have one upper half. */
static bool set_filter(int call, int error) {
    uint32_t high = (uint32_t)(library_start >> 32), from = (uint32_t)library_start, to = (uint32_t)library_end;
    unsigned pointer = offsetof(struct seccomp_data, instruction_pointer);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 6),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, pointer + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, pointer),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, from, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, to, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return library_start >> 32 == library_end >> 32 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

static void *thread(void *seed) {
    work_blocks((unsigned)(uintptr_t)seed, 60);
    return NULL;
}

static void work_with_threads(void) {
    pthread_t threads[3];
    for (uintptr_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, thread, (void *)(i + 11));
    work(5);
    pid_t child = fork();
    if (child == 0) {
        work_blocks(13, 30);
        _exit(work_wrong != NULL);
    }
    int status;
    work_must(waitpid(child, &status, 0) == child && status == 0, "a child");
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

int main(int count, char **arguments) {
    if (count != 5)
        return fail("refused CALL ERROR early|late STAGE");
    int call = atoi(arguments[1]), error = atoi(arguments[2]), stage = atoi(arguments[4]);
    bool late = strcmp(arguments[3], "late") == 0;
    tap_watchdog(100);
    dl_iterate_phdr(find_library, NULL);
    if (library_start == 0)
        return fail("the library is not preloaded");
    if (!late && stage < 2) {
        if (stage == 0 && personality(ADDR_NO_RANDOMIZE | PER_LINUX) < 0)
            return fail("personality");
        if (stage == 1 && !set_filter(call, error))
            return fail("seccomp");
        arguments[4] = stage == 0 ? "1" : "2";
        execv("/proc/self/exe", arguments);
        return fail("exec");
    }
    if (late) {
        work_with_threads();
        if (work_wrong == NULL && !set_filter(call, error))
            return fail("seccomp");
    }
    work_with_threads();
    if (work_wrong != NULL)
        fprintf(stderr, "wrong: %s\n", work_wrong);
    return work_wrong != NULL;
}
