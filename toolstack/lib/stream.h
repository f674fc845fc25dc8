/* SPDX-License-Identifier: MIT */
/*
 * The published migration stream, as bytes: libxc's stream 3 inside libxl's stream 2, and the file header of `xl save` around both.
 * No guest and no hypervisor here: records go out and come in through callbacks, so a file, a pipe, a socket and a fuzzer's bytes
 * are the same. Each field is checked when it is read; a refusal names the record's number, its type and its offset.
 *
 *   file header (xl)  "Xen saved domain, xl format", flags, configuration as JSON      stream_file.c
 *   libxl stream      ident, records: LIBXC_CONTEXT ... END                            stream_xl.c
 *     libxc stream    two headers, [ZENDO_CONFIG], records up to END                  stream_xc.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* --- bytes ---------------------------------------------------------------------------------------------------------- */

struct stream_out {
    /* Takes all bytes of n pieces (n <= STREAM_IOV), in order; 0 or a negative error with fault(). */
    int (*write)(void *arg, const struct iovec *piece, unsigned n);
    /* Takes `bytes` zero bytes, cheaply: a hole in a file. NULL: zeroes are written. */
    int (*zeroes)(void *arg, uint64_t bytes);
    void *arg;
    uint64_t offset; /* kept by stream_write() and its like: bytes since the start of the file or connection */
};

struct stream_in {
    /* Fills all n pieces (n <= STREAM_IOV) or fails: 0 or a negative error with fault(); the end of the input is one (-ENODATA). */
    int (*read)(void *arg, const struct iovec *piece, unsigned n);
    /* How many bytes from `from` bytes ahead on are zero for certain (a hole in a file), `max` at most. NULL: never known. */
    uint64_t (*zero_ahead)(void *arg, uint64_t from, uint64_t max);
    int (*skip)(void *arg, uint64_t bytes); /* takes bytes that zero_ahead() named; may be NULL if that is */
    void *arg;
    uint64_t offset;
    void (*idle)(void *arg); /* set by who reads: its source may call it while nothing comes. May be NULL */
    void *idle_arg;
    bool shared;        /* a process that is forked off may read on in its place: the position is the kernel's */
};

#define STREAM_IOV 1024U

int stream_write(struct stream_out *o, const void *data, size_t bytes);
int stream_writev(struct stream_out *o, const struct iovec *piece, unsigned n);
int stream_zeroes(struct stream_out *o, uint64_t bytes);
int stream_read(struct stream_in *i, void *data, size_t bytes);
int stream_readv(struct stream_in *i, const struct iovec *piece, unsigned n);
uint64_t stream_zero_ahead(struct stream_in *i, uint64_t from, uint64_t max);
int stream_skip(struct stream_in *i, uint64_t bytes); /* reads and drops them where there is no skip() */

/* Descriptors: regular files get holes both ways; anything else is read and written whole. They start at the present position. */
struct stream_fd {
    int fd;
    bool file;          /* filled in: it is a regular file */
    uint64_t at;        /* of a file that is read: the position */
    uint64_t hole_from, hole_to, hole_looked; /* ... and the last hole found; none between looked and from */
    const char *name;   /* for messages */
};
void stream_out_fd(struct stream_out *o, struct stream_fd *f, int fd, const char *name);
void stream_in_fd(struct stream_in *i, struct stream_fd *f, int fd, const char *name);
/* Memory, for tests and small things. The output grows by realloc; free(data) when done. */
struct stream_memory {
    uint8_t *data;
    size_t bytes, room, at;
};
void stream_out_memory(struct stream_out *o, struct stream_memory *m);
void stream_in_memory(struct stream_in *i, struct stream_memory *m);

/* --- the file header of `xl save` (stream_file.c) ------------------------------------------------------------------- */

#define STREAM_CONFIG_MAX (1U << 20)

struct stream_file {
    char *config;        /* the configuration, NUL-terminated; NULL = none; to be freed */
    bool json;           /* it is JSON; otherwise text as in a configuration file */
};
int stream_file_write(struct stream_out *o, const char *config_json);
int stream_file_read(struct stream_in *i, struct stream_file *f);

/* --- libxl's stream (stream_xl.c) ----------------------------------------------------------------------------------- */

enum { XL_END, XL_LIBXC_CONTEXT, XL_EMULATOR_XENSTORE, XL_EMULATOR_CONTEXT, XL_CHECKPOINT_END, XL_CHECKPOINT_STATE };

int stream_xl_begin(struct stream_out *o);
int stream_xl_record(struct stream_out *o, uint32_t type, const void *body, uint32_t bytes);
/* Reads ident and records up to LIBXC_CONTEXT, after which libxc's stream follows. After its END: up to libxl's END. */
int stream_xl_start(struct stream_in *i);
int stream_xl_end(struct stream_in *i);

/* --- libxc's stream (stream_xc.c: headers and records; stream_page.c, stream_vcpu.c: bodies) ------------------------ */

