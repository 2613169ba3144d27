/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Says what prctl does with each option, with good arguments and bad ones, called by its name, as dlsym finds it, and in a signal's
 * handler: the same as libc's, whatever stands in for it. prctl.test compares. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { OPTIONS = 72, SECCOMP = 22, CALL_DISPATCH = 59 };

static int (*volatile called)(int, ...) = prctl;

/* Neither filters, nor what would change how the program goes on. */
static int is_left_out(int option) {
    return option == SECCOMP || option == CALL_DISPATCH || option == PR_SET_TSC || option == PR_SET_DUMPABLE;
}

static void say(const char *how, int option, unsigned long a, unsigned long b) {
    errno = 77;
    int result = called(option, a, b, 0ul, 0ul);
    printf("%s: %d %s %s: %d %d\n", how, option, a == 0 ? "0" : "-1", b == 0 ? "0" : "-1", result, errno);
}

static void say_all(const char *how) {
    for (int option = -1; option < OPTIONS; option++) {
        if (is_left_out(option))
            continue;
        say(how, option, 0, 0);
        say(how, option, -1ul, 0);
        say(how, option, 0, -1ul);
    }
    say(how, 0x53564d41, 0, -1ul); /* PR_SET_VMA */
    errno = 77;
    printf("%s: all five: %d", how, called(PR_SET_NO_NEW_PRIVS, 0ul, 0ul, 0ul, 1ul));
    printf(" %d, no more than needed: %d\n", errno, called(PR_GET_DUMPABLE));
}

static void handler(int unused) {
    (void)unused;
    say_all("handler");
}

static void *name(void *unused) {
    char found[17] = "", *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(page + 4096, 4096, PROT_NONE);
    memset(page, 'n', 4096);
    free(malloc(100));
    printf("name: %d", prctl(PR_SET_NAME, page + 4096 - 15));
    printf(" %d %s", prctl(PR_GET_NAME, found), found);
    errno = 77;
    printf(" %d %d", prctl(PR_SET_NAME, page + 4096), errno);
    printf(" %d %d\n", pthread_setname_np(pthread_self(), "sixteen letters."), errno);
    return unused;
}

int main(void) {
    pthread_t thread;
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    say_all("plain");
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    void *found = dlsym(RTLD_DEFAULT, "prctl");
    if (found != NULL) {
        called = (int (*)(int, ...))found;
        say_all("dlsym");
        called = (int (*)(int, ...))dlsym(libc, "prctl");
        say_all("libc's");
        called = prctl;
    }
    signal(SIGUSR1, handler);
    raise(SIGUSR1);
    pthread_create(&thread, NULL, name, NULL);
    pthread_join(thread, NULL);
    return 0;
}
