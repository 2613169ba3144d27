/* SPDX-License-Identifier: MIT */
#include "protect/trap_stack.h"

#include <elf.h>

#include "os/os.h"
#include "kit/budget.h"
#include "kit/modes.h"

/* The handler takes 7 KiB of it; what the program's handlers find that ask for an alternate stack is no less than
 * what they would make themselves (SIGSTKSZ has 8 KiB, runtimes take 16 to 64). */
#define STACK_BYTES (64 * KIB)

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51 /* of the kernel's <asm/auxvec.h> */
#endif

/* Beside what the kernel itself puts on it, which is much where a processor has large registers. */
static size_t stack_bytes(void) {
    return align_up(STACK_BYTES + os_given(AT_MINSIGSTKSZ), OS_PAGE);
}

void *trap_stack_begin(void) {
    size_t bytes = stack_bytes();
    void *stack = budget_map_piece(bytes);
    if (stack == NULL || os_signal_stack(stack, bytes))
        return stack;
    budget_unmap(stack, bytes);
    return NULL;
}

void *trap_stack_begin_thread_slow(void) {
    if (os_is_shut_in() || !tunables.fault_report || !modes_has(MODE_GUARDED | MODE_HARDENED))
        return NULL;
    return trap_stack_begin();
}

void trap_stack_end(void *stack) {
    if (!os_is_shut_in() && os_signal_stack_end(stack))
        budget_unmap(stack, stack_bytes());
}
