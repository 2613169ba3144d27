/* SPDX-License-Identifier: MIT */
#include "report_pprof.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "gzip.h"
#include "memory.h"
#include "utf8.h"

/* Numbers of fields, as profile.proto has them. */
enum { PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE, PROFILE_MAPPING, PROFILE_LOCATION, PROFILE_FUNCTION, PROFILE_STRING,
       PROFILE_PERIOD_TYPE = 11, PROFILE_PERIOD, PROFILE_DEFAULT_TYPE = 14 };
enum { TYPE_TYPE = 1, TYPE_UNIT };
enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE, SAMPLE_LABEL };
enum { LABEL_KEY = 1, LABEL_TEXT, LABEL_NUMBER, LABEL_UNIT };
enum { MAPPING_ID = 1, MAPPING_START, MAPPING_LIMIT, MAPPING_OFFSET, MAPPING_FILE, MAPPING_BUILD_ID, MAPPING_HAS_FUNCTIONS,
       MAPPING_HAS_FILES, MAPPING_HAS_LINES, MAPPING_HAS_INLINED };
enum { LOCATION_ID = 1, LOCATION_MAPPING, LOCATION_ADDRESS, LOCATION_LINE };
enum { LINE_FUNCTION = 1, LINE_NUMBER };
enum { FUNCTION_ID = 1, FUNCTION_NAME, FUNCTION_SYSTEM_NAME, FUNCTION_FILE };

enum { WIRE_NUMBER = 0, WIRE_BYTES = 2 };

struct message {
    unsigned char *bytes;
    size_t length, room;
};

struct string {
    char *text;
    size_t number;
};

