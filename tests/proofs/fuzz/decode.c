/* SPDX-License-Identifier: MIT */
#include "decode.h"

#include <limits.h>
#include <malloc.h>
#include <stdio.h>

#include "../../../alloc/base/myalloc.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- the start --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    size_t limit;
    bool check, leaks;
    unsigned perturb;
} options[] = {
    {.text = ""},
    {.text = "cache_limit:0"},
    {.text = "cache_limit:2k"},
    {.text = "tcache_count:1"},
    {.text = "tcache_max:200,cache_limit:64k"},
    {.text = "mmap_threshold:0"},
    {.text = "mmap_threshold:64k,decay_ms:0"},
    {.text = "mmap_max:0,top_pad:1m"},
    {.text = "mmap_max:3"},
    {.text = "trim_threshold:0,decay_ms:0"},
    {.text = "decay_ms:0"},
    {.text = "limit:64m", .limit = 64 * MIB},
    {.text = "limit:3m", .limit = 3 * MIB},
    {.text = "limit:1m", .limit = 1 * MIB},
    {.text = "check:1", .check = true},
    {.text = "check:3", .check = true},
    {.text = "check:3,perturb:90,decay_ms:0", .check = true, .perturb = 90},
    {.text = "check:3,limit:8m", .limit = 8 * MIB, .check = true},
    {.text = "perturb:165", .perturb = 165},
    {.text = "perturb:1,mmap_threshold:0", .perturb = 1},
    {.text = "leaks:1", .leaks = true},
    {.text = "leaks:2,check:3,limit:32m", .limit = 32 * MIB, .check = true, .leaks = true},
    {.text = "hugepages:on"},
    {.text = "populate:on,decay_ms:0"},
    {.text = "hugepages:off,trim_threshold:none,dynamic_threshold:off"},
    {.text = "stats:1"},
};

static void decode_start(const uint8_t *data, struct start *start) {
    static const size_t address_spaces[] = {(size_t)64 << 30, (size_t)8 << 30, (size_t)2 << 30, 256 * MIB};
    size_t row = data[0] % COUNT(options);
    *start = (struct start){
        .options = options[row].text,
        .limit = options[row].limit ? options[row].limit : SIZE_MAX,
        .check = options[row].check,
        .perturb = options[row].perturb,
        .leaks = options[row].leaks,
        .address_space = data[2] % 8 == 1 ? address_spaces[data[2] / 8 % 4] : SIZE_MAX,
        .action = data[1] & 2 ? (data[1] & 4) != 0 : -1,
        .parallel = data[1] & 1,
        .leave = data[1] & 8,
        .seed = data[3],
    };
}

char *decode_show_start(const struct start *start, char *out, size_t room) {
    snprintf(out, room, "MYALLOC_OPTIONS='%s'%s%s%s%s", start->options,
             start->address_space == SIZE_MAX ? "" : ", little address space",
             start->action < 0    ? ""
             : start->action == 0 ? ", mallopt(M_CHECK_ACTION, 0)"
                                  : ", mallopt(M_CHECK_ACTION, 1)",
             start->parallel ? ", threads at the same time" : "", start->leave ? ", blocks left at the end" : "");
    return out;
}

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

/* Steps of 16 to 1 KiB, then eight to a doubling, to 32 KiB, and three more. */
static size_t class_end(size_t class) {
    static const size_t more[] = {1040, 4368, 8208};
    return class >= 104 ? more[class - 104] : class < 64 ? (class + 1) * 16 : (KIB << (class - 64) / 8) / 8 * (8 + (class - 64) % 8 + 1);
}

static size_t extreme(size_t index) {
    static const size_t sizes[] = {0,
                                   1,
                                   SIZE_MAX,
                                   SIZE_MAX - 1,
                                   SIZE_MAX - 15,
                                   SIZE_MAX - 4095,
                                   SIZE_MAX - 16384,
                                   PTRDIFF_MAX,
                                   (size_t)PTRDIFF_MAX + 1,
                                   PTRDIFF_MAX - 15,
                                   PTRDIFF_MAX - 16383,
                                   PTRDIFF_MAX - 16384,
                                   PTRDIFF_MAX - 32768,
                                   (size_t)1 << 62,
                                   (size_t)1 << 47,
                                   (size_t)1 << 46,
                                   (size_t)1 << 40,
                                   (size_t)1 << 32,
                                   (size_t)1 << 31,
                                   8 * MIB + 4096,
                                   16 * MIB,
                                   32 * MIB - 1,
                                   32 * MIB,
                                   32 * MIB + 1,
                                   64 * MIB};
    return sizes[index % COUNT(sizes)];
}

/* Eight distributions, of which 13 bits choose a member. */
static size_t size_of(uint8_t first, uint8_t second) {
    size_t d = (size_t)(first >> 3) << 8 | second;
    switch (first & 7) {
    case 0:
        return d % 129;
    case 1:
        return d % 1041;
    case 2:
        return class_end(d / 3 % 107) + d % 3 - 1;
    case 3:
        return d * 5;
    case 4:
        return (d % 64 + 1) * 16 * KIB + (d >> 6) % 5 - 2;
    case 5:
        return 96 * KIB + d * 16;
    case 6:
        return (d + 1) * 512;
    default:
        return extreme(d);
    }
}

