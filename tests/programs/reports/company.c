/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Three bad frees, for symbolizers.test, in a program that would notice a child: it has a handler of SIGCHLD, waits for any child
 * afterwards, and has a file open. usage: company three | closed (without standard descriptors) | limits (of its own) |
 * ignores (SIGCHLD, so that the kernel keeps no child's status) */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t heard;

static void hear(int number) {
    (void)number;
    heard++;
}

int main(int argc, char **argv) {
    int inside[4];
    if (argc < 2 || open("/dev/null", O_RDONLY) < 0)
        return 2;
    signal(SIGCHLD, strcmp(argv[1], "ignores") == 0 ? SIG_IGN : hear);
    if (strcmp(argv[1], "closed") == 0)
        for (int fd = 0; fd < 3; fd++)
            close(fd);
    if (strcmp(argv[1], "limits") == 0) {
        struct rlimit half = {1 << 30, RLIM_INFINITY}, few;
        setrlimit(RLIMIT_AS, &half);
        setrlimit(RLIMIT_DATA, &half);
        getrlimit(RLIMIT_NOFILE, &few);
        few.rlim_cur = 8; /* enough for two pipes */
        setrlimit(RLIMIT_NOFILE, &few);
        getrlimit(RLIMIT_STACK, &few);
        few.rlim_cur = 0; /* no program starts with that */
        setrlimit(RLIMIT_STACK, &few);
    }
    for (int i = 0; i < 3; i++)
        free(&inside[i]);
    return heard != 0 || waitpid(-1, NULL, 0) != -1 || errno != ECHILD;
}
