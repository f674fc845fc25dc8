/* SPDX-License-Identifier: MIT */
/*
 * What a multiboot 1 or 2 loader left behind, turned into struct boot_info. Sources: the Multiboot
 * specifications 0.6.96 and 2.0. Everything kept is copied, because the loader's memory is given
 * to the allocator soon. All addresses that the loader gives are checked against the 4 GiB that are
 * mapped; a broken structure loses the part that is broken, not the boot.
 *
 * Command lines: GRUB 2 passes only the words after the file name. Other multiboot 1 loaders (QEMU,
 * GRUB legacy, PXELINUX) put the file name first, and it is taken off. No ACPI or EFI parsing here.
 */
#include "boot.h"
#include "lib.h"
#include "log.h"

#define MB1_MAGIC 0x2badb002u
#define MB2_MAGIC 0x36d76289u
#define PHYS_LIMIT BIT(32)
#define E820_RAM 1
#define E820_RESERVED 2

#define MB1_MEM BIT(0)
#define MB1_CMDLINE BIT(2)
#define MB1_MODS BIT(3)
#define MB1_MMAP BIT(6)
#define MB1_LOADER BIT(9)
#define MB1_VBE BIT(11)
#define MB1_FB BIT(12)

struct mb1_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
    uint32_t mmap_length, mmap_addr, drives_length, drives_addr, config_table, loader_name;
    uint32_t apm_table, vbe_control, vbe_mode_info;
    uint16_t vbe_mode, vbe_seg, vbe_off, vbe_len;
    uint64_t fb_addr;
    uint32_t fb_pitch, fb_width, fb_height;
    uint8_t fb_bpp, fb_type, fb_colour[6];
} __packed;
_Static_assert(sizeof(struct mb1_info) == 116, "multiboot 1 information");

struct mb1_module {
    uint32_t start, end, string, reserved;
};
struct mb1_mmap { /* `size` does not count itself */
    uint32_t size;
    uint64_t addr, len;
    uint32_t type;
} __packed;

struct mb2_tag {
    uint32_t type, size;
};
struct mb2_mmap {
    uint64_t addr, len;
    uint32_t type, zero;
};
struct framebuffer {
    uint64_t addr;
    uint32_t pitch, width, height;
    uint8_t bpp, type;
    uint8_t pos_size[6]; /* red, green, blue: position, size */
};
#define FB_RGB 1
#define FB_TEXT 2

struct boot_info boot;

static const char *phys_base;
static char loader_name[64];
static bool strip_first_word;

/* The loader's memory [addr, addr + n), or NULL if it is not all mapped. */
static const void *phys_at(uint64_t addr, uint64_t n)
{
    if (addr >= PHYS_LIMIT || n > PHYS_LIMIT - addr)
        return NULL;
    return phys_base + addr;
}

/* false: not readable, *to is as before. */
static bool phys_read(void *to, uint64_t addr, size_t n)
{
    const void *p = phys_at(addr, n);

    if (p)
        memcpy(to, p, n);
    return p;
}

static void phys_string(char *to, size_t size, uint64_t addr, uint64_t max)
{
    size_t n = 0;

    if (addr >= PHYS_LIMIT)
        max = 0;
    else
        max = MIN(max, PHYS_LIMIT - addr);
    for (; n < max && n + 1 < size && phys_base[addr + n]; n++)
        to[n] = phys_base[addr + n];
    to[n] = 0;
}

/* Take the file name off the front, and blanks. */
static void cmdline_cook(char *line, bool strip)
{
    const char *p = line;

    while (*p == ' ')
        p++;
    while (strip && *p && *p != ' ')
        p++;
    while (*p == ' ')
        p++;
    memmove(line, p, strlen(p) + 1);
}

static bool loader_is_grub2(void)
{
    const char *p = strstr(loader_name, "GRUB ");

    return p && p[5] >= '1' && p[5] <= '9';
}

