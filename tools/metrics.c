/* SPDX-License-Identifier: MIT */
/* `myalloc metrics PID...`: the allocator's counts of running processes as OpenMetrics text. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "counts.h"
#include "message.h"

enum kind { BYTES, UNITS, COUNT };
static const struct {
    const char *name, *meaning;
    enum kind kind;
} rows[] = {
#define NUMBER(name, kind, address, meaning) {#name, meaning, kind},
#include "observe/page.def"
#undef NUMBER
};

/* ---- one family after another, each with a sample a process -------------------------------------------------------- */

static void print_family(const char *name, const char *unit, const char *type, const char *meaning)
{
    printf("# TYPE myalloc_%s%s%s %s\n", name, *unit ? "_" : "", unit, type);
    if (*unit)
        printf("# UNIT myalloc_%s_%s %s\n", name, unit, unit);
    printf("# HELP myalloc_%s%s%s %s.\n", name, *unit ? "_" : "", unit, meaning);
}

/* The labels that name a process, without the last brace: pid and name, escaped as OpenMetrics has it. */
static void print_labels(const struct process *process)
{
    printf("{pid=\"%d\",program=\"", process->number);
    for (const char *c = process->name; *c; c++) {
        if (*c == '"' || *c == '\\')
            printf("\\%c", *c);
        else if (*c == '\n')
            fputs("\\n", stdout);
        else
            putchar((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e ? '?' : *c);
    }
    putchar('"');
}

static void print_sample(const struct process *process, const char *name, const char *end, uint64_t value)
{
    printf("myalloc_%s%s", name, end);
    print_labels(process);
    printf("} %" PRIu64 "\n", value);
}

static void print_numbers(const struct counts *all, size_t count)
{
    for (size_t row = 0; row < PAGE_NUMBERS; row++) {
        const char *unit = rows[row].kind == COUNT ? "" : "bytes";

        print_family(rows[row].name, unit, "gauge", rows[row].meaning);
        for (size_t i = 0; i < count; i++) {
            if (row != PAGE_AT_limit || all[i].numbers[row] < (uint64_t)SIZE_MAX - 1) /* none, or the control group's */
                print_sample(&all[i].process, rows[row].name, *unit ? "_bytes" : "", all[i].numbers[row]);
        }
    }
}

static void print_process(const struct counts *all, size_t count)
{
    print_family("resident", "bytes", "gauge", "Memory of the whole process");
    for (size_t i = 0; i < count; i++)
        print_sample(&all[i].process, "resident", "_bytes", all[i].process.resident);
    print_family("page_faults", "", "counter", "Page faults of the whole process");
    for (size_t i = 0; i < count; i++)
        print_sample(&all[i].process, "page_faults", "_total", all[i].process.minor_faults + all[i].process.major_faults);
}

static void print_classes(const struct counts *all, size_t count)
{
    print_family("class_blocks", "", "gauge", "Small blocks in use or on lists of threads, by their size");
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < all[i].classes; c++) {
            fputs("myalloc_class_blocks", stdout);
            print_labels(&all[i].process);
            printf(",size=\"%" PRIu64 "\"} %" PRIu64 "\n", all[i].class[c].size, all[i].class[c].blocks);
        }
    }
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static int run(int argc, char **argv)
{
    struct counts *all;
    size_t count = 0;
    int status = EXIT_SUCCESS;

    if (argc < 2)
        return fail(STATUS_USAGE, "metrics needs the number of a process; see 'myalloc help metrics'");
    for (int i = 1; i < argc; i++) {
        if (!process_number(argv[i]))
            return fail(STATUS_USAGE, "metrics: '%s' is no number of a process", argv[i]);
        for (int j = 1; j < i; j++) {
            if (process_number(argv[j]) == process_number(argv[i]))
                return fail(STATUS_USAGE, "metrics: process %s is named twice", argv[i]);
        }
    }
    all = calloc((size_t)argc, sizeof *all);
    if (!all)
        return fail(EXIT_FAILURE, "out of memory");
    for (int i = 1; i < argc; i++) {
        if (counts_read(process_number(argv[i]), &all[count]))
            status = EXIT_FAILURE;
        else
            count++;
    }
    if (count) {
        print_numbers(all, count);
        print_process(all, count);
        print_classes(all, count);
        puts("# EOF");
    }
    free(all);
    return status;
}

const struct command command_metrics = {
    .name = "metrics",
    .arguments = "PID...",
    .summary = "Print numbers of running processes as OpenMetrics text",
    .details = "Reads the allocator's counts out of the memory of processes that run on libmyalloc, preloaded or linked\n"
               "in: without a signal, without stopping them, also while they hang. The kernel must allow it\n"
               "(process_vm_readv): the same user, or root; see ptrace(2) on /proc/sys/kernel/yama/ptrace_scope.\n"
               "\n"
               "Numbers of one process are read one after another while it runs, so that sums are approximate.\n"
               "Small blocks on lists of threads count as in use. A process that cannot be read is told on standard\n"
               "error; the others are printed, and the exit status is 1.\n",
    .run = run,
};
