/* SPDX-License-Identifier: MIT */
#include "top_view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "screen.h"
#include "seconds.h"
#include "top_ask.h"
#include "top_text.h"

enum { TOLD_ROUNDS = 3 }; /* so long stays what happened to a process on the screen */
enum { CUT_LEAST = 12 };  /* columns that the end of a path is worth */

struct view {
    struct watch *watch;
    struct sheet sheet;
    double interval, next; /* seconds between rounds; when the next one is due */
    size_t order;
    int chosen;            /* the number of a process, or 0 */
    bool is_detail, is_help, is_wide;
    struct events told;    /* of the last round that had any, */
    unsigned told_left;    /* and in how many rounds they are still shown */
    struct ask ask;        /* what a key had a process do */
};

/* ---- what is shown --------------------------------------------------------------------------------------------------- */

static const char *const help_lines[] = {
    "q quit   s sort by the next column   h this help",
    "up, down choose   Enter one process   Escape back",
    "of the process that is chosen (as myalloc ctl):",
    "p purge  t trim  o profile on  f off  d dump  w withdraw",
    "LIVE   blocks not free, or on lists of threads",
    "DIRTY  free memory the system has not got back",
    "FREE   free spans   HOLES free in small spans",
    "FLT/s  page faults  TAKEN address space",
    "FULL   of a class's memory, what its blocks have",
};

static void add_help(struct sheet *sheet)
{
    sheet_add(sheet, STYLE_HEAD, "myalloc top");
    for (size_t i = 0; i < sizeof help_lines / sizeof *help_lines; i++)
        sheet_add(sheet, STYLE_PLAIN, "%s", help_lines[i]);
}

static const char *keys_of(const struct view *view)
{
    if (view->is_help)
        return " any key: back ";
    if (view->watch->one)
        return " q quit  h help  p purge  t trim  o/f profile on/off  d dump ";
    return view->is_detail ? " q quit  Escape back  h help  p purge  t trim  o/f profile  d dump "
                           : " q quit  s sort  arrows choose  Enter one process  h help  p purge  t trim ";
}

/* The process that is chosen, below what last happened to it. */
static void add_one(struct view *view, size_t rows)
{
    const struct watched *watched = watch_find(view->watch, view->chosen);
    struct events its = {0};

    for (size_t i = 0; i < view->told.count; i++) {
        if (view->told.list[i].number == view->chosen) {
            its.list[0] = view->told.list[i];
            its.count = 1;
        }
    }
    top_text_events(&view->sheet, &its, 1);
    if (watched)
        top_text_one(&view->sheet, watched, rows > view->sheet.count ? rows - view->sheet.count : 1);
    else
        sheet_add(&view->sheet, STYLE_TELL, "process %d has ended", view->chosen);
}

/* In the row above the keys. Of a path that does not fit the end is shown, which has the file's name. */
static void add_answer(struct view *view, size_t rows)
{
    const char *text = view->ask.text, *path = strchr(text, '/');
    size_t length = strlen(text), columns = view->sheet.columns, head = path ? (size_t)(path - text) : 0;

    while (view->sheet.count < rows - 1)
        sheet_add(&view->sheet, STYLE_PLAIN, "%s", "");
    if (!path || length <= columns || head + CUT_LEAST > columns) {
        sheet_add(&view->sheet, STYLE_TELL, "%s", text);
        return;
    }
    path = text + length - (columns - head - 3);
    while ((*path & 0xc0) == 0x80) /* it would begin within a character of UTF-8 */
        path++;
    sheet_add(&view->sheet, STYLE_TELL, "%.*s...%s", (int)head, text, path);
}

static void draw(struct view *view)
{
    size_t columns, rows, answer = *view->ask.text && !view->is_help;

    screen_size(&columns, &rows);
    view->sheet.count = 0;
    view->sheet.columns = columns;
    view->sheet.is_wide = view->is_wide;
    if (view->is_help)
        add_help(&view->sheet);
    else if (view->is_detail)
        add_one(view, rows - 1 - answer);
    else
        top_text_all(&view->sheet, view->watch, view->order, view->chosen, rows - 1 - answer);
    if (answer)
        add_answer(view, rows - 1);
    screen_draw(&view->sheet, keys_of(view));
}

/* ---- what keys do ---------------------------------------------------------------------------------------------------- */