static void map_add(paddr_t start, uint64_t size, uint32_t type)
{
    if (!size)
        return;
    if (boot.nr_raw == BOOT_MAX_REGIONS) {
        log_warn("boot: more than %u memory regions: the rest is not used\n", BOOT_MAX_REGIONS);
        return;
    }
    boot.raw[boot.nr_raw++] = (struct boot_region){start, size, type};
}

/* Without a map: conventional memory and what is contiguous from 1 MiB up, in KiB. */
static void map_from_sizes(uint32_t lower, uint32_t upper)
{
    if (boot.nr_raw)
        return;
    map_add(0, (uint64_t)MIN(lower, 640u) << 10, E820_RAM);
    map_add(0x100000, (uint64_t)upper << 10, E820_RAM);
}

static void module_add(uint32_t start, uint32_t end, uint64_t string, uint64_t max)
{
    struct boot_module *m;

    if (end <= start) {
        log_warn("boot: module at %#x is empty: ignored\n", start);
        return;
    }
    if (boot.nr_modules == BOOT_MAX_MODULES) {
        log_warn("boot: more than %u modules: the rest is not used\n", BOOT_MAX_MODULES);
        return;
    }
    m = &boot.module[boot.nr_modules++];
    m->start = start;
    m->size = end - start;
    if (string)
        phys_string(m->cmdline, sizeof(m->cmdline), string, max);
}

/* --- Screen -------- */

static void video_from_framebuffer(const struct framebuffer *fb)
{
    if (fb->type == FB_TEXT) {
        boot.video.cols = (uint8_t)MIN(fb->width, 255u);
        boot.video.rows = (uint8_t)MIN(fb->height, 255u);
        boot.video.font_height = 16;
        boot.video.base = fb->addr;
        boot.video.present = true;
        return;
    }
    if (fb->type != FB_RGB || !fb->addr || !fb->width || !fb->height)
        return;
    boot.video.present = boot.video.graphics = true;
    boot.video.base = fb->addr;
    boot.video.pitch = fb->pitch;
    boot.video.width = fb->width;
    boot.video.height = fb->height;
    boot.video.bpp = fb->bpp;
    boot.video.red_pos = fb->pos_size[0];
    boot.video.red_size = fb->pos_size[1];
    boot.video.green_pos = fb->pos_size[2];
    boot.video.green_size = fb->pos_size[3];
    boot.video.blue_pos = fb->pos_size[4];
    boot.video.blue_size = fb->pos_size[5];
}

/* The VBE 2 mode information block (offsets are the specification's). */
static void video_from_vbe(const uint8_t *m)
{
    struct framebuffer fb = {.type = FB_RGB};
    uint16_t attr, pitch, w, h;
    uint32_t base;

    memcpy(&attr, m, 2);
    memcpy(&pitch, m + 16, 2);
    memcpy(&w, m + 18, 2);
    memcpy(&h, m + 20, 2);
    memcpy(&base, m + 40, 4);
    if ((attr & 0x90) != 0x90) /* graphics with a linear frame buffer */
        return;
    fb.addr = base;
    fb.pitch = pitch;
    fb.width = w;
    fb.height = h;
    fb.bpp = m[25];
    for (unsigned i = 0; i < 3; i++) {
        fb.pos_size[2 * i] = m[32 + 2 * i];
        fb.pos_size[2 * i + 1] = m[31 + 2 * i];
    }
    video_from_framebuffer(&fb);
}

