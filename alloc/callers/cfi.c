/* SPDX-License-Identifier: MIT */
#include "callers/cfi.h"

#define REMEMBERED 4 /* rules put aside at a time; compilers put aside one before each epilogue in the middle of a function */

/* Instructions (DW_CFA). Those in the upper two bits have a number in the other six. */
enum {
    ADVANCE = 0x40, OFFSET = 0x80, RESTORE = 0xc0, UPPER = 0xc0,
    NOP = 0x00, SET, ADVANCE1, ADVANCE2, ADVANCE4, OFFSET_EXTENDED, RESTORE_EXTENDED, UNDEFINED, SAME_VALUE, REGISTER, REMEMBER,
    RESTORE_STATE, DEF_CFA, DEF_CFA_REGISTER, DEF_CFA_OFFSET, DEF_CFA_EXPRESSION, EXPRESSION, OFFSET_EXTENDED_SF, DEF_CFA_SF,
    DEF_CFA_OFFSET_SF, VAL_OFFSET, VAL_OFFSET_SF, VAL_EXPRESSION,
    NEGATE_RA_WITH_PC = 0x2c, NEGATE_RA = 0x2d, ARGS_SIZE = 0x2e, NEGATIVE_OFFSET = 0x2f,
};

struct run {
    const struct eh_entry *entry;
    struct eh_reader code;
    uintptr_t at, wanted; /* the address to which the rules apply, and that for which they are asked */
    struct cfi_rules *rules;
    const struct cfi_rules *initial; /* the CIE's, once they are known */
    struct cfi_rules remembered[REMEMBERED];
    unsigned depth;
};

static int32_t fit(struct run *run, int64_t value) {
    if (value < INT32_MIN || value > INT32_MAX)
        run->code.bad = true;
    return (int32_t)value;
}

/* A number from the tables times the entry's factor. */
static int64_t scaled(struct run *run, int64_t number) {
    return (int64_t)((uint64_t)number * (uint64_t)run->entry->data_align);
}

static void set(struct run *run, uint64_t number, enum cfi_how how, int64_t offset) {
    if (number < ARCH_REGISTERS) /* of others, such as those for floating point, nobody asks */
        run->rules->of[number] = (struct cfi_rule){.how = (uint8_t)how, .offset = fit(run, offset)};
}

static void set_cfa(struct run *run, uint64_t number, int64_t offset) {
    if (number >= ARCH_REGISTERS)
        run->code.bad = true;
    run->rules->cfa = (struct cfi_rule){.how = CFI_REGISTER, .number = (uint8_t)number, .offset = fit(run, offset)};
}

static void restore(struct run *run, uint64_t number) {
    if (run->initial == NULL)
        run->code.bad = true;
    else if (number < ARCH_REGISTERS)
        run->rules->of[number] = run->initial->of[number];
}

/* Skips an expression. Returns where its length begins, in bytes from the start of the tables that can be read. */
static int64_t expression(struct run *run) {
    int64_t at = run->code.at - run->entry->base;
    eh_skip(&run->code, eh_uleb(&run->code));
    return at;
}

static void put_aside(struct run *run) {
    if (run->depth == REMEMBERED)
        run->code.bad = true;
    else
        run->remembered[run->depth++] = *run->rules;
}

static void take_back(struct run *run) {
    if (run->depth == 0)
        run->code.bad = true;
    else
        *run->rules = run->remembered[--run->depth];
}

/* Instructions that say where a register is. */
static bool run_register(struct run *run, unsigned op) {
    struct eh_reader *code = &run->code;
    if (op < OFFSET_EXTENDED || op > VAL_EXPRESSION || (op >= REMEMBER && op <= DEF_CFA_EXPRESSION) || op == DEF_CFA_SF ||
        op == DEF_CFA_OFFSET_SF)
        return false;
    uint64_t number = eh_uleb(code);
    switch (op) {
    case OFFSET_EXTENDED: set(run, number, CFI_AT, scaled(run, (int64_t)eh_uleb(code))); break;
    case OFFSET_EXTENDED_SF: set(run, number, CFI_AT, scaled(run, eh_sleb(code))); break;
    case VAL_OFFSET: set(run, number, CFI_IS, scaled(run, (int64_t)eh_uleb(code))); break;
    case VAL_OFFSET_SF: set(run, number, CFI_IS, scaled(run, eh_sleb(code))); break;
    case RESTORE_EXTENDED: restore(run, number); break;
    case UNDEFINED: set(run, number, CFI_UNDEFINED, 0); break;
    case SAME_VALUE: set(run, number, CFI_SAME, 0); break;
    case REGISTER: set(run, number, CFI_REGISTER, (int64_t)eh_uleb(code)); break;
    case EXPRESSION: set(run, number, CFI_AT_EXPRESSION, expression(run)); break;
    default: set(run, number, CFI_IS_EXPRESSION, expression(run));
    }
    return true;
}

