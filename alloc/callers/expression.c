/* SPDX-License-Identifier: MIT */
#include "callers/expression.h"

#define DEPTH 16    /* values on the stack; compilers write expressions that need up to four */
#define STEPS 1000  /* operations of one that may go in circles */

/* Operations (DW_OP). */
enum {
    OP_ADDRESS = 0x03, OP_DEREF = 0x06, OP_CONST1U = 0x08, OP_CONST1S, OP_CONST2U, OP_CONST2S, OP_CONST4U, OP_CONST4S,
    OP_CONST8U, OP_CONST8S, OP_CONSTU, OP_CONSTS, OP_DUP, OP_DROP, OP_OVER, OP_PICK, OP_SWAP, OP_ROT, OP_ABS = 0x19, OP_AND,
    OP_DIV, OP_MINUS, OP_MOD, OP_MUL, OP_NEG, OP_NOT, OP_OR, OP_PLUS, OP_PLUS_UCONST, OP_SHL, OP_SHR, OP_SHRA, OP_XOR, OP_BRA,
    OP_EQ, OP_GE, OP_GT, OP_LE, OP_LT, OP_NE, OP_SKIP, OP_LIT0, OP_LIT31 = 0x4f, OP_REG0, OP_REG31 = 0x6f, OP_BREG0,
    OP_BREG31 = 0x8f, OP_REGX, OP_BREGX = 0x92, OP_DEREF_SIZE = 0x94, OP_NOP = 0x96, OP_CALL_FRAME_CFA = 0x9c,
};

struct machine {
    struct expression_of *of;
    struct eh_reader code;
    const uint8_t *start;
    uintptr_t stack[DEPTH];
    unsigned depth;
};

/* The machine's own errors are the reader's: what is bad stops at the end of the operation. */
static void push(struct machine *machine, uintptr_t value) {
    if (machine->depth == DEPTH)
        machine->code.bad = true;
    else
        machine->stack[machine->depth++] = value;
}

static uintptr_t pop(struct machine *machine) {
    if (machine->depth == 0) {
        machine->code.bad = true;
        return 0;
    }
    return machine->stack[--machine->depth];
}

static void push_nth(struct machine *machine, uint64_t below) {
    if (below >= machine->depth)
        machine->code.bad = true;
    else
        push(machine, machine->stack[machine->depth - 1 - below]);
}

static void push_register(struct machine *machine, uint64_t number, int64_t offset) {
    if (number < ARCH_REGISTERS && arch_knows(machine->of->frame, (unsigned)number)) {
        push(machine, machine->of->frame->value[number] + (uintptr_t)offset);
    } else {
        machine->of->unknown = true;
        machine->code.bad = true;
    }
}

/* The word, of which the lower bytes count, at an address. */
static void push_memory(struct machine *machine, uint64_t bytes) {
    uint64_t value = 0;
    if (bytes == 0 || bytes > 8 || !stack_memory_copy(machine->of->memory, pop(machine), &value, bytes))
        machine->code.bad = true;
    push(machine, value);
}

static void jump(struct machine *machine, bool taken) {
    int64_t far = eh_fixed_signed(&machine->code, 2);
    if (!taken || machine->code.bad)
        return;
    if (far < machine->start - machine->code.at || far > machine->code.end - machine->code.at)
        machine->code.bad = true;
    else
        machine->code.at += far;
}

static uintptr_t divided(struct machine *machine, intptr_t a, intptr_t b) {
    if (b == 0 || (a == INTPTR_MIN && b == -1)) {
        machine->code.bad = true;
        return 0;
    }
    return (uintptr_t)(a / b);
}

static uintptr_t shifted(unsigned op, uintptr_t a, uintptr_t by) {
    bool negative = (intptr_t)a < 0;
    if (by >= 64)
        return op == OP_SHRA && negative ? ~(uintptr_t)0 : 0;
    if (op == OP_SHL)
        return a << by;
    uintptr_t filled = op == OP_SHRA && negative && by > 0 ? ~(uintptr_t)0 << (64 - by) : 0;
    return a >> by | filled;
}

static uintptr_t compared(unsigned op, intptr_t a, intptr_t b) {
    switch (op) {
    case OP_EQ: return a == b;
    case OP_GE: return a >= b;
    case OP_GT: return a > b;
    case OP_LE: return a <= b;
    case OP_LT: return a < b;
    default: return a != b;
    }
}

