/* stop.h -- signals that ask a long run to save and leave.
 *
 * SIGUSR1, SIGTERM and SIGINT set a flag and nothing else; more of them change
 * nothing.  The loop looks at the flag where its state is whole.
 */
#ifndef STOP_H
#define STOP_H

/* From now on the signals set the flag. */
void stop_catch(void);

/* The signal that came first, or 0. */
int stop_signal(void);

#endif
