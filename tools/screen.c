/* SPDX-License-Identifier: MIT */
#include "screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { ESCAPE_MS = 50 }; /* how long after an escape character the rest of a key's sequence may come */

static struct termios found; /* as the terminal was */
static struct sigaction found_actions[NSIG];
static sigset_t found_mask;
static bool has_colour;
static volatile sig_atomic_t caught[NSIG];

/* Those that end the program, stop it, let it go on, or tell of a new size. They are blocked but while a key is waited for. */
static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};
enum { SIGNALS = sizeof signals / sizeof *signals };

/* ---- the terminal's state ------------------------------------------------------------------------------------------ */

static void put(const char *text, size_t length)
{
    while (length) {
        ssize_t written = write(STDOUT_FILENO, text, length);

        if (written < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (written > 0) {
            text += written;
            length -= (size_t)written;
        }
    }
}

/* Another screen than the shell's, without a cursor; keys come at once and are not shown. Signals' keys stay. */
static bool take(void)
{
    static const char start[] = "\033[?1049h\033[?25l\033[2J";
    struct termios raw = found;

    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw))
        return false;
    put(start, sizeof start - 1);
    return true;
}

static void give(void)
{
    static const char end[] = "\033[0m\033[?25h\033[?1049l";

    put(end, sizeof end - 1);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &found);
}

static void catch(int number)
{
    caught[number] = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = catch};
    sigset_t ours;

    sigemptyset(&ours);
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < SIGNALS; i++) {
        sigaddset(&ours, signals[i]);
        sigaction(signals[i], NULL, &found_actions[signals[i]]);
        if (found_actions[signals[i]].sa_handler != SIG_IGN || signals[i] == SIGWINCH) /* nohup, or a shell without jobs */
            sigaction(signals[i], &action, NULL);
    }
    sigprocmask(SIG_BLOCK, &ours, &found_mask);
}

static void release_signals(void)
{
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &found_actions[signals[i]], NULL);
    sigprocmask(SIG_SETMASK, &found_mask, NULL);
}

bool screen_open(void)
{
    const char *kind = getenv("TERM"), *no_colour = getenv("NO_COLOR");

    if (!kind || !*kind || !strcmp(kind, "dumb") || tcgetattr(STDIN_FILENO, &found))
        return false;
    has_colour = !(no_colour && *no_colour);
    catch_signals();
    if (take())
        return true;
    release_signals();
    return false;
}

void screen_close(void)
{
    give();
    release_signals();
}

/* ---- signals ----------------------------------------------------------------------------------------------------- */

/* Gives the terminal back and lets the signal do what it does by default; goes on here only if that is to stop. */
static void obey(int number)
{
    struct sigaction usual = {.sa_handler = SIG_DFL}, ours;
    sigset_t only;

    give();
    sigaction(number, &usual, &ours);
    raise(number);
    sigemptyset(&only);
    sigaddset(&only, number);
    sigprocmask(SIG_UNBLOCK, &only, NULL); /* here it stops, or ends */
    sigprocmask(SIG_BLOCK, &only, NULL);
    sigaction(number, &ours, NULL);
    take();
}

/* What came. True if the screen is to be drawn anew. */
static bool answer_signals(void)
{
    bool anew = false;

    for (size_t i = 0; i < SIGNALS; i++) {
        int number = signals[i];

        if (!caught[number])
            continue;
        caught[number] = 0;
        anew = true;
        if (number == SIGCONT)
            take();
        else if (number != SIGWINCH)
            obey(number);
    }
    return anew;
}

/* ---- drawing ----------------------------------------------------------------------------------------------------- */

void screen_size(size_t *columns, size_t *rows)
{
    struct winsize size = {0};

    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    *columns = size.ws_col ? size.ws_col : 80;
    *rows = size.ws_row ? size.ws_row : 24;
}

/* How a style begins: without colours it is bold or reversed. */
static const char *start_of(enum style style)
{
    switch (style) {
    case STYLE_HEAD: return has_colour ? "\033[1;36m" : "\033[1m";
    case STYLE_TELL: return has_colour ? "\033[1;33m" : "\033[1m";
    case STYLE_CHOSEN: return "\033[7m";
    default: return "";
    }
}

/* All in one write, so that nothing flickers. Each line is cleared before it is written: behind a line that fills the last
   column the cursor stands on its last character, which to clear the rest would take with it. */
void screen_draw(const struct sheet *sheet, const char *keys)
{
    size_t columns, rows, length = 0;
    char *text;
    FILE *out = open_memstream(&text, &length);

    if (!out)
        return;
    screen_size(&columns, &rows);
    for (size_t row = 0; row < rows; row++) {
        fprintf(out, "\033[%zu;1H\033[2K", row + 1);
        if (row + 1 == rows)
            fprintf(out, "\033[7m%.*s\033[0m", (int)columns, keys);
        else if (row < sheet->count)
            fprintf(out, "%s%s\033[0m", start_of(sheet->lines[row].style), sheet->lines[row].text);
    }
    if (!fclose(out))
        put(text, length);
    free(text);
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

/* Whether something can be read; -1: a signal came. */
static int wait_for_input(double seconds)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

    return ppoll(&input, 1, &time, &found_mask);
}

static int next_byte(void)
{
    unsigned char byte;

    return read(STDIN_FILENO, &byte, 1) == 1 ? byte : KEY_END;
}

/* The rest of a sequence that began with the escape character. */
static int key_of_sequence(void)
{
    static const struct {
        char last;
        int key;
    } keys[] = {{'A', KEY_UP}, {'B', KEY_DOWN}, {'C', KEY_RIGHT}, {'D', KEY_LEFT}};
    int byte, first = 0;

    if (wait_for_input(ESCAPE_MS / 1000.0) <= 0)
        return KEY_ESCAPE;
    byte = next_byte();
    if (byte != '[' && byte != 'O')
        return byte == KEY_END ? KEY_END : KEY_ESCAPE;
    do { /* numbers between semicolons, then the letter that ends it */
        if (wait_for_input(ESCAPE_MS / 1000.0) <= 0)
            return KEY_NONE;
        byte = next_byte();
        first = first ? first : byte;
    } while ((byte >= '0' && byte <= '9') || byte == ';');
    if (byte == '~')
        return first == '5' ? KEY_PAGE_UP : first == '6' ? KEY_PAGE_DOWN : KEY_NONE;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (keys[i].last == byte)
            return keys[i].key;
    }
    return KEY_NONE;
}

int screen_key(double seconds)
{
    int ready = wait_for_input(seconds), byte;

    if (ready < 0)
        return answer_signals() ? KEY_RESIZE : KEY_NONE;
    if (ready == 0)
        return KEY_NONE;
    byte = next_byte();
    return byte == '\033' ? key_of_sequence() : byte;
}
