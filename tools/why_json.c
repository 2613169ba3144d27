/* SPDX-License-Identifier: MIT */
#include "why_json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "json_text.h"

enum { CELLS_MOST = 16384 }; /* of the picture: what is more than that is drawn several units to a cell */

/* `key` has what stands before it, and its first quote. */
static void put_number(FILE *out, const char *key, uint64_t number)
{
    fprintf(out, "%s\": %" PRIu64, key, number);
}

static void put_known(FILE *out, const char *key, uint64_t number, bool is_known)
{
    fprintf(out, is_known ? "%s\": %" PRIu64 : "%s\": null", key, number);
}

static void put_name(FILE *out, const char *key, const char *name)
{
    fprintf(out, "%s\": ", key);
    json_text(out, name);
}

/* ---- the equation ------------------------------------------------------------------------------------------------ */

static void put_parts(FILE *out, const struct why *why)
{
    struct part_row row;
    uint64_t sum = 0;

    fputs(",\n\"parts\": [", out);
    for (size_t n = 0; heap_parts_row(why->parts, n, &row); n++) {
        bool is_most;
        uint64_t back = why_back(why->parts, n, &is_most);

        fputs(n ? ",\n" : "\n", out);
        put_name(out, "{\"name", row.name);
        fprintf(out, row.is_known ? ", \"bytes\": %" PRIu64 : ", \"bytes\": null", row.bytes);
        fprintf(out, ", \"%s\": %" PRIu64 ", ", is_most ? "trim_most" : "trim", back);
        put_name(out, "\"what", row.words);
        put_name(out, ", \"advice", row.advice);
        fputc('}', out);
        sum += row.bytes;
    }
    fputs("],\n", out);
    put_number(out, "\"sum", sum);
}

static void put_threads(FILE *out, const struct why *why)
{
    fputs(",\n\"threads\": [", out);
    for (size_t i = 0; i < why->view->thread_count; i++) {
        const struct heap_thread *thread = &why->view->threads[i];

        fprintf(out, thread->number ? "%s\n{\"number\": %d" : "%s\n{\"number\": null", i ? "," : "", thread->number);
        put_name(out, ", \"name", thread->name);
        put_number(out, ", \"lists", why->parts->listed[i]);
        fputc('}', out);
    }
    fputs("],\n\"others\": [", out);
    for (size_t i = 0; i < why->parts->beyond.count; i++) {
        fputs(i ? ",\n" : "\n", out);
        put_name(out, "{\"name", why->parts->beyond.list[i].name);
        put_number(out, ", \"bytes", why->parts->beyond.list[i].bytes);
        fputc('}', out);
    }
    fputc(']', out);
}

/* ---- classes and call sites -------------------------------------------------------------------------------------- */

static void put_classes(FILE *out, const struct why *why)
{
    bool first = true;

    fputs(",\n\"classes\": [", out);
    for (unsigned i = 1; i < CLASS_COUNT; i++) {
        const struct class_parts *class = &why->parts->classes[i];

        if (!class->spans && !class->sampled)
            continue;
        fprintf(out, "%s\n{\"class\": %u, \"size\": %zu", first ? "" : ",", i, class_bytes(i));
        put_number(out, ", \"blocks", class->blocks);
        put_number(out, ", \"listed", class->listed);
        put_number(out, ", \"transit", class->transit);
        put_number(out, ", \"memory", class->memory);
        put_number(out, ", \"used", class->used);
        put_number(out, ", \"live", class->live);
        put_number(out, ", \"sampled", class->sampled);
        put_number(out, ", \"beside", class->beside);
        put_number(out, ", \"holes", class->holes);
        put_number(out, ", \"waste", why_waste(class));
        put_number(out, ", \"pages", class->pages);
        put_number(out, ", \"sparse_pages", class->sparse);
        fputc('}', out);
        first = false;
    }
    fputc(']', out);
    put_number(out, ",\n\"larger\": {\"blocks", why->parts->large.blocks);
    put_number(out, ", \"heap", why->parts->large.heap);
    put_number(out, ", \"mapped", why->parts->large.mapped);
    fputc('}', out);
}