/* Shows the process that is chosen alone: it stays in the list as long as it is shown, also when it ends. */
static void enter(struct view *view)
{
    if (view->watch->one)
        return;
    view->is_detail = watch_find(view->watch, view->chosen) != NULL;
    view->watch->kept = view->is_detail ? view->chosen : 0;
}

/* Chooses the process that is so many rows further down the list. */
static void move(struct view *view, long rows)
{
    long at = 0, last = (long)view->watch->count - 1;

    if (last < 0)
        return;
    for (size_t i = 0; i < view->watch->count; i++) {
        if (view->watch->all[i]->counts.process.number == view->chosen)
            at = (long)i + rows;
    }
    at = at < 0 ? 0 : at > last ? last : at;
    view->chosen = view->watch->all[at]->counts.process.number;
    if (view->is_detail)
        enter(view);
}

static void leave(struct view *view)
{
    if (view->watch->one)
        return;
    view->is_detail = false;
    view->watch->kept = 0;
}

/* Has the process that is chosen do something. What came of the last time stays until a key is pressed, or its answer comes. */
static void ask(struct view *view, int key)
{
    const struct watched *watched = watch_find(view->watch, view->chosen);

    if ((!watched || !ask_key(&view->ask, watched, key)) && !view->ask.waits)
        *view->ask.text = '\0';
}

/* False: the user ends it. */
static bool press(struct view *view, int key)
{
    if (key == KEY_END || (key == 'q' && !view->is_help))
        return false;
    if (key == KEY_RESIZE || key == KEY_NONE)
        return true;
    if (view->is_help) {
        view->is_help = false;
        return true;
    }
    ask(view, key);
    switch (key) {
    case 'h':
    case '?': view->is_help = true; break;
    case 's':
        view->order = top_orders[view->order + 1] ? view->order + 1 : 0;
        top_sort(view->watch, view->order);
        break;
    case KEY_UP: move(view, -1); break;
    case KEY_DOWN: move(view, 1); break;
    case KEY_PAGE_UP: move(view, -10); break;
    case KEY_PAGE_DOWN: move(view, 10); break;
    case '\r':
    case '\n':
    case KEY_RIGHT: enter(view); break;
    case KEY_ESCAPE:
    case KEY_LEFT:
    case 127: leave(view); break;
    default: break;
    }
    return true;
}

/* ---- rounds ---------------------------------------------------------------------------------------------------------- */

/* Events of a round stay for some more: one round may be too short to read them, and a process that is gone for good. */
static void keep_events(struct view *view)
{
    struct watch *watch = view->watch;

    if (watch->events.count) {
        view->told = watch->events;
        view->told_left = TOLD_ROUNDS;
    } else if (view->told_left && --view->told_left == 0 && !watch->one) {
        view->told.count = 0;
    }
    watch->events = view->told;
}

static bool look(struct view *view)
{
    if (!watch_look(view->watch))
        return false;
    keep_events(view);
    top_sort(view->watch, view->order);
    if (!view->is_detail && !watch_find(view->watch, view->chosen))
        view->chosen = view->watch->count ? view->watch->all[0]->counts.process.number : 0;
    view->next = seconds_now() + view->interval;
    return true;
}

/* Returns errno of what ended it, or 0 if the user did. */
static int go_on(struct view *view)
{
    bool on = true;

    while (on) {
        double left = view->next - seconds_now();

        if (left <= 0) {
            if (!look(view))
                return errno;
            left = view->next - seconds_now();
        }
        ask_look(&view->ask);
        draw(view);
        if (left > ask_due(&view->ask))
            left = ask_due(&view->ask);
        on = press(view, screen_key(left > 0 ? left : 0));
    }
    return 0;
}

int top_view(struct watch *watch, double interval, bool is_wide)
{
    struct view view = {.watch = watch, .interval = interval, .is_wide = is_wide, .is_detail = watch->one,
                        .chosen = watch->kept};
    int error;

    if (!screen_open())
        return fail(EXIT_FAILURE, "top cannot draw on this terminal (TERM); use --batch ROUNDS, or --json");
    error = go_on(&view);
    screen_close();
    sheet_free(&view.sheet);
    return error ? fail(EXIT_FAILURE, "top: %s", strerror(error)) : EXIT_SUCCESS;
}
