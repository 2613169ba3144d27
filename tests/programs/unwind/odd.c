/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Loses a block below code that unwinders know little of. `odd WAY`: `pointers` only C functions; `value` a function that keeps
 * a number where others keep the frame pointer; `framed` and `bare` code made at run time, for which there are no tables, with
 * a frame pointer and with a number there. unwind.test looks at the call stacks. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define KEPT __attribute__((noinline))

typedef void way(void (*)(void));

KEPT static void lose(void) {
    *(void *volatile *)&(void *){NULL} = malloc(4321);
    __asm__ volatile("");
}

KEPT static void middle(void (*function)(void)) {
    function();
    __asm__ volatile("");
}

KEPT static void outer(way *way) {
    way(lose);
    __asm__ volatile("");
}

#ifdef __x86_64__
way by_value;
__asm__(".text\nby_value:\n.cfi_startproc\npush %rbp\n.cfi_def_cfa_offset 16\n.cfi_offset %rbp, -16\nmov $12345, %ebp\n"
        "call *%rdi\npop %rbp\n.cfi_restore %rbp\n.cfi_def_cfa_offset 8\nret\n.cfi_endproc\n.type by_value, @function\n"
        ".size by_value, .-by_value");
/* push %rbp, mov %rsp, %rbp, call *%rdi, pop %rbp, ret */
static const unsigned char framed[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
static const unsigned char bare[] = {0x55, 0xbd, 0x39, 0x30, 0, 0, 0xff, 0xd7, 0x5d, 0xc3}; /* the same, mov $12345, %ebp */

static way *made(const unsigned char *code, size_t bytes) {
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        exit(3);
    memcpy(p, code, bytes);
    mprotect(p, 4096, PROT_READ | PROT_EXEC);
    return (way *)(uintptr_t)p;
}
#endif

int main(int count, char **arguments) {
    const char *how = count > 1 ? arguments[1] : "";
    way *way = strcmp(how, "pointers") == 0 ? middle : NULL;
#ifdef __x86_64__
    way = strcmp(how, "value") == 0    ? by_value
          : strcmp(how, "framed") == 0 ? made(framed, sizeof framed)
          : strcmp(how, "bare") == 0   ? made(bare, sizeof bare)
                                       : way;
#endif
    if (way == NULL)
        return 2;
    for (int i = 0; i < 3; i++) /* the second and the third walk know what the first has found */
        outer(way);
    puts("done");
    return 0;
}
