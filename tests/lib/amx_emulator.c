/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/amx_emulator.h"

#if defined(__x86_64__) && !defined(TTT_F64)

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "src/kernels/amx.h"

enum { TILES = 8, ROWS = 16, ROW_BYTES = 64 };

/* As LDTILECFG reads it and STTILECFG writes it. */
struct configuration {
    uint8_t  palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t  rows[16];
};

static _Thread_local struct configuration configured;   /* palette 0: not */
static _Thread_local uint32_t tile[TILES][ROWS * ROW_BYTES / 4];
static _Thread_local long count;

static void (*other)(int) = SIG_DFL;   /* what else the program has for SIGILL */
static int started;

/* --- what is executed: 0 where a processor refuses ------------------------------- */

static int zeros(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++) if (((const uint8_t *)p)[i]) return 0;
    return 1;
}

static int load_configuration(const void *from)
{
    struct configuration c;
    memcpy(&c, from, sizeof c);
    if (c.palette > 1 || !zeros(c.reserved, sizeof c.reserved) ||
        !zeros(c.row_bytes + TILES, 16) || !zeros(c.rows + TILES, 8))
        return 0;
    for (int t = 0; t < TILES; t++)
        if (c.row_bytes[t] > ROW_BYTES || c.rows[t] > ROWS || !c.rows[t] != !c.row_bytes[t])
            return 0;
    configured = c;
    if (!c.palette) memset(&configured, 0, sizeof configured);
    memset(tile, 0, sizeof tile);
    return 1;
}

static int valid(int t)
{
    return configured.palette && t < TILES && configured.rows[t] &&
           configured.row_bytes[t] % 4 == 0;
}

static int move(int t, uint8_t *memory, int64_t stride, int store)
{
    if (!valid(t)) return 0;
    if (!store) memset(tile[t], 0, sizeof tile[t]);
    for (int i = 0; i < configured.rows[t]; i++) {
        uint8_t *row = (uint8_t *)tile[t] + i * ROW_BYTES, *there = memory + i * stride;
        if (store) memcpy(there, row, configured.row_bytes[t]);
        else memcpy(row, there, configured.row_bytes[t]);
    }
    return 1;
}

static int dot(int c, int a, int b)
{
    if (!valid(a) || !valid(b) || !valid(c) || a == b || b == c || a == c) return 0;
    const int rows = configured.rows[c], columns = configured.row_bytes[c] / 4;
    const int words = configured.rows[b];
    if (configured.rows[a] != rows || configured.row_bytes[a] / 4 != words ||
        configured.row_bytes[b] / 4 != columns)
        return 0;
    float sums[ROWS * ROW_BYTES / 4];
    memcpy(sums, tile[c], sizeof sums);
    amx_dot_ref(sums, tile[a], tile[b], rows, columns, words);
    memcpy(tile[c], sums, sizeof sums);
    return 1;
}

/* --- decoding ---------------------------------------------------------------------- */

