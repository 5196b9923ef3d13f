/* SPDX-License-Identifier: Apache-2.0 */
/* conf_diff.h -- what changed between the configuration of a checkpoint and
 * the one of the run that resumes from it.
 */
#ifndef CONF_DIFF_H
#define CONF_DIFF_H

#include "src/conf/conf.h"

/* Print every key that differs.  Keys of logging, saving, evaluating and of the layout of the
 * work in memory may differ; a key that changes what is computed is refused unless `allow` is
 * set.  A run that was finished may be given more steps.
 *
 * step    of the checkpoint
 * text    the configuration in the checkpoint, as conf_text() wrote it
 * source  stands for it in messages
 * returns OK or ERR_CONFIG */
int conf_diff(const struct conf *now, int64_t step, const char *text, const char *source, int allow);

/* Would conf_diff() accept it?  Nothing is printed about keys. */
int conf_accepts(const struct conf *now, int64_t step, const char *text, const char *source,
                 int allow);

#endif
