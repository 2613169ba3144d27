/* SPDX-License-Identifier: MIT */
/* A million live blocks of one size, walked several times: room and locality. [bytes [walks]] */
#include <stdlib.h>

int main(int argc, char **argv) {
    enum { COUNT = 1000000 };
    static long *p[COUNT];
    size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 16;
    int walks = argc > 2 ? atoi(argv[2]) : 100;
    for (long i = 0; i < COUNT; i++)
        *(p[i] = malloc(bytes)) = i;
    long sum = 0;
    for (int w = 0; w < walks; w++)
        for (long i = 0; i < COUNT; i++)
            sum += *p[i];
    return sum != (long)walks * COUNT / 2 * (COUNT - 1);
}