/* The BIOS data area knows the text mode when the loader says nothing, and the cursor always. */
static void video_from_bios(void)
{
    uint8_t mode = 0, rows = 0, cursor[2] = {0};
    uint16_t cols = 0, font = 0;

    if (boot.video.graphics || !phys_read(&mode, 0x449, 1) || !phys_read(&cols, 0x44a, 2) ||
        !phys_read(cursor, 0x450, 2) || !phys_read(&rows, 0x484, 1) || !phys_read(&font, 0x485, 2))
        return;
    if (!boot.video.present) {
        if ((mode != 2 && mode != 3) || cols < 40 || cols > 160)
            return;
        boot.video.present = true;
        boot.video.base = 0xb8000;
        boot.video.cols = (uint8_t)cols;
        boot.video.rows = rows >= 24 && rows < 100 ? rows + 1 : 25;
        boot.video.font_height = font >= 8 && font <= 32 ? (uint8_t)font : 16;
    }
    if (cursor[0] < boot.video.cols && cursor[1] < boot.video.rows) {
        boot.video.cursor_x = cursor[0];
        boot.video.cursor_y = cursor[1];
    }
}

/* --- Multiboot 1 -------- */

static void mb1_memory(const struct mb1_info *mb)
{
    uint64_t at = mb->mmap_addr, end = at + mb->mmap_length;

    if (mb->flags & MB1_MMAP) {
        struct mb1_mmap e;

        for (; at + sizeof(e) <= end && phys_read(&e, at, sizeof(e)); at += e.size + 4ULL) {
            if (e.size < sizeof(e) - 4)
                break;
            map_add(e.addr, e.len, e.type);
            if (boot.nr_raw == BOOT_MAX_REGIONS)
                break;
        }
    }
    if (mb->flags & MB1_MEM)
        map_from_sizes(mb->mem_lower, mb->mem_upper);
}

static void mb1_modules(const struct mb1_info *mb)
{
    unsigned n = MIN(mb->mods_count, (uint32_t)BOOT_MAX_MODULES);

    if (!(mb->flags & MB1_MODS))
        return;
    if (n < mb->mods_count)
        log_warn("boot: %u modules given, %u used\n", mb->mods_count, n);
    for (unsigned i = 0; i < n; i++) {
        struct mb1_module m;

        if (!phys_read(&m, mb->mods_addr + i * sizeof(m), sizeof(m)))
            return;
        module_add(m.start, m.end, m.string, BOOT_CMDLINE);
    }
}

static void mb1_video(const struct mb1_info *mb)
{
    if (mb->flags & MB1_FB) {
        struct framebuffer fb = {mb->fb_addr, mb->fb_pitch, mb->fb_width, mb->fb_height,
                                 mb->fb_bpp,  mb->fb_type,  {0}};

        memcpy(fb.pos_size, mb->fb_colour, sizeof(fb.pos_size));
        video_from_framebuffer(&fb);
    } else if (mb->flags & MB1_VBE) {
        const uint8_t *m = phys_at(mb->vbe_mode_info, 256);

        if (m && mb->vbe_mode_info)
            video_from_vbe(m);
    }
}

static void mb1_parse(uint32_t info)
{
    struct mb1_info mb;

    if (!phys_read(&mb, info, sizeof(mb)))
        return;
    if (mb.flags & MB1_LOADER)
        phys_string(loader_name, sizeof(loader_name), mb.loader_name, sizeof(loader_name));
    strip_first_word = !loader_is_grub2();
    if (mb.flags & MB1_CMDLINE)
        phys_string(boot.cmdline, sizeof(boot.cmdline), mb.cmdline, BOOT_CMDLINE);
    mb1_modules(&mb);
    mb1_memory(&mb);
    mb1_video(&mb);
}

/* --- Multiboot 2 -------- */

static void mb2_memory(uint64_t at, uint32_t size)
{
    uint32_t entry[2];

    if (size < 16 || !phys_read(entry, at + 8, sizeof(entry)) || entry[0] < sizeof(struct mb2_mmap))
        return;
    for (uint64_t k = 16; k + entry[0] <= size && boot.nr_raw < BOOT_MAX_REGIONS; k += entry[0]) {
        struct mb2_mmap e;

        if (!phys_read(&e, at + k, sizeof(e)))
            return;
        map_add(e.addr, e.len, e.type);
    }
}

