/* SPDX-License-Identifier: MIT */
/* The libFuzzer target of the calls. Inputs are changed by whole calls, so that what a change does not touch keeps its
 * meaning. */
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
                                 size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    calls_run(data, size);
    return 0;
}

static uint64_t state;

static size_t below(size_t bound) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return bound ? (state >> 11) % bound : 0;
}

static uint8_t *at_call(uint8_t *data, size_t index) {
    return data + HEAD + index * CALL;
}

static size_t insert(uint8_t *data, size_t count, size_t at, size_t more) {
    memmove(at_call(data, at + more), at_call(data, at), (count - at) * CALL);
    return count + more;
}

/* Kinds that make or free blocks are drawn more often, and slots near those of other calls. */
static void random_call(uint8_t *data, size_t count, uint8_t *call) {
    static const uint8_t common[] = {CALL_MALLOC, CALL_CALLOC,     CALL_REALLOC,    CALL_REALLOC,
                                     CALL_FREE,   CALL_FREE,       CALL_MEMALIGN,   CALL_BURST,
                                     CALL_BURST,  CALL_FREE_RANGE, CALL_FREE_RANGE, CALL_NEW};
    for (size_t i = 0; i < CALL; i++)
        call[i] = (uint8_t)below(256);
    unsigned thread = below(3) ? 0 : (unsigned)below(THREADS);
    call[0] = (uint8_t)(thread * CALL_KINDS + (below(3) ? common[below(sizeof common)] : below(CALL_KINDS)));
    if (count > 0 && below(3))
        call[1] = (uint8_t)(at_call(data, below(count))[1] + below(3));
    if (count > 0 && below(3) == 0)
        memcpy(call + 2, at_call(data, below(count)) + 2, 2);
}

static size_t change(uint8_t *data, size_t count, size_t most) {
    uint8_t call[CALL];
    size_t at = below(count), length = 1 + below(count - at < 8 ? count - at : 8);
    switch (below(10)) {
    case 0:
    case 1:
    case 2: /* one more */
        random_call(data, count, call);
        if (count == most)
            return count;
        at = below(count + 1);
        count = insert(data, count, at, 1);
        memcpy(at_call(data, at), call, CALL);
        return count;
    case 3: /* some less */
        if (length >= count)
            return count;
        memmove(at_call(data, at), at_call(data, at + length), (count - at - length) * CALL);
        return count - length;
    case 4: { /* some again, elsewhere */
        uint8_t copy[8 * CALL];
        if (count + length > most)
            return count;
        memcpy(copy, at_call(data, at), length * CALL);
        at = below(count + 1);
        count = insert(data, count, at, length);
        memcpy(at_call(data, at), copy, length * CALL);
        return count;
    }
    case 5: { /* two change places */
        uint8_t *other = at_call(data, below(count));
        memcpy(call, other, CALL);
        memmove(other, at_call(data, at), CALL);
        memcpy(at_call(data, at), call, CALL);
        return count;
    }
    case 6: /* another thread makes it */
        at_call(data, at)[0] ^= (uint8_t)((1 + below(THREADS - 1)) * CALL_KINDS);
        return count;
    case 7: /* another one in its place */
        random_call(data, count, at_call(data, at));
        return count;
    case 8: /* the start */
        data[below(HEAD)] = (uint8_t)below(256);
        return count;
    default: /* one part of it */
        at_call(data, at)[below(CALL)] = below(2) ? (uint8_t)below(256) : at_call(data, below(count))[below(CALL)];
        return count;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed) {
    size_t most = room > HEAD ? (room - HEAD) / CALL : 0, count = size > HEAD ? (size - HEAD) / CALL : 0;
    state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    below(1);
    if (most == 0)
        return size;
    if (count == 0) {
        memset(data, 0, HEAD);
        random_call(data, 0, at_call(data, 0));
        count = 1;
    }
    for (size_t steps = 1 + below(4); steps > 0; steps--)
        count = change(data, count, most);
    if (below(16) == 0) /* what the fuzzer knows of values that are compared with */
        LLVMFuzzerMutate(data + HEAD, count * CALL, count * CALL);
    return HEAD + count * CALL;
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
                                 size_t room, unsigned seed) {
    size_t first = a_size > HEAD ? (a_size - HEAD) / CALL : 0, second = b_size > HEAD ? (b_size - HEAD) / CALL : 0;
    size_t most = room > HEAD ? (room - HEAD) / CALL : 0, count;
    state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    below(1);
    if (first == 0 || second == 0 || most == 0)
        return 0;
    first = 1 + below(first < most ? first : most);
    size_t from = below(second), take = 1 + below(second - from);
    take = take < most - first ? take : most - first;
    memcpy(out, a, HEAD + first * CALL);
    memcpy(out + HEAD + first * CALL, b + HEAD + from * CALL, take * CALL);
    count = first + take;
    return HEAD + count * CALL;
}