/* An operation on two values, of which b was on top. */
static uintptr_t combined(struct machine *machine, unsigned op, uintptr_t a, uintptr_t b) {
    switch (op) {
    case OP_AND: return a & b;
    case OP_OR: return a | b;
    case OP_XOR: return a ^ b;
    case OP_PLUS: return a + b;
    case OP_MINUS: return a - b;
    case OP_MUL: return a * b;
    case OP_DIV: return divided(machine, (intptr_t)a, (intptr_t)b);
    case OP_MOD:
        machine->code.bad |= b == 0;
        return b != 0 ? a % b : 0;
    case OP_SHL: case OP_SHR: case OP_SHRA: return shifted(op, a, b);
    default: return compared(op, (intptr_t)a, (intptr_t)b);
    }
}

/* Constants: their number is that of bytes and sign, from 1 byte unsigned to 8 bytes signed. */
static uintptr_t constant(struct eh_reader *code, unsigned op) {
    if (op == OP_CONSTU)
        return eh_uleb(code);
    if (op == OP_CONSTS)
        return (uintptr_t)eh_sleb(code);
    unsigned bytes = 1u << ((op - OP_CONST1U) / 2);
    return (op - OP_CONST1U) % 2 ? (uintptr_t)eh_fixed_signed(code, bytes) : eh_fixed(code, bytes);
}

static void rearrange(struct machine *machine, unsigned op) {
    uintptr_t top = op == OP_SWAP || op == OP_ROT ? pop(machine) : 0, second = op == OP_SWAP || op == OP_ROT ? pop(machine) : 0;
    switch (op) {
    case OP_DUP: push_nth(machine, 0); break;
    case OP_DROP: pop(machine); break;
    case OP_OVER: push_nth(machine, 1); break;
    case OP_PICK: push_nth(machine, eh_fixed(&machine->code, 1)); break;
    case OP_ROT: {
        uintptr_t third = pop(machine);
        push(machine, top);
        push(machine, third);
        push(machine, second);
        break;
    }
    default:
        push(machine, top);
        push(machine, second);
    }
}

static void change_top(struct machine *machine, unsigned op) {
    uintptr_t value = pop(machine);
    if (op == OP_NOT)
        value = ~value;
    else if (op == OP_PLUS_UCONST)
        value += eh_uleb(&machine->code);
    else if (op == OP_NEG || (intptr_t)value < 0)
        value = -value;
    push(machine, value);
}

/* Operations that are no ranges of numbers. */
static void run_other(struct machine *machine, unsigned op) {
    uint64_t number;
    switch (op) {
    case OP_ADDRESS: push(machine, eh_fixed(&machine->code, 8)); break;
    case OP_DEREF: push_memory(machine, 8); break;
    case OP_DEREF_SIZE: push_memory(machine, eh_fixed(&machine->code, 1)); break;
    case OP_ABS: case OP_NEG: case OP_NOT: case OP_PLUS_UCONST: change_top(machine, op); break;
    case OP_SKIP: jump(machine, true); break;
    case OP_BRA: jump(machine, pop(machine) != 0); break;
    case OP_REGX: push_register(machine, eh_uleb(&machine->code), 0); break;
    case OP_BREGX:
        number = eh_uleb(&machine->code);
        push_register(machine, number, eh_sleb(&machine->code));
        break;
    case OP_CALL_FRAME_CFA:
        machine->code.bad |= !machine->of->has_cfa;
        push(machine, machine->of->cfa);
        break;
    case OP_NOP: break;
    default: machine->code.bad = true;
    }
}

static void run(struct machine *machine, unsigned op) {
    if (op >= OP_LIT0 && op <= OP_LIT31)
        push(machine, op - OP_LIT0);
    else if (op >= OP_REG0 && op <= OP_REG31)
        push_register(machine, op - OP_REG0, 0);
    else if (op >= OP_BREG0 && op <= OP_BREG31)
        push_register(machine, op - OP_BREG0, eh_sleb(&machine->code));
    else if (op >= OP_CONST1U && op <= OP_CONSTS)
        push(machine, constant(&machine->code, op));
    else if (op >= OP_DUP && op <= OP_ROT)
        rearrange(machine, op);
    else if ((op >= OP_AND && op <= OP_MUL) || op == OP_OR || op == OP_PLUS || (op >= OP_SHL && op <= OP_XOR) ||
             (op >= OP_EQ && op <= OP_NE)) {
        uintptr_t b = pop(machine), a = pop(machine);
        push(machine, combined(machine, op, a, b));
    } else
        run_other(machine, op);
}

bool expression_value(struct expression_of *of, struct eh_reader code, const uintptr_t *first, uintptr_t *value) {
    struct machine machine = {.of = of, .code = code, .start = code.at};
    if (first != NULL)
        push(&machine, *first);
    for (unsigned steps = 0; machine.code.at < machine.code.end && !machine.code.bad; steps++) {
        machine.code.bad |= steps == STEPS;
        run(&machine, (unsigned)eh_fixed(&machine.code, 1));
    }
    *value = pop(&machine);
    return !machine.code.bad;
}
