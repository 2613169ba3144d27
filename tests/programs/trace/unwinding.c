/* SPDX-License-Identifier: MIT */
/* A program that registers unwind tables at run time, as just-in-time compilers do. libgcc allocates and frees for them
 * while it holds a lock, so call stacks must not be taken then. `unwinding [trace]`, started by leaks.test. */
#include <mcheck.h>
#include <sys/mman.h>

#include "tap.h"

extern void __register_frame(void *tables);
extern void __deregister_frame(void *tables);
extern int _Unwind_Backtrace(int (*see)(void *context, void *data), void *data);

/* One common and one frame entry (DWARF 5, 6.4.1, as .eh_frame has them), and the zero that ends them. */
static struct {
    uint32_t length, id;
    uint8_t version, augmentation, code_align, data_align, return_column, rules[11];
    struct {
        uint32_t length, back;
        uint64_t start, bytes;
        uint8_t rules[8];
    } __attribute__((packed)) frame;
    uint32_t end;
} __attribute__((packed)) tables = {
    .length = 20,
    .version = 1,
    .code_align = 1,
    .data_align = 0x78, /* -8 */
    .return_column = 16,
    .rules = {0x0c, 7, 8, 0x90, 1}, /* the frame lies at rsp + 8, the return address just below */
    .frame = {.length = 28, .back = 28, .bytes = 4096},
};

static int count_frame(void *context, void *data) {
    ++*(int *)data;
    return context == NULL;
}

int main(int count, char **arguments) {
    tap_watchdog(20);
    tables.frame.start = (uintptr_t)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (count > 1 && strcmp(arguments[1], "trace") == 0)
        mtrace();
    __register_frame(&tables);
    int frames = 0;
    _Unwind_Backtrace(count_frame, &frames); /* sorts the new tables: the unwinder allocates */
    free(malloc(100));
    __deregister_frame(&tables); /* ... and frees */
    return frames > 0 ? 0 : 1;
}
