/* SPDX-License-Identifier: MIT */
/* children COUNT MIB: COUNT children hold MIB each, all at the same time. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 2, ready[2], go[2];
    size_t bytes = (argc > 2 ? strtoul(argv[2], NULL, 10) : 16) << 20;
    char byte = 0;
    if (pipe(ready) != 0 || pipe(go) != 0)
        abort();
    for (int i = 0; i < count; i++)
        if (fork() == 0) {
            void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
            close(go[1]);
            _exit(p == MAP_FAILED || write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 0);
        }
    for (int i = 0; i < count; i++)
        if (read(ready[0], &byte, 1) != 1)
            abort();
    usleep(300000);
    close(go[1]);
    for (int i = 0, status; i < count; i++)
        if (wait(&status) < 0 || status != 0)
            return 1;
    return 0;
}
