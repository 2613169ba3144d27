/* SPDX-License-Identifier: MIT */
#include "report_pprof_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>

#include "out_file.h"

/* What was sampled, as readers take it. */
struct raw {
    int64_t objects, bytes;
};

/* Halvings after which a double has nothing more to give. */
enum { STEPS = 64 };

/* The x > 0 for which x / (1 - exp(-x)) is y > 1; it is less than y. */
static double solve(double y)
{
    double low = 0, high = y;

    for (int i = 0; i < STEPS; i++) {
        double middle = (low + high) / 2;

        *(middle < y * -expm1(-middle) ? &low : &high) = middle;
    }
    return high;
}

static struct raw raw_of(const struct heap_amount *estimate, int64_t interval)
{
    double bytes = (double)estimate->bytes, objects = (double)estimate->objects, mean = (double)interval, samples;

    if (interval == 1 || estimate->bytes <= 0)
        return (struct raw){estimate->objects, estimate->bytes};
    objects = objects < 1 ? 1 : objects;
    samples = round(objects * -expm1(-bytes / objects / mean));
    samples = samples * mean > bytes ? floor(bytes / mean) : samples;
    samples = samples < 1 ? 1 : samples;
    return (struct raw){(int64_t)samples, (int64_t)fmax(1, round(solve(bytes / samples / mean) * samples * mean))};
}

/* What readers make of it. */
static double objects_of(const struct raw *raw, int64_t interval)
{
    double mean = (double)raw->bytes / (double)raw->objects;

    return interval == 1 ? (double)raw->objects : (double)raw->objects / -expm1(-mean / (double)interval);
}

/* Whether readers come to the bytes and, to a hundredth, the objects of a line. What they make of bytes is never less than the
   interval. */
static bool is_told(const struct heap_amount *estimate, int64_t interval)
{
    struct raw raw = raw_of(estimate, interval);
    double objects = (double)estimate->objects;

    if (interval == 1 || estimate->bytes <= 0)
        return true;
    return estimate->bytes >= interval && fabs(objects_of(&raw, interval) - objects) <= fmax(0.5, objects / 100);
}

/* The longest by which readers come to the sums. It is shorter than that of the profile, as a sample stands for as many blocks
   as its size class says, and readers go by the bytes that were asked for. */
static int64_t interval_of(const struct samples *samples, enum heap_kind kind)
{
    int64_t interval = samples->interval_most > 1 ? samples->interval_most : 1;

    for (size_t i = 0; i < samples->count && interval > 1;) {
        const struct heap_amounts *now = &samples->list[i]->now;

        if (is_told(&now->of[kind], interval) && is_told(&now->of[HEAP_ALL], interval)) {
            i++;
        } else {
            interval /= 2;
            i = 0;
        }
    }
    return interval;
}

static void put_amounts(FILE *out, const struct raw *live, const struct raw *all)
{
    fprintf(out, "%" PRId64 ": %" PRId64 " [%" PRId64 ": %" PRId64 "] @", live->objects, live->bytes, all->objects, all->bytes);
}

static void put_head(FILE *out, const struct samples *samples, enum heap_kind kind, int64_t interval)
{
    struct raw live = {0}, all = {0};

    for (size_t i = 0; i < samples->count; i++) {
        struct raw one = raw_of(&samples->list[i]->now.of[kind], interval);
        struct raw other = raw_of(&samples->list[i]->now.of[HEAP_ALL], interval);

        live = (struct raw){live.objects + one.objects, live.bytes + one.bytes};
        all = (struct raw){all.objects + other.objects, all.bytes + other.bytes};
    }
    fputs("heap profile: ", out);
    put_amounts(out, &live, &all);
    fprintf(out, " heap_v2/%" PRId64 OUT_FILE_PROFILE, interval);
}

/* Addresses as the first process had them, where calls return to. */
static void put_sample(FILE *out, const struct sample *sample, enum heap_kind kind, int64_t interval)
{
    struct raw live = raw_of(&sample->now.of[kind], interval), all = raw_of(&sample->now.of[HEAP_ALL], interval);

    put_amounts(out, &live, &all);
    for (size_t i = 0; i < sample->depth; i++) {
        const struct place *place = sample->places[i];

        fprintf(out, " 0x%" PRIx64, place->address + (place->module ? place->module->bias : 0) + 1);
    }
    fputc('\n', out);
}

void report_pprof_text(FILE *out, const struct samples *samples, enum heap_kind kind)
{
    int64_t interval = interval_of(samples, kind);

    put_head(out, samples, kind, interval);
    for (size_t i = 0; i < samples->count; i++)
        put_sample(out, samples->list[i], kind, interval);
    fputs("\nMAPPED_LIBRARIES:\n", out);
    for (size_t i = 0; i < samples->module_count; i++) {
        const struct module *module = samples->modules[i];

        fprintf(out, "%" PRIx64 "-%" PRIx64 " r-xp %08" PRIx64 " 00:00 0 %s\n", module->start, module->limit, module->offset,
                module->path);
    }
}
