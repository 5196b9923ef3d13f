/* SPDX-License-Identifier: Apache-2.0 */
/* poke.h -- moments in long computing at which messages may move.
 *
 * MPI libraries move data only inside their calls, and the hand-shake before a large message
 * needs both sides.  Who communicates sets a hook for as long as something is under way; what
 * computes calls poke() between kernels, outside of parallel regions, and knows nothing of it.
 */
#ifndef POKE_H
#define POKE_H

/* f(ctx) at every poke() from now on; NULL: nothing any more. */
void poke_hook(void (*f)(void *ctx), void *ctx);

void poke(void);

#endif
