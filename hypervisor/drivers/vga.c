/* SPDX-License-Identifier: MIT */
/*
 * VGA text mode, 80 columns by 25 lines, as the firmware left it: output only. The text is kept in
 * a shadow of our own and copied when it scrolls, as reading video memory is slow. Not used when
 * the boot loader set a graphics mode; console_end_boot() takes it off the console before domain 0
 * has it.
 */
#include "boot.h"
#include "console.h"
#include "lib.h"
#include "x86/cpu.h"
#include "x86/mm.h"

#define VGA_TEXT 0xb8000
#define COLS 80
#define ROWS 25
#define BLANK 0x0720 /* light grey on black, a space */
#define CRTC_INDEX 0x3d4
#define CRTC_DATA 0x3d5

static uint16_t shadow[ROWS * COLS];
static unsigned row, col;

static volatile uint16_t *vga_memory(void)
{
    return direct_map(VGA_TEXT);
}

static void vga_put(unsigned at, uint16_t cell)
{
    shadow[at] = cell;
    vga_memory()[at] = cell;
}

static void vga_scroll(void)
{
    unsigned i;

    memmove(shadow, shadow + COLS, (ROWS - 1) * COLS * sizeof(*shadow));
    for (i = (ROWS - 1) * COLS; i < ROWS * COLS; i++)
        shadow[i] = BLANK;
    for (i = 0; i < ROWS * COLS; i++)
        vga_memory()[i] = shadow[i];
}

static void vga_new_line(void)
{
    col = 0;
    if (row + 1 < ROWS)
        row++;
    else
        vga_scroll();
}

static void vga_char(char c)
{
    switch (c) {
    case '\n':
        vga_new_line();
        break;
    case '\r':
        col = 0;
        break;
    case '\b':
        if (col)
            col--;
        break;
    case '\t':
        do
            vga_char(' ');
        while (col % 8);
        break;
    default:
        if ((uint8_t)c < ' ')
            break;
        if (col == COLS)
            vga_new_line();
        vga_put(row * COLS + col++, (uint16_t)(0x0700 | (uint8_t)c));
    }
}

static void vga_cursor(void)
{
    unsigned at = row * COLS + MIN(col, COLS - 1u);

    outb(CRTC_INDEX, 14);
    outb(CRTC_DATA, (uint8_t)(at >> 8));
    outb(CRTC_INDEX, 15);
    outb(CRTC_DATA, (uint8_t)at);
    /* Domain 0 goes on where we stopped. */
    boot.video.cursor_x = (uint8_t)(at % COLS);
    boot.video.cursor_y = (uint8_t)row;
}

static void vga_write(const char *s, size_t n)
{
    while (n--)
        vga_char(*s++);
    vga_cursor();
}

static const struct console_dev vga_dev = {.name = "vga", .write = vga_write};

const struct console_dev *vga_probe(void)
{
    unsigned i;

    if (boot.video.present && boot.video.graphics)
        return NULL;
    for (i = 0; i < ROWS * COLS; i++)
        vga_put(i, BLANK);
    row = col = 0;
    return &vga_dev;
}