size_t decode_good_align(const struct call *call) {
    return (size_t)1 << call->extra % 22;
}

size_t decode_align(const struct call *call) {
    static const size_t bad[] = {0,
                                 3,
                                 24,
                                 48,
                                 100,
                                 4095,
                                 SIZE_MAX,
                                 SIZE_MAX - 4095,
                                 (size_t)1 << 63,
                                 ((size_t)1 << 62) + 1,
                                 (size_t)1 << 62,
                                 (size_t)1 << 61,
                                 (size_t)1 << 47,
                                 6,
                                 12,
                                 4097};
    return call->extra >= 0xf0 ? bad[call->extra & 15] : decode_good_align(call);
}

size_t decode_count(const struct call *call) {
    static const size_t counts[] = {1, 2, 3, 7, 16, 0, SIZE_MAX, (size_t)1 << 32, (size_t)1 << 60};
    return counts[call->extra % COUNT(counts)];
}

unsigned decode_slots(const struct call *call) {
    bool several = call->kind == CALL_BURST || call->kind == CALL_FREE_RANGE;
    unsigned wanted = several ? call->extra % 64 + 1 : 1, there = SLOTS - call->slot;
    return wanted < there ? wanted : there;
}

unsigned decode_times(const struct call *call) {
    size_t most = 8 * MIB / (call->bytes | 1) + 1;
    return call->extra + 1 < most ? call->extra + 1 : (unsigned)most;
}

/* ---- mallopt ----------------------------------------------------------------------------------------------------- */

/* Bounds as mallopt(3), myalloc.h and README.md tell them; -1 is none where `none`. */
static const struct {
    int parameter;
    int least, most;
    bool none, any; /* any: every value is taken */
} parameters[] = {
    {M_MXFAST, 0, 160, false, false},
    {M_TRIM_THRESHOLD, 0, INT_MAX, true, true},
    {M_TOP_PAD, 0, INT_MAX, false, true},
    {M_MMAP_THRESHOLD, 0, INT_MAX, false, true},
    {M_MMAP_MAX, 0, INT_MAX, false, true},
    {M_PERTURB, 0, 0, false, true},
    {M_ARENA_TEST, 0, INT_MAX, true, true},
    {M_ARENA_MAX, 0, INT_MAX, true, true},
    {M_MYALLOC_DECAY_MS, 0, 3600000, false, false},
    {M_MYALLOC_CACHE_LIMIT, 0, INT_MAX, true, false},
    {M_MYALLOC_HUGEPAGES, 0, 2, false, false},
    {M_MYALLOC_POPULATE, 0, 1, false, false},
    {M_MYALLOC_LIMIT_MIB, 0, INT_MAX, false, false},
    {M_MYALLOC_SAMPLE_INTERVAL, 1, 1000000000, false, false},
    {0, 0, 0, false, true},
    {1234, 0, 0, false, true},
    {-9, 0, 0, false, true},
    {-1000, 0, 0, false, true},
    {-1008, 0, 0, false, true},
    {INT_MIN, 0, 0, false, true},
};

struct option decode_option(const struct call *call) {
    static const int values[] = {0,    1,     2,      3,       5,        -1,   -2,      160,     161,     255,    256,
                                 4096, 32768, 131072, 1 << 20, 64 << 20, 1000, 3600000, 3600001, INT_MAX, INT_MIN};
    size_t row = call->slot % COUNT(parameters);
    int value = values[call->number % COUNT(values)];
    struct option option = {parameters[row].parameter, value, false};
    /* What would take gigabytes from the machine that runs this. */
    if (option.parameter == M_TOP_PAD && value > 64 << 20)
        option.value = value = 1 << 20;
    option.good = parameters[row].any || (value >= parameters[row].least && value <= parameters[row].most) ||
                  (parameters[row].none && value == -1);
    return option;
}

/* ---- the calls --------------------------------------------------------------------------------------------------- */

size_t decode(const uint8_t *data, size_t size, struct start *start, struct call calls[CALLS_MOST]) {
    static const uint8_t shortest[HEAD + CALL];
    size_t count = 0;
    if (size < sizeof shortest) {
        data = shortest;
        size = sizeof shortest;
    }
    decode_start(data, start);
    for (size_t at = HEAD; at + CALL <= size && count < CALLS_MOST; at += CALL, count++)
        calls[count] = (struct call){
            .kind = data[at] % CALL_KINDS,
            .thread = data[at] / CALL_KINDS % THREADS,
            .slot = data[at + 1],
            .bytes = size_of(data[at + 2], data[at + 3]),
            .number = (unsigned)data[at + 2] << 8 | data[at + 3],
            .extra = data[at + 4],
        };
    return count;
}

