/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_bench.h -- the parts of `ttt bench`: one row in cmd_bench.c, one function.
 *
 * argv[0] is the name of the part.  Each has its own --help, and returns a status as a command
 * (src/cli/cmd.h) does.  Those that measure processes are collective on the job.
 */
#ifndef CMD_BENCH_H
#define CMD_BENCH_H

int cmd_bench_machine(int argc, char **argv);  /* gemm, stream, kernels, layer, decode, prefill */
int cmd_bench_rates(int argc, char **argv);
int cmd_bench_train(int argc, char **argv);
int cmd_bench_grid(int argc, char **argv);
int cmd_bench_comm(int argc, char **argv);
int cmd_bench_eigen(int argc, char **argv);
int cmd_bench_prep(int argc, char **argv);
int cmd_bench_store(int argc, char **argv);
int cmd_bench_latency(int argc, char **argv);

#endif