enum xc_type { XC_END, XC_PAGE_DATA, XC_PV_INFO, XC_PV_P2M_FRAMES, XC_PV_VCPU_BASIC, XC_PV_VCPU_EXTENDED, XC_PV_VCPU_XSAVE,
    XC_SHARED_INFO, XC_TSC_INFO, XC_HVM_CONTEXT, XC_HVM_PARAMS, XC_TOOLSTACK, XC_PV_VCPU_MSRS, XC_VERIFY, XC_CHECKPOINT,
    XC_CHECKPOINT_DIRTY, XC_STATIC_DATA_END, XC_CPUID_POLICY, XC_MSR_POLICY, XC_N_TYPES };
#define XC_OPTIONAL 0x80000000U
#define XC_ZENDO_CONFIG 0x80005a01U /* optional, first of all: our own configuration text. Stock libxc skips what is optional */
#define XC_ZENDO_PAD 0x80005a02U    /* optional: moves page data to a page's border of the file */

#define XC_PFN_MASK ((1ULL << 52) - 1)
#define XC_TYPE_SHIFT 60            /* of XEN_DOMCTL_PFINFO_* without its own shift: 0 .. 15 */
enum { XC_NOTAB, XC_L1, XC_L2, XC_L3, XC_L4, XC_PINNED = 8, XC_BROKEN = 13, XC_ALLOC, XC_XTAB };
static inline bool xc_has_data(unsigned type) { return type < XC_BROKEN; }

#define XC_PAGES_MAX 1024U          /* in one PAGE_DATA record; more is refused */
#define XC_BODY_MAX (16U << 20)     /* of any other record */

const char *xc_name(uint32_t type); /* "PAGE_DATA", ... */

/* Writing. Headers; then records in the order of the specification. */
int xc_begin(struct stream_out *o, unsigned xen_major, unsigned xen_minor);
int xc_record(struct stream_out *o, uint32_t type, const void *body, size_t bytes);
/* A record in two pieces, the first being the small fixed part. */
int xc_record2(struct stream_out *o, uint32_t type, const void *head, size_t head_bytes, const void *body, size_t bytes);
/*
 * PAGE_DATA of n pages: entry[i] = pfn | type << XC_TYPE_SHIFT; page[i] is its content, NULL for a page full of zeroes (if its type
 * has data at all). With `align` the data start at a border of 4096 bytes of the output, so that zeroes become holes.
 */
int xc_page_data(struct stream_out *o, const uint64_t *entry, const void *const *page, unsigned n, bool align);

/*
 * Reading. xc_start() reads the headers. xc_next() reads a record's header and checks type and size; then either xc_body() takes the
 * whole body (buf of r->bytes), or for PAGE_DATA xc_pages() the list, and the caller reads r->n_data pages itself with
 * stream_readv() or stream_skip(), and ends the record with xc_done(). Unknown optional records are skipped inside.
 */
struct xc_record {
    uint32_t type, bytes;
    uint64_t index, offset;     /* which one it is, and where it starts: for messages */
    uint64_t left;              /* bytes of the body that have not been taken */
    unsigned n_pages, n_data;   /* PAGE_DATA, after xc_pages() */
};
struct xc_reader {
    struct stream_in *in;
    struct xc_record r;
    uint64_t index;
    bool pending;               /* r's header has been read, xc_next() is to give it */
    unsigned version;           /* 2 or 3 */
    unsigned xen_major, xen_minor;
};
int xc_start(struct xc_reader *x, struct stream_in *in);
/* After xc_start(): our configuration (to be freed), or NULL if the stream does not begin with it. */
int xc_config(struct xc_reader *x, char **ours);
int xc_next(struct xc_reader *x);
int xc_body(struct xc_reader *x, void *buf);
/* Up to XC_PAGES_MAX entries; pfns are below `limit`, types known, no pfn twice in the record. */
int xc_pages(struct xc_reader *x, uint64_t *entry, uint64_t limit);
int xc_done(struct xc_reader *x);
/* A refusal in the words "record N (TYPE) at offset O: ...". */
int xc_bad(const struct xc_reader *x, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the stream says beside pages; filled by xc_take(), which checks every record that is not PAGE_DATA, END or CHECKPOINT. */
struct xc_blob {
    uint8_t *data;
    uint32_t bytes;
};
struct xc_vcpu {
    struct xc_blob basic, extended, xsave, msrs;
};
#define XC_VCPUS_MAX 128U
struct xc_state {
    bool pv_info, static_end, has_tsc;
    uint64_t p2m_pages;                 /* 0: no P2M_FRAMES yet */
    uint64_t *p2m_frames;               /* pfns; n = p2m_pages / 512, rounded up */
    uint64_t max_pages;                 /* set by the caller before: pfns from here on are refused */
    unsigned max_vcpus;                 /* set by the caller before: vCPU ids from here on are refused */
    struct xc_blob cpuid, msr_policy, shared_info;
    uint32_t tsc_mode, tsc_khz, tsc_incarnation;
    uint64_t tsc_nsec;
    struct xc_vcpu vcpu[XC_VCPUS_MAX];
};
int xc_take(struct xc_reader *x, struct xc_state *s);
/* Is PAGE_DATA allowed now? At the end: is all there that a guest needs to run? */
int xc_check_pages_allowed(const struct xc_reader *x, const struct xc_state *s);
int xc_check_complete(const struct xc_reader *x, const struct xc_state *s);
void xc_state_dispose(struct xc_state *s);