char *decode_show(const struct call *call, char *out, size_t room) {
    struct option option = decode_option(call);
    unsigned s = call->slot, last = s + decode_slots(call) - 1, x = call->extra;
    size_t n = call->bytes, align = decode_align(call), good = decode_good_align(call);
    int at = snprintf(out, room, "t%u ", call->thread);
    char *to = out + at;
    size_t left = room - (size_t)at;
    static const char *const frees[] = {"free", "cfree", "free_sized", "free_aligned_sized or free_sized"};
    static const char *const news[] = {"operator new", "operator new[]", "aligned operator new",
                                       "aligned operator new[]"};
    switch (call->kind) {
    case CALL_MALLOC:
        snprintf(to, left, "[%u] = malloc(%zu)", s, n);
        break;
    case CALL_CALLOC:
        snprintf(to, left, "[%u] = calloc(%zu, %zu)", s, decode_count(call), n);
        break;
    case CALL_REALLOC:
        snprintf(to, left, "[%u] = realloc([%u], %zu)", s, s, n);
        break;
    case CALL_REALLOCARRAY:
        snprintf(to, left, "[%u] = reallocarray([%u], %zu, %zu)", s, s, decode_count(call), n);
        break;
    case CALL_FREE:
        snprintf(to, left, "%s([%u])", frees[x & 1], s);
        break;
    case CALL_FREE_SIZED:
        snprintf(to, left, "%s([%u])", frees[2 + (x & 1)], s);
        break;
    case CALL_ALIGNED_ALLOC:
        snprintf(to, left, "[%u] = aligned_alloc(%zu, %zu)", s, align, n);
        break;
    case CALL_POSIX_MEMALIGN:
        snprintf(to, left, "posix_memalign(&[%u], %zu, %zu)", s, align, n);
        break;
    case CALL_MEMALIGN:
        snprintf(to, left, "[%u] = memalign(%zu, %zu)", s, align, n);
        break;
    case CALL_VALLOC:
        snprintf(to, left, "[%u] = valloc(%zu)", s, n);
        break;
    case CALL_PVALLOC:
        snprintf(to, left, "[%u] = pvalloc(%zu)", s, n);
        break;
    case CALL_NEW:
        snprintf(to, left, "[%u] = %s(%zu, %zu, nothrow)", s, news[x >> 6], n, x & 0x80 ? good : 16);
        break;
    case CALL_USABLE:
        snprintf(to, left, "malloc_usable_size([%u])", s);
        break;
    case CALL_MALLOPT:
        snprintf(to, left, "mallopt(%d, %d)", option.parameter, option.value);
        break;
    case CALL_TRIM:
        snprintf(to, left, "malloc_trim(%zu)", n);
        break;
    case CALL_MALLINFO:
        snprintf(to, left, x & 1 ? "mallinfo()" : "mallinfo2()");
        break;
    case CALL_CHECK_HEAP:
        snprintf(to, left, "myalloc_check_heap()");
        break;
    case CALL_JSON:
        snprintf(to, left, "myalloc_stats_json(out, %u)", x & 1 ? 32768 : call->number % 4096);
        break;
    case CALL_INFO:
        snprintf(to, left, x & 1 ? "malloc_stats()" : "malloc_info(0, null)");
        break;
    case CALL_THREAD_END:
        snprintf(to, left, "ends");
        break;
    case CALL_FORK:
        snprintf(to, left, "fork(), the child looks at all blocks and frees some");
        break;
    case CALL_REFUSE:
        snprintf(to, left, "the OS refuses %u calls after %u", x % 8 + 1, s % 16);
        break;
    case CALL_CLOCK:
        snprintf(to, left, "%u ms pass", call->number % 3000);
        break;
    case CALL_SBRK:
        snprintf(to, left, "another caller of sbrk takes %u bytes", call->number % 20000 + 1);
        break;
    case CALL_MISUSE:
        snprintf(to, left, "a bad pointer of kind %u, from [%u], in call %u", x % 6, s, x / 6 % 3);
        break;
    case CALL_BURST:
        snprintf(to, left, "[%u..%u] = malloc(%zu) each", s, last, n);
        break;
    case CALL_FREE_RANGE:
        snprintf(to, left, "free([%u..%u])%s", s, last, call->number & 1 ? ", downwards" : "");
        break;
    case CALL_LOOK:
        snprintf(to, left, "looks at all that lives");
        break;
    case CALL_MTRACE:
        snprintf(to, left, x & 1 ? "muntrace()" : "mtrace()");
        break;
    case CALL_MCHECK:
        snprintf(to, left, x % 8 == 1 ? "mcheck(NULL)" : x % 8 == 2 ? "mcheck_check_all()" : "mprobe([%u])", s);
        break;
    case CALL_BARRIER:
        snprintf(to, left, "waits for all");
        break;
    case CALL_CHURN:
        snprintf(to, left, "malloc(%zu) and free, %u times", n, decode_times(call));
        break;
    case CALL_KINDS:
        break;
    }
    return out;
}
