/* cmd.h -- every command of the program: one row in mpi/app/main.c, one
 * function, one file.
 *
 * argv[0] is the command's name (its last word).  A command returns a status; main() turns it
 * into the exit code.  "--help" prints the command's own page to stdout.
 */
#ifndef CMD_H
#define CMD_H

int cmd_config(int argc, char **argv);    /* mpi/app/cmd_config.c   */
int cmd_ckpt(int argc, char **argv);      /* mpi/app/cmd_ckpt.c     */
int cmd_data(int argc, char **argv);      /* mpi/app/cmd_data.c     */
int cmd_export(int argc, char **argv);    /* mpi/app/cmd_export.c   */
int cmd_generate(int argc, char **argv);  /* mpi/app/cmd_generate.c */
int cmd_import(int argc, char **argv);    /* mpi/app/cmd_import.c   */
int cmd_bench(int argc, char **argv);     /* mpi/bench/cmd_bench.c    */
int cmd_bench_latency(int argc, char **argv); /* mpi/bench/cmd_bench_latency.c */
int cmd_bench_prep(int argc, char **argv);   /* mpi/bench/cmd_bench_prep.c */
int cmd_launch(int argc, char **argv);    /* mpi/app/cmd_launch.c      */
int cmd_status(int argc, char **argv);    /* mpi/app/cmd_status.c      */
int cmd_stop(int argc, char **argv);      /* mpi/app/cmd_stop.c        */
int cmd_plan(int argc, char **argv);      /* mpi/app/cmd_plan.c     */
int cmd_series(int argc, char **argv);    /* mpi/app/cmd_series.c      */
int cmd_prep(int argc, char **argv);      /* mpi/app/cmd_prep.c   */
int cmd_train(int argc, char **argv);     /* mpi/app/cmd_train.c    */
int cmd_ckpt_spectrum(int argc, char **argv);  /* mpi/app/cmd_spectrum.c */
int cmd_eval(int argc, char **argv);      /* mpi/app/on_grid.c      */
int cmd_probe(int argc, char **argv);     /* mpi/app/on_grid.c      */
int cmd_bench_comm(int argc, char **argv);   /* mpi/bench/cmd_bench_comm.c  */
int cmd_bench_eigen(int argc, char **argv);  /* mpi/bench/cmd_bench_eigen.c */
int cmd_bench_grid(int argc, char **argv);   /* mpi/bench/cmd_bench_grid.c  */
int cmd_bench_rates(int argc, char **argv);  /* mpi/bench/cmd_bench_rates.c */
int cmd_bench_train(int argc, char **argv);  /* mpi/bench/cmd_bench_train.c */
int cmd_bench_store(int argc, char **argv);  /* mpi/bench/cmd_bench_store.c */

#endif