static void put_stack(FILE *out, const struct sample *sample)
{
    fputs(", \"stack\": [", out);
    for (size_t i = 0; i < sample->depth; i++) {
        const struct place_line *line = &sample->places[i]->lines[0];

        put_name(out, i ? ", {\"function" : "{\"function", line->function->name);
        put_name(out, ", \"file", line->function->file);
        fprintf(out, ", \"line\": %d}", line->line);
    }
    fputs("]}", out);
}

static void put_sites(FILE *out, const struct why *why)
{
    fputs(",\n\"profile\": {", out);
    put_number(out, "\"samples", why->sites->samples);
    fputs(", \"sites\": [", out);
    for (size_t i = 0; i < why->sites->count; i++) {
        const struct heap_site_part *site = &why->sites->list[i];

        fputs(i ? ",\n" : "\n", out);
        put_name(out, "{\"call", site->sample->call);
        fprintf(out, ", \"size\": %" PRId64, site->sample->class_bytes);
        put_number(out, ", \"blocks", site->blocks);
        put_number(out, ", \"bytes", site->bytes);
        put_number(out, ", \"pinned", site->pinned);
        put_number(out, ", \"sparse", site->sparse);
        put_stack(out, site->sample);
    }
    fputs("]}", out);
}

/* ---- the picture ------------------------------------------------------------------------------------------------- */

/* A cell of several units is of the kind and the class that most of its memory has. */
static const struct unit_part *main_unit(const struct unit_part *units, size_t count)
{
    const struct unit_part *most = units;

    for (size_t i = 1; i < count; i++) {
        if (units[i].resident > most->resident)
            most = &units[i];
    }
    return most;
}

/* Four numbers a cell: kind, class, and in hundredths of the cell what has memory and what of that is in use. */
static void put_picture(FILE *out, const struct heap_parts *parts)
{
    size_t step = (parts->unit_count + CELLS_MOST - 1) / CELLS_MOST;

    fputs(",\n\"picture\": {", out);
    put_number(out, "\"units_a_cell", step);
    fputs(", \"cells\": [", out);
    for (size_t at = 0; at < parts->unit_count; at += step) {
        size_t count = parts->unit_count - at < step ? parts->unit_count - at : step;
        const struct unit_part *unit = main_unit(parts->units + at, count);
        uint64_t resident = 0, used = 0;

        for (size_t i = at; i < at + count; i++) {
            resident += parts->units[i].resident;
            used += parts->units[i].used;
        }
        fprintf(out, "%s%d,%d,%d,%d", at ? "," : "", unit->kind, unit->class, (int)(resident * 100 / (count * UNIT)),
                (int)(used * 100 / (count * UNIT)));
    }
    fputs("]}", out);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

void why_json(FILE *out, const struct why *why, bool picture)
{
    const struct heap_parts *parts = why->parts;
    char *advice = why_advice(why);

    fprintf(out, "{\"pid\": %d", why->view->target.number);
    put_name(out, ", \"program", why->view->counts.process.name);
    if (parts->is_core)
        put_name(out, ", \"core", why->view->target.core->path);
    put_number(out, ", \"resident", parts->beyond.resident);
    put_known(out, ", \"swapped", parts->beyond.swapped, !parts->is_core);
    put_known(out, ", \"lazy_free", parts->beyond.lazy, !parts->is_core);
    put_known(out, ", \"huge_pages", parts->huge, !parts->is_core);
    put_number(out, ", \"trim_least", parts->trim_least);
    put_parts(out, why);
    put_threads(out, why);
    put_classes(out, why);
    put_sites(out, why);
    if (picture)
        put_picture(out, parts);
    put_name(out, ",\n\"advice", advice);
    fputs("}\n", out);
    free(advice);
}