struct writer {
    struct message profile, part, inner; /* a message, one in it, one in that */
    void *strings;
    size_t string_count;
};

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static void put_varint(struct message *message, uint64_t value)
{
    do {
        message->bytes = memory_room(message->bytes, message->length, &message->room, 1);
        message->bytes[message->length++] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
}

/* 0 is what a field is that is not there. */
static void put_number(struct message *message, unsigned field, uint64_t value)
{
    if (!value)
        return;
    put_varint(message, field << 3 | WIRE_NUMBER);
    put_varint(message, value);
}

static void put_bytes(struct message *message, unsigned field, const void *bytes, size_t count)
{
    put_varint(message, field << 3 | WIRE_BYTES);
    put_varint(message, count);
    for (size_t i = 0; i < count; i++) {
        message->bytes = memory_room(message->bytes, message->length, &message->room, 1);
        message->bytes[message->length++] = ((const unsigned char *)bytes)[i];
    }
}

/* Adds the inner message, which is empty afterwards. */
static void put_message(struct message *message, unsigned field, struct message *inner)
{
    put_bytes(message, field, inner->bytes, inner->length);
    inner->length = 0;
}

/* ---- strings ----------------------------------------------------------------------------------------------------- */

static int compare_strings(const void *one, const void *other)
{
    return strcmp(((const struct string *)one)->text, ((const struct string *)other)->text);
}

/* The string's number in the table, which has "" as its first. Strings stand in the profile as they are met; readers refuse the
   whole of it for one that is no UTF-8. */
static uint64_t number_of(struct writer *writer, const char *text)
{
    struct string *string = memory_new(sizeof *string), **found;

    *string = (struct string){utf8_copy(text), writer->string_count};
    found = tsearch(string, &writer->strings, compare_strings);
    if (!found)
        memory_fail();
    if (*found != string) {
        free(string->text);
        free(string);
        return (*found)->number;
    }
    put_bytes(&writer->profile, PROFILE_STRING, string->text, strlen(string->text));
    return writer->string_count++;
}

static void put_string(struct writer *writer, struct message *message, unsigned field, const char *text)
{
    put_number(message, field, number_of(writer, text));
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

static void put_type(struct writer *writer, unsigned field, const char *type, const char *unit)
{
    put_string(writer, &writer->part, TYPE_TYPE, type);
    put_string(writer, &writer->part, TYPE_UNIT, unit);
    put_message(&writer->profile, field, &writer->part);
}

static void put_mapping(struct writer *writer, const struct module *module)
{
    struct message *part = &writer->part;

    put_number(part, MAPPING_ID, module->number + 1);
    put_number(part, MAPPING_START, module->start);
    put_number(part, MAPPING_LIMIT, module->limit);
    put_number(part, MAPPING_OFFSET, module->offset);
    put_string(writer, part, MAPPING_FILE, module->path);
    put_string(writer, part, MAPPING_BUILD_ID, module->build_id);
    for (unsigned field = MAPPING_HAS_FUNCTIONS; field <= MAPPING_HAS_INLINED; field++)
        put_number(part, field, true); /* no reader need look for names */
    put_message(&writer->profile, PROFILE_MAPPING, part);
}

static void put_location(struct writer *writer, const struct place *place)
{
    struct message *part = &writer->part;

    put_number(part, LOCATION_ID, place->number + 1);
    put_number(part, LOCATION_MAPPING, place->module ? place->module->number + 1 : 0);
    put_number(part, LOCATION_ADDRESS, place->address + (place->module ? place->module->bias : 0));
    for (size_t i = 0; i < place->line_count; i++) {
        put_number(&writer->inner, LINE_FUNCTION, place->lines[i].function->number + 1);
        put_number(&writer->inner, LINE_NUMBER, (uint64_t)place->lines[i].line);
        put_message(part, LOCATION_LINE, &writer->inner);
    }
    put_message(&writer->profile, PROFILE_LOCATION, part);
}

static void put_function(struct writer *writer, const struct function *function)
{
    struct message *part = &writer->part;

    put_number(part, FUNCTION_ID, function->number + 1);
    put_string(writer, part, FUNCTION_NAME, function->name);
    put_string(writer, part, FUNCTION_SYSTEM_NAME, function->name);
    put_string(writer, part, FUNCTION_FILE, function->file);
    put_message(&writer->profile, PROFILE_FUNCTION, part);
}

static void put_values(struct message *part, const struct sample *sample)
{
    static const enum heap_kind kinds[] = {HEAP_ALL, HEAP_LIVE};
    struct message values = {0};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct heap_amount *now = &sample->now.of[kinds[i]], *before = &sample->before.of[kinds[i]];

        put_varint(&values, (uint64_t)(now->objects - before->objects));
        put_varint(&values, (uint64_t)(now->bytes - before->bytes));
    }
    put_message(part, SAMPLE_VALUE, &values);
    free(values.bytes);
}

static void put_labels(struct writer *writer, const struct sample *sample)
{
    put_string(writer, &writer->inner, LABEL_KEY, "call");
    put_string(writer, &writer->inner, LABEL_TEXT, sample->call);
    put_message(&writer->part, SAMPLE_LABEL, &writer->inner);
    if (*sample->tag) {
        put_string(writer, &writer->inner, LABEL_KEY, "tag");
        put_string(writer, &writer->inner, LABEL_TEXT, sample->tag);
        put_message(&writer->part, SAMPLE_LABEL, &writer->inner);
    }
    if (!sample->class_bytes)
        return;
    put_string(writer, &writer->inner, LABEL_KEY, "class");
    put_number(&writer->inner, LABEL_NUMBER, (uint64_t)sample->class_bytes);
    put_string(writer, &writer->inner, LABEL_UNIT, "bytes");
    put_message(&writer->part, SAMPLE_LABEL, &writer->inner);
}

static void put_sample(struct writer *writer, const struct sample *sample)
{
    for (size_t i = 0; i < sample->depth; i++)
        put_varint(&writer->inner, sample->places[i]->number + 1);
    put_message(&writer->part, SAMPLE_LOCATION, &writer->inner);
    put_values(&writer->part, sample);
    put_labels(writer, sample);
    put_message(&writer->profile, PROFILE_SAMPLE, &writer->part);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void put_all(struct writer *writer, const struct samples *samples)
{
    number_of(writer, "");
    put_type(writer, PROFILE_SAMPLE_TYPE, "alloc_objects", "count");
    put_type(writer, PROFILE_SAMPLE_TYPE, "alloc_space", "bytes");
    put_type(writer, PROFILE_SAMPLE_TYPE, "inuse_objects", "count");
    put_type(writer, PROFILE_SAMPLE_TYPE, "inuse_space", "bytes");
    for (size_t i = 0; i < samples->module_count; i++)
        put_mapping(writer, samples->modules[i]);
    for (size_t i = 0; i < samples->function_count; i++)
        put_function(writer, samples->functions[i]);
    for (size_t i = 0; i < samples->place_count; i++)
        put_location(writer, samples->places[i]);
    for (size_t i = 0; i < samples->count; i++)
        put_sample(writer, samples->list[i]);
    put_type(writer, PROFILE_PERIOD_TYPE, "space", "bytes");
    put_number(&writer->profile, PROFILE_PERIOD, (uint64_t)samples->interval);
    put_string(writer, &writer->profile, PROFILE_DEFAULT_TYPE, "inuse_space");
}

bool report_pprof(FILE *out, const struct samples *samples)
{
    struct writer writer = {0};
    bool is_whole;

    put_all(&writer, samples);
    is_whole = gzip_write(out, writer.profile.bytes, writer.profile.length);
    tdestroy(writer.strings, free);
    free(writer.profile.bytes);
    free(writer.part.bytes);
    free(writer.inner.bytes);
    return is_whole;
}
