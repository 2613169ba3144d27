/* SPDX-License-Identifier: MIT */
#include "course.h"

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void join_pairs(struct course *course)
{
    size_t pairs = course->count / 2;

    for (size_t i = 0; i < pairs; i++) {
        const struct course_part *first = &course->parts[2 * i], *second = first + 1;

        course->parts[i] = (struct course_part){larger(first->most_bytes, second->most_bytes),
                                                larger(first->most_blocks, second->most_blocks), second->bytes, second->blocks};
    }
    if (course->count % 2)
        course->parts[pairs] = course->parts[course->count - 1];
    course->count = pairs + course->count % 2;
    course->width *= 2;
}

void course_add(struct course *course, uint64_t at, uint64_t bytes, uint64_t blocks)
{
    struct course_part *part;

    if (!course->width)
        course->width = 1;
    while (at / course->width >= COURSE_PARTS)
        join_pairs(course);
    while (course->count <= at / course->width) { /* what was live goes on */
        struct course_part before = course->count ? course->parts[course->count - 1] : (struct course_part){0};

        course->parts[course->count++] = (struct course_part){before.bytes, before.blocks, before.bytes, before.blocks};
    }
    part = &course->parts[course->count - 1];
    part->most_bytes = larger(part->most_bytes, bytes);
    part->most_blocks = larger(part->most_blocks, blocks);
    part->bytes = bytes;
    part->blocks = blocks;
}
