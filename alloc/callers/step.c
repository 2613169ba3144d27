/* SPDX-License-Identifier: MIT */
#include "callers/step.h"

#include "callers/expression.h"

/* The most bytes that a frame of code without tables may have. Where a register that is no frame pointer has a value that looks
 * like one, it is rarely so near. */
#define PLAIN_FRAME_MOST (256 * KIB)

static void set(struct arch_frame *frame, unsigned number, uintptr_t value) {
    frame->value[number] = value;
    frame->known |= UINT64_C(1) << number;
}

/* What is wrong if a value cannot be had. */
static enum step failure(const struct expression_of *of) {
    return of->unknown ? STEP_UNKNOWN : STEP_LOST;
}

static bool find_cfa(const struct eh_entry *entry, const struct cfi_rule *rule, struct expression_of *of) {
    if (rule->how == CFI_IS_EXPRESSION) {
        of->has_cfa = expression_value(of, cfi_expression(entry, rule), NULL, &of->cfa);
    } else if (arch_knows(of->frame, rule->number)) {
        of->cfa = of->frame->value[rule->number] + (uintptr_t)(intptr_t)rule->offset;
        of->has_cfa = true;
    } else {
        of->unknown = true;
    }
    return of->has_cfa;
}

/* The value of a register in the caller. False if it is lost, or cannot be had. */
static bool find_value(const struct eh_entry *entry, const struct cfi_rule *rule, unsigned number, struct expression_of *of,
                       uintptr_t *value) {
    uintptr_t at = of->cfa + (uintptr_t)(intptr_t)rule->offset;
    unsigned from = rule->how == CFI_REGISTER ? (unsigned)rule->offset : number;
    switch (rule->how) {
    case CFI_SAME: case CFI_REGISTER:
        *value = arch_knows(of->frame, from) ? of->frame->value[from] : 0;
        of->unknown |= !arch_knows(of->frame, from);
        return arch_knows(of->frame, from);
    case CFI_AT:
        return stack_memory_read(of->memory, at, value);
    case CFI_IS:
        *value = at;
        return true;
    case CFI_AT_EXPRESSION:
        return expression_value(of, cfi_expression(entry, rule), &of->cfa, &at) && stack_memory_read(of->memory, at, value);
    case CFI_IS_EXPRESSION:
        return expression_value(of, cfi_expression(entry, rule), &of->cfa, value);
    default:
        return false;
    }
}

/* The stack pointer of the caller is the CFA, unless a rule says otherwise. */
enum step step_by_rules(struct arch_frame *frame, const struct eh_entry *entry, const struct cfi_rules *rules,
                        struct stack_memory *memory) {
    struct expression_of of = {.frame = frame, .memory = memory};
    unsigned column = entry->return_column;
    struct arch_frame caller = {.interrupted = entry->signal};
    uintptr_t value;
    if (column >= ARCH_REGISTERS)
        return STEP_LOST;
    if (rules->of[column].how == CFI_UNDEFINED)
        return STEP_END;
    if (!find_cfa(entry, &rules->cfa, &of))
        return failure(&of);
    for (unsigned i = 0; i < ARCH_REGISTERS; i++) {
        of.unknown = false;
        if (i == ARCH_SP && rules->of[i].how == CFI_SAME)
            set(&caller, i, of.cfa);
        else if (find_value(entry, &rules->of[i], i, &of, &value))
            set(&caller, i, value);
        else if (i == column)
            return failure(&of);
    }
    caller.pc = arch_return_address(caller.value[column]);
    *frame = caller;
    return caller.pc != 0 ? STEP_DONE : STEP_END;
}

/* ---- without tables ---------------------------------------------------------------------------------------------- */

bool step_is_signal_return(const struct arch_frame *frame, struct stack_memory *memory) {
    unsigned char code[ARCH_CODE_BYTES + 1];
    return arch_knows(frame, ARCH_SP) && stack_memory_copy(memory, frame->pc, code, ARCH_CODE_BYTES) &&
           arch_is_signal_return(code);
}

enum step step_by_signal(struct arch_frame *frame, struct stack_memory *memory) {
    uintptr_t sp = frame->value[ARCH_SP];
    for (int i = 0; i < (int)ARCH_REGISTERS; i++)
        if (!stack_memory_read(memory, sp + arch_signal_offset(i), &frame->value[i]))
            return STEP_LOST;
    if (!stack_memory_read(memory, sp + arch_signal_offset(-1), &frame->pc))
        return STEP_LOST;
    frame->known = (UINT64_C(1) << ARCH_REGISTERS) - 1;
    frame->interrupted = true;
    return frame->pc != 0 ? STEP_DONE : STEP_END;
}

/* The frame pointer points to that of the caller, which is further up the stack, and behind it lies the return address. */
bool step_read_pointer(uintptr_t fp, uintptr_t sp, struct stack_memory *memory, uintptr_t *above, uintptr_t *pc) {
    if (fp < sp || fp - sp > PLAIN_FRAME_MOST || !stack_memory_read(memory, fp, above) ||
        !stack_memory_read(memory, fp + 8, pc))
        return false;
    *pc = arch_return_address(*pc);
    return *above == 0 || *above > fp;
}

enum step step_by_pointer(struct arch_frame *frame, struct stack_memory *memory) {
    uintptr_t at = frame->value[ARCH_FP], above, pc;
    if (!arch_knows(frame, ARCH_FP) || !arch_knows(frame, ARCH_SP) ||
        !step_read_pointer(at, frame->value[ARCH_SP], memory, &above, &pc))
        return STEP_LOST;
    frame->known = 0;
    set(frame, ARCH_FP, above);
    set(frame, ARCH_SP, at + 16);
    frame->pc = pc;
    frame->interrupted = false;
    set(frame, ARCH_RA, pc);
    return pc != 0 ? STEP_DONE : STEP_END;
}

enum step step_by_call(struct arch_frame *frame, struct stack_memory *memory) {
    uintptr_t pc = frame->value[ARCH_RA];
    if (ARCH_CALL_PUSHES) {
        if (!stack_memory_read(memory, frame->value[ARCH_SP], &pc))
            return STEP_LOST;
        frame->value[ARCH_SP] += sizeof pc;
    }
    frame->pc = arch_return_address(pc);
    frame->interrupted = false;
    return frame->pc != 0 ? STEP_DONE : STEP_END;
}
