/* SPDX-License-Identifier: MIT */
#include "top_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "json_text.h"
#include "top_text.h"

static const char *const number_names[] = {
#define NUMBER(name, kind, address, meaning) #name,
#include "observe/page.def"
#undef NUMBER
};

/* The name as a string; what is beyond ASCII, or no UTF-8 at all, is a question mark. */
static void print_name(const char name[64])
{
    char printable[64];

    json_text(stdout, top_name(printable, name));
}

static void print_rate(const char *name, double rate, bool is_known)
{
    if (is_known)
        printf("\"%s\":%.1f", name, rate);
    else
        printf("\"%s\":null", name);
}

static void print_rates(const struct watched *watched)
{
    fputs("\"rates\":{", stdout);
    print_rate("rss", watched->rates.resident, watched->has_rates);
    putchar(',');
    print_rate("live", watched->rates.live, watched->has_rates);
    putchar(',');
    print_rate("taken", watched->rates.taken, watched->has_rates);
    putchar(',');
    print_rate("minor_faults", watched->rates.minor_faults, watched->has_rates);
    putchar(',');
    print_rate("major_faults", watched->rates.major_faults, watched->has_rates);
    putchar('}');
}

static void print_classes(const struct watched *watched)
{
    const struct counts *counts = &watched->counts;
    uint64_t memory[COUNTS_CLASSES];

    sums_of_classes(counts, memory);
    fputs(",\"classes\":[", stdout);
    for (size_t i = 0; i < counts->classes; i++) {
        printf("%s{\"size\":%" PRIu64 ",\"blocks\":%" PRIu64 ",\"spans\":%" PRIu64 ",\"memory\":%" PRIu64 ",", i ? "," : "",
               counts->class[i].size, counts->class[i].blocks, counts->class[i].spans, memory[i]);
        print_rate("rate", watched->class_rates[i], watched->has_rates);
        putchar('}');
    }
    putchar(']');
}

static void print_process(const struct watched *watched, bool with_classes)
{
    const struct process *process = &watched->counts.process;

    printf("{\"pid\":%d,\"name\":", process->number);
    print_name(process->name);
    printf(",\"state\":\"%c\",\"gone\":%s,\"started\":%llu,\"rss\":%llu,\"threads\":%llu,\"minor_faults\":%llu"
           ",\"major_faults\":%llu,\"live\":%" PRIu64 ",\"holes\":%" PRIu64 ",\"numbers\":{",
           process->state, watched->gone ? "true" : "false", process->started, process->resident, process->threads,
           process->minor_faults, process->major_faults, watched->sums.live, watched->sums.holes);
    for (size_t i = 0; i < PAGE_NUMBERS; i++) {
        printf("%s\"%s\":", i ? "," : "", number_names[i]);
        if (i == PAGE_AT_limit && !sums_has_limit(&watched->counts))
            fputs("null", stdout);
        else
            printf("%" PRIu64, watched->counts.numbers[i]);
    }
    fputs("},", stdout);
    print_rates(watched);
    if (with_classes)
        print_classes(watched);
    putchar('}');
}

void top_json(const struct watch *watch)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    printf("{\"time\":%lld.%03ld,\"processes\":[", (long long)time.tv_sec, time.tv_nsec / 1000000);
    for (size_t i = 0; i < watch->count; i++) {
        if (i)
            putchar(',');
        print_process(watch->all[i], watch->one);
    }
    printf("],\"may_not_be_read\":%u,\"other_versions\":%u,\"events\":[", watch->forbidden, watch->others);
    for (size_t i = 0; i < watch->events.count; i++) {
        const struct event *event = &watch->events.list[i];

        printf("%s{\"pid\":%d,\"name\":", i ? "," : "", event->number);
        print_name(event->name);
        printf(",\"what\":\"%s\"}", event->what);
    }
    puts("]}");
}
