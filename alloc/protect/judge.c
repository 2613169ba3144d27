/* SPDX-License-Identifier: MIT */
#include "protect/judge.h"

#include "callers/stacks.h"

/* True if a live block starts at `p`, which is then known to the fault; else the fault is what is wrong. */
static bool judge_pointer(const struct protection *row, const void *p, const char *call, struct fault *fault) {
    *fault = (struct fault){.more = row->more};
    enum found found = row->find(p, &fault->block);
    fault->block_known = found != FOUND_NOTHING;
    if (found == FOUND_LIVE)
        return true;
    fault->kind = found == FOUND_FREED ? fault_of_freed(call) : FAULT_INVALID;
    fault->offset = fault->block_known ? (const char *)p - fault->block.start : 0;
    return false;
}

/* The same, and what is wrong with a live block's memory or with the call. */
static bool judge_call(const struct protection *row, const void *p, const char *call, size_t bytes, size_t align,
                       struct fault *fault) {
    if (!judge_pointer(row, p, call, fault))
        return false;
    row->look(p, false, fault);
    fault_judge(fault, &fault->block, call, bytes, align);
    return true;
}

/* While a fault is told, another thread may free the block: that is judged then. */
void judge_free(const struct protection *row, void *p, const char *call, size_t bytes, size_t align) {
    struct fault_list faults;
    struct fault fault;
    void *left = NULL;
    uint32_t here = stacks_capture();
    faults.count = 0;
    row->lock(p);
    bool live = judge_call(row, p, call, bytes, align, &fault);
    if (fault.kind != FAULT_NONE) {
        row->unlock(p);
        fault_tell(call, p, &fault);
        if (!live)
            return;
        row->lock(p);
        live = judge_pointer(row, p, call, &fault);
    }
    if (live)
        left = row->retire(p, call, here, &faults);
    row->unlock(p);
    if (!live)
        fault_tell(call, p, &fault);
    fault_tell_all(&faults);
    if (live && row->release != NULL)
        row->release(left, call);
}

void judge_use(const struct protection *row, const void *p, const char *call) {
    struct fault fault;
    row->lock(p);
    judge_call(row, p, call, UNSIZED, 0, &fault);
    row->unlock(p);
    if (fault.kind != FAULT_NONE)
        fault_tell(call, p, &fault);
}

bool judge_size(const struct protection *row, const void *p, const char *call, size_t *bytes) {
    struct fault fault;
    row->lock(p);
    bool live = judge_pointer(row, p, call, &fault);
    row->unlock(p);
    if (!live)
        fault_tell(call, p, &fault);
    *bytes = fault.block.bytes;
    return live;
}

void judge_shrink(const struct protection *row, void *p, size_t bytes, const char *call) {
    struct fault_block block;
    uint32_t here = stacks_capture();
    row->lock(p);
    if (row->find(p, &block) == FOUND_LIVE && bytes < block.bytes)
        row->shrink(p, bytes, call, here);
    row->unlock(p);
}

enum mcheck_status judge_probe(const struct protection *row, const void *p, const char *call) {
    struct fault fault;
    row->lock(p);
    if (judge_pointer(row, p, FAULT_USE, &fault) || fault.kind == FAULT_USED_FREED)
        row->look(p, true, &fault);
    row->unlock(p);
    if (fault.kind != FAULT_NONE)
        fault_tell(call, p, &fault);
    return fault_status(fault.kind);
}

void judge_all(const struct protection *row, const char *call) {
    struct protection_cursor cursor = {{0}};
    struct fault_list faults;
    faults.count = 0;
    while (row->look_on != NULL && !fault_is_telling() && row->look_on(&cursor, &faults)) {
        for (unsigned i = 0; i < faults.count; i++)
            faults.entries[i].call = call;
        fault_tell_all(&faults);
        faults.count = 0;
    }
}