static void mb2_module(uint64_t at, uint32_t size)
{
    uint32_t range[2];

    if (size >= 16 && phys_read(range, at + 8, sizeof(range)))
        module_add(range[0], range[1], at + 16, size - 16);
}

static void mb2_framebuffer(uint64_t at, uint32_t size)
{
    struct framebuffer fb = {0};

    /* Up to the colours the tag has the layout of the structure. */
    if (size < 31 || !phys_read(&fb, at + 8, offsetof(struct framebuffer, pos_size)))
        return;
    if (size >= 38 && !phys_read(fb.pos_size, at + 32, 6))
        return;
    video_from_framebuffer(&fb);
}

static void mb2_tag(uint64_t at, struct mb2_tag t, uint32_t sizes[2], uint64_t *rsdp_v1)
{
    uint64_t body = at + 8, n = t.size - 8;

    switch (t.type) {
    case 1:
        phys_string(boot.cmdline, sizeof(boot.cmdline), body, n);
        break;
    case 2:
        phys_string(loader_name, sizeof(loader_name), body, n);
        break;
    case 3:
        mb2_module(at, t.size);
        break;
    case 4:
        if (n >= 8 && !phys_read(sizes, body, 8))
            sizes[0] = sizes[1] = 0;
        break;
    case 6:
        mb2_memory(at, t.size);
        break;
    case 7:
        if (n >= 776 && !boot.video.present && phys_at(body + 520, 256))
            video_from_vbe(phys_at(body + 520, 256));
        break;
    case 8:
        mb2_framebuffer(at, t.size);
        break;
    case 14:
        *rsdp_v1 = n >= 20 ? body : 0;
        break;
    case 15:
        boot.rsdp = n >= 36 ? body : 0;
        break;
    default:
        break;
    }
}

static void mb2_parse(uint32_t info)
{
    uint32_t total, sizes[2] = {0};
    uint64_t rsdp_v1 = 0;
    struct mb2_tag t;

    if (!phys_read(&total, info, 4) || !phys_at(info, total))
        return;
    for (uint64_t k = 8; k + sizeof(t) <= total; k = ROUND_UP(k + t.size, 8ULL)) {
        if (!phys_read(&t, info + k, sizeof(t)) || !t.type || t.size < sizeof(t) ||
            t.size > total - k)
            break;
        mb2_tag(info + k, t, sizes, &rsdp_v1);
    }
    map_from_sizes(sizes[0], sizes[1]);
    if (!boot.rsdp)
        boot.rsdp = rsdp_v1;
}

/* -------- */

/* The loader's copy of the RSDP must outlive the loader's memory: its page is not RAM to us. */
static unsigned keep_rsdp(unsigned n)
{
    if (boot.rsdp && n < BOOT_MAX_REGIONS)
        boot.map[n++] = (struct boot_region){boot.rsdp, 64, E820_RESERVED};
    return n;
}

void boot_parse(uint32_t magic, uint32_t info, const char *phys)
{
    memset(&boot, 0, sizeof(boot));
    memset(loader_name, 0, sizeof(loader_name));
    strip_first_word = false;
    boot.loader = loader_name;
    phys_base = phys;
    if (magic == MB1_MAGIC)
        mb1_parse(info);
    else if (magic == MB2_MAGIC)
        mb2_parse(info);
    else
        log_err("boot: loader gave %#x: not multiboot 1 or 2\n", magic);
    if (!loader_name[0])
        strlcpy(loader_name, "unknown", sizeof(loader_name));
    cmdline_cook(boot.cmdline, strip_first_word);
    for (unsigned i = 0; i < boot.nr_modules; i++)
        cmdline_cook(boot.module[i].cmdline, strip_first_word);
    video_from_bios();
    memcpy(boot.map, boot.raw, sizeof(boot.raw));
    boot.nr_map = e820_sanitise(boot.map, keep_rsdp(boot.nr_raw), BOOT_MAX_REGIONS);
}
