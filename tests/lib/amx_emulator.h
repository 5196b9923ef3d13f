/* SPDX-License-Identifier: Apache-2.0 */
/* amx_emulator.h -- the tile instructions of AMX on processors without them.
 *
 * Such a processor raises SIGILL at the instruction.  A handler decodes it, executes it on tiles of
 * the thread and on its registers and memory, and returns after it: what is tested is the machine
 * code that a processor with AMX runs.  What such a processor refuses (a configuration or shapes
 * that do not fit, a product of a tile with itself) and everything that is not one of these
 * instructions goes to the handler that would have had the signal without us.
 *
 * Every test program starts it before main() if TTT_ISA=amx is set and there are no tiles to use.
 */
#ifndef AMX_EMULATOR_H
#define AMX_EMULATOR_H

/* From now on, in all threads, unless there are tiles to use.  Before the first isa_best().
 * returns 1 if instructions are emulated, 0 if processor and kernel have them */
int amx_emulator_start(void);

/* Instructions that this thread had emulated. */
long amx_emulator_count(void);

#endif