/* Instructions that say where the frame is. A new offset, or a new register, belongs to a rule that has the other. */
static bool run_cfa(struct run *run, unsigned op) {
    struct eh_reader *code = &run->code;
    struct cfi_rule *cfa = &run->rules->cfa;
    uint64_t number;
    switch (op) {
    case DEF_CFA:
        number = eh_uleb(code);
        set_cfa(run, number, (int64_t)eh_uleb(code));
        return true;
    case DEF_CFA_SF:
        number = eh_uleb(code);
        set_cfa(run, number, scaled(run, eh_sleb(code)));
        return true;
    case DEF_CFA_REGISTER: set_cfa(run, eh_uleb(code), cfa->offset); return true;
    case DEF_CFA_OFFSET: cfa->offset = fit(run, (int64_t)eh_uleb(code)); return true;
    case DEF_CFA_OFFSET_SF: cfa->offset = fit(run, scaled(run, eh_sleb(code))); return true;
    case DEF_CFA_EXPRESSION:
        *cfa = (struct cfi_rule){.how = CFI_IS_EXPRESSION, .offset = fit(run, expression(run))};
        return true;
    default: return false;
    }
}

/* Returns by how much the address advances; UINT64_MAX if the instruction does something else. */
static uint64_t advance(struct run *run, unsigned op) {
    struct eh_reader *code = &run->code;
    uint64_t by;
    switch (op) {
    case ADVANCE1: by = eh_fixed(code, 1); break;
    case ADVANCE2: by = eh_fixed(code, 2); break;
    case ADVANCE4: by = eh_fixed(code, 4); break;
    case SET: return eh_address(code, run->entry->encoding, 0) - run->at;
    default: return UINT64_MAX;
    }
    return by * run->entry->code_align;
}

static void run_other(struct run *run, unsigned op) {
    uint64_t number;
    switch (op) {
    case NOP: case NEGATE_RA: case NEGATE_RA_WITH_PC: break; /* what tells return addresses from others is always taken off */
    case REMEMBER: put_aside(run); break;
    case RESTORE_STATE: take_back(run); break;
    case ARGS_SIZE: eh_uleb(&run->code); break;
    case NEGATIVE_OFFSET:
        number = eh_uleb(&run->code);
        set(run, number, CFI_AT, -scaled(run, (int64_t)eh_uleb(&run->code)));
        break;
    default: run->code.bad = true;
    }
}

static bool run_all(struct run *run, struct eh_reader code) {
    run->code = code;
    while (run->code.at < run->code.end && !run->code.bad) {
        unsigned op = (unsigned)eh_fixed(&run->code, 1), low = op & ~(unsigned)UPPER;
        uint64_t by = (op & UPPER) == ADVANCE ? low * run->entry->code_align : advance(run, op);
        if (by != UINT64_MAX) {
            if (by > run->wanted - run->at) /* the rules from there on are not those that were asked for */
                break;
            run->at += by;
        } else if ((op & UPPER) == OFFSET)
            set(run, low, CFI_AT, scaled(run, (int64_t)eh_uleb(&run->code)));
        else if ((op & UPPER) == RESTORE)
            restore(run, low);
        else if (!run_register(run, op) && !run_cfa(run, op))
            run_other(run, op);
    }
    return !run->code.bad;
}

bool cfi_run(const struct eh_entry *entry, uintptr_t address, struct cfi_rules *rules) {
    struct run run = {.entry = entry, .at = entry->from, .wanted = address, .rules = rules};
    *rules = (struct cfi_rules){.cfa = {.how = CFI_UNDEFINED}};
    if (!run_all(&run, entry->initial))
        return false;
    struct cfi_rules initial = *rules;
    run.initial = &initial;
    return run_all(&run, entry->own) && rules->cfa.how != CFI_UNDEFINED;
}

struct eh_reader cfi_expression(const struct eh_entry *entry, const struct cfi_rule *rule) {
    struct eh_reader code = entry->own;
    code.at = entry->base + rule->offset;
    code.end = entry->limit;
    uint64_t bytes = eh_uleb(&code);
    if (eh_has(&code, bytes))
        code.end = code.at + bytes;
    else
        code.at = code.end;
    return code;
}