/* Number of a general register in the instruction -> its place in what the kernel saved. */
static const int saved[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

/* An operand in memory; `next` is the byte after it. */
struct memory { uint8_t *at; int64_t stride; int has_sib; const uint8_t *next; };

/* From the ModRM byte on; x and b are the prefix's fourth bits of index and base. */
static struct memory memory_operand(const uint8_t *p, const greg_t *g, int x, int b)
{
    const int mod = *p >> 6, sib = (*p & 7) == 4;
    int base = *p++ & 7, index = -1, scale = 0;
    int64_t address = 0;
    int32_t far = 0;
    struct memory m = { .has_sib = sib };

    if (sib) {
        scale = *p >> 6;
        index = (*p >> 3 & 7) | x << 3;
        base = *p++ & 7;
    }
    const int no_base = mod == 0 && base == 5;
    if (mod == 2 || no_base) {
        memcpy(&far, p, sizeof far);
        p += sizeof far;
    } else if (mod == 1) {
        far = (int8_t)*p++;
    }
    if (!no_base) address = g[saved[base | b << 3]];
    else if (!sib) address = (int64_t)(uintptr_t)p;         /* relative to the next instruction */
    if (sib && index != 4) m.stride = (int64_t)((uint64_t)g[saved[index]] << scale);
    m.at = (uint8_t *)(uintptr_t)(address + far);
    m.next = p;
    return m;
}

/* Mandatory prefix, as in the last bits of the third byte. */
enum prefix { NONE, P66, PF3, PF2 };

static int with_memory(const uint8_t *p, const greg_t *g, const uint8_t **next)
{
    const enum prefix prefix = p[2] & 3;
    const int reg = p[4] >> 3 & 7;
    const struct memory m = memory_operand(p + 4, g, !(p[1] & 0x40), !(p[1] & 0x20));

    *next = m.next;
    if ((p[2] & 0x78) != 0x78) return 0;
    if (p[3] == 0x49 && reg == 0 && prefix == NONE) return load_configuration(m.at);
    if (p[3] == 0x49 && reg == 0 && prefix == P66) {
        memcpy(m.at, &configured, sizeof configured);
        return 1;
    }
    if (p[3] != 0x4b || !m.has_sib || prefix == NONE) return 0;
    return move(reg, m.at, m.stride, prefix == PF3);
}

static int with_registers(const uint8_t *p)
{
    const enum prefix prefix = p[2] & 3;
    const int reg = p[4] >> 3 & 7, rm = p[4] & 7, third = ~p[2] >> 3 & 15;

    if ((p[1] & 0xe0) != 0xe0) return 0;    /* a register that does not exist */
    if (p[3] == 0x5c && prefix == PF3) return dot(reg, rm, third);
    if (p[3] != 0x49 || third || rm) return 0;
    if (prefix == NONE && reg == 0) return load_configuration(&(struct configuration){ 0 });
    if (prefix != PF2 || !valid(reg)) return 0;
    memset(tile[reg], 0, sizeof tile[reg]);
    return 1;
}

/* C4, then R X B and the map, which is 2, then W, the third register, L and the prefix. */
static int execute(greg_t *g)
{
    const uint8_t *p = (const uint8_t *)(uintptr_t)g[REG_RIP], *next = p + 5;

    if (p[0] != 0xc4 || (p[1] & 0x9f) != 0x82 || p[2] & 0x84) return 0;
    if (p[3] != 0x49 && p[3] != 0x4b && p[3] != 0x5c) return 0;
    if (!(p[4] >> 6 == 3 ? with_registers(p) : with_memory(p, g, &next))) return 0;
    g[REG_RIP] = (greg_t)(uintptr_t)next;
    return 1;
}

/* --- the signal ---------------------------------------------------------------------- */

static void on_sigill(int sig, siginfo_t *info, void *context)
{
    (void)info;
    greg_t *const registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const long before = count;

    while (execute(registers)) count++;     /* what follows is often another one */
    if (count > before) return;
    if (other == SIG_DFL || other == SIG_IGN) {
        struct sigaction dies = { .sa_handler = SIG_DFL };
        sigaction(sig, &dies, NULL);    /* and the instruction is met again */
        return;
    }
    other(sig);
}

/* cmocka catches SIGILL, too, while a test runs.  Here it would hide ours, so all calls of signal()
 * in a test program come here, and for SIGILL set who is asked after us. */
void (*signal(int sig, void (*handler)(int)))(int)
{
    struct sigaction now = { .sa_handler = handler, .sa_flags = SA_RESTART }, before;

    if (sig == SIGILL && started) {
        void (*was)(int) = other;
        other = handler;
        return was;
    }
    return sigaction(sig, &now, &before) ? SIG_ERR : before.sa_handler;
}

int amx_emulator_start(void)
{
    struct sigaction ours = { .sa_sigaction = on_sigill, .sa_flags = SA_SIGINFO | SA_NODEFER };

    if (!started) {
        if (amx_usable()) return 0;
        amx_is_emulated();
        sigaction(SIGILL, &ours, NULL);
        started = 1;
    }
    return 1;
}

long amx_emulator_count(void) { return count; }

__attribute__((constructor))
static void start_if_asked(void)
{
    const char *isa = getenv("TTT_ISA");
    if (isa && !strcmp(isa, "amx")) amx_emulator_start();
}

#else

int amx_emulator_start(void) { return 0; }
long amx_emulator_count(void) { return 0; }

#endif
