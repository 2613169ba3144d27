/* SPDX-License-Identifier: MIT */
#include "sheet.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* Ends the text behind so many characters. A byte 10xxxxxx goes on with a character of UTF-8; all ours are one column wide. */
static void cut(char *text, size_t columns)
{
    size_t seen = 0;

    for (; *text; text++) {
        if ((*text & 0xc0) != 0x80 && seen++ == columns) {
            *text = '\0';
            return;
        }
    }
}

bool sheet_locale_is_wide(void)
{
    setlocale(LC_CTYPE, "");
    return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

void sheet_add(struct sheet *sheet, enum style style, const char *format, ...)
{
    va_list arguments;
    struct line *line;

    if (sheet->count == sheet->room) {
        size_t room = sheet->room ? 2 * sheet->room : 32;
        struct line *larger = realloc(sheet->lines, room * sizeof *larger);

        if (!larger)
            return;
        sheet->lines = larger;
        sheet->room = room;
    }
    line = &sheet->lines[sheet->count++];
    line->style = style;
    va_start(arguments, format);
    vsnprintf(line->text, sizeof line->text, format, arguments);
    va_end(arguments);
    cut(line->text, sheet->columns);
    for (size_t end = strlen(line->text); end && line->text[end - 1] == ' '; end--)
        line->text[end - 1] = '\0';
}

void sheet_free(struct sheet *sheet)
{
    free(sheet->lines);
}

/* ---- figures ----------------------------------------------------------------------------------------------------- */

static char *figure(char out[FIGURE_BYTES], double value, double base, const char *sign)
{
    static const char units[] = "\0KMGTPE";
    size_t unit = 0;

    if (value < 0)
        value = -value;
    while (value >= 999.5 && unit < sizeof units - 2) {
        value /= base;
        unit++;
    }
    snprintf(out, FIGURE_BYTES, "%s%.*f%.1s", sign, unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2, value,
             units + unit);
    return out;
}

char *figure_bytes(char out[FIGURE_BYTES], double value)
{
    return figure(out, value, 1024, "");
}

char *figure_count(char out[FIGURE_BYTES], double value)
{
    return figure(out, value, 1000, "");
}

static char *unknown(char out[FIGURE_BYTES])
{
    return strcpy(out, "-");
}

char *figure_change(char out[FIGURE_BYTES], double value, bool is_known)
{
    return is_known ? figure(out, value, 1024, value >= 0.5 ? "+" : value <= -0.5 ? "-" : "") : unknown(out);
}

char *figure_rate(char out[FIGURE_BYTES], double value, bool is_known)
{
    return is_known ? figure(out, value, 1000, value <= -0.5 ? "-" : "") : unknown(out);
}

/* ---- pictures ---------------------------------------------------------------------------------------------------- */

static const char *const wide_levels[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const plain_levels[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
enum { LEVELS = sizeof wide_levels / sizeof *wide_levels };

void sheet_spark(const struct sheet *sheet, char *out, const uint64_t *values, size_t count, size_t cells)
{
    const char *const *levels = sheet->is_wide ? wide_levels : plain_levels;
    uint64_t least = UINT64_MAX, most = 0;

    for (size_t i = 0; i < count; i++) {
        least = values[i] < least ? values[i] : least;
        most = values[i] > most ? values[i] : most;
    }
    if (cells > count)
        cells = count;
    *out = '\0';
    for (size_t cell = 0; cell < cells; cell++) {
        uint64_t value = 0;
        double height;

        for (size_t i = cell * count / cells; i < (cell + 1) * count / cells; i++)
            value = values[i] > value ? values[i] : value;
        height = most == least ? 0 : (double)(value - least) / (double)(most - least);
        out = stpcpy(out, levels[(size_t)(height * (LEVELS - 1))]);
    }
}

void sheet_bar(const struct sheet *sheet, char *out, double part, size_t cells)
{
    size_t full = part <= 0 ? 0 : part >= 1 ? cells : (size_t)(part * (double)cells + 0.5);

    *out = '\0';
    for (size_t cell = 0; cell < cells; cell++)
        out = stpcpy(out, cell < full ? (sheet->is_wide ? "█" : "#") : (sheet->is_wide ? "░" : "."));
}
