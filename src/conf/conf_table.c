/* SPDX-License-Identifier: Apache-2.0 */
#include "src/conf/conf_reader.h"

#include <string.h>

#include "src/base/ckpt_limits.h"
#include "src/base/openmp.h"
#include "src/layers/dims_table.h"
#include "src/layers/layer.h"
#include "src/layers/ttt_heads.h"
#include "src/plan/share.h"

#define KEY(section, field)                                     \
    #section "." #field, offsetof(struct conf, section.field),  \
    sizeof(((struct conf *)0)->section.field)
#define NO_RANGE 0, 0, ""
#define BIG_INT (0x1p53 - 1)  /* whole numbers up to here are exact in a double */

const struct conf_key conf_keys[] = {
    { KEY(run, name), CONF_TEXT, "", NO_RANGE,
      "name of the run; empty: the file's name without .yaml", { 0 } },
    { KEY(run, dir), CONF_TEXT, "", NO_RANGE,
      "folder for metrics and checkpoints; empty: logs/NAME", { 0 } },
    { KEY(run, seed), CONF_INT, "1", 0, BIG_INT, "",
      "seed of the initial weights and of the order of the samples", { 0 } },
    { KEY(run, threads), CONF_INT, "0", 0, OPENMP_THREADS, "",
      "OpenMP threads of a process; 0: OMP_NUM_THREADS, or one for each core that it may use", { 0 } },
    { KEY(run, grid), CONF_TEXT, "auto", NO_RANGE,
      "process grid as DxPxS: data parallelism (D replicas, each with its own sequences), "
      "pipeline parallelism (P stages of layers), sequence or context parallelism (S parts of "
      "every sequence); auto: data parallelism first. The grid changes no bit of the result",
      { 0 } },

    { KEY(model, layer), CONF_LAYER, "ttt_linear", NO_RANGE,
      "sequence layer of every block; a list, as `[ttt_linear, ttt_linear, attention]`, is repeated "
      "through the depth, and a key below is for the blocks whose layer uses it", { 0 } },
    { KEY(model, backbone), CONF_ENUM, "mamba", NO_RANGE,
      "block around a TTT layer. mamba: with causal convolutions, a shared projection of "
      "queries and keys, and an output gate; transformer: with none of them",
      { "mamba", "transformer" } },
    { KEY(model, vocab), CONF_INT, "32000", RANGE_V, "pieces",
      "size of the vocabulary, at least the tokenizer's", { 0 } },
    { KEY(model, layers), CONF_INT, "12", RANGE_L, "blocks", "number of blocks (depth)", { 0 } },
    { KEY(model, width), CONF_INT, "768", RANGE_C, "",
      "width of the residual stream (d_model); a multiple of model.heads, except with "
      "model.head_dim", { 0 } },
    { KEY(model, heads), CONF_INT, "12", RANGE_H, "",
      "heads of the sequence layer, if it has heads; width / heads must be even", { 0 } },
    { KEY(model, kv_heads), CONF_INT, "auto", RANGE_H, "",
      "grouped-query attention: heads of keys and values, a divisor of model.heads (attention "
      "only); auto: as many as model.heads", { 0 } },
    { KEY(model, head_dim), CONF_INT, "auto", RANGE_F, "",
      "width of a head of attention, an even number; auto: width / heads", { 0 } },
    { KEY(model, qkv_bias), CONF_BOOL, "false", NO_RANGE,
      "the projections to queries, keys and values have a bias, as in Qwen2 (attention only)",
      { 0 } },
    { KEY(model, sliding_window), CONF_INT, "0", RANGE_WINDOW, "tokens",
      "sliding-window attention: tokens that a query sees, itself included, as in Mistral; 0: "
      "all. train.context must not be longer than the window, because longer sequences are not "
      "supported yet", { 0 } },
    { KEY(model, full_layers), CONF_INT, "0", RANGE_FULL, "blocks",
      "in a model with sliding_window, the number of first blocks whose attention sees all "
      "tokens, as in Qwen2", { 0 } },
    { KEY(model, ffn_width), CONF_INT, "auto", RANGE_E, "",
      "hidden width of the SwiGLU feed-forward network; 0: no feed-forward; auto: 0 if all "
      "blocks are mamba, else 2048; a block of mamba never has one", { 0 } },
    { KEY(model, mini_batch), CONF_INT, "16", RANGE_K, "tokens",
      "inner mini-batch size b of a TTT layer: tokens between two updates of the fast weights",
      { 0 } },
    { KEY(model, conv_width), CONF_INT, "4", RANGE_CONV, "taps",
      "kernel width of every causal convolution", { 0 } },
    { KEY(model, gate), CONF_BOOL, "auto", NO_RANGE,
      "output gate of the sequence layer; auto: true with the mamba backbone", { 0 } },
    { KEY(model, share_qk), CONF_BOOL, "auto", NO_RANGE,
      "queries and keys come from one shared projection, each through a convolution of its own;"
      " auto: true with the mamba backbone", { 0 } },
    { KEY(model, pre_conv), CONF_BOOL, "auto", NO_RANGE,
      "causal convolution before the sequence layer; auto: true with the mamba backbone", { 0 } },
    { KEY(model, tied), CONF_BOOL, "true", NO_RANGE,
      "tied embeddings: the output head is the transposed embedding", { 0 } },
    { KEY(model, rope_theta), CONF_DOUBLE, "10000", 1, 1e12, "",
      "base of the rotary position embedding (RoPE). In TTT layers positions count inside the "
      "mini-batch, in attention from the start of the sequence", { 0 } },
    { KEY(model, rms_eps), CONF_DOUBLE, "auto", 1e-30, 1, "",
      "epsilon of RMSNorm; auto: 1e-5 if all blocks are mamba, else 1e-6", { 0 } },
    { KEY(model, ln_eps), CONF_DOUBLE, "1e-6", 1e-30, 1, "",
      "epsilon of the LayerNorm in the inner model, and of the one after the heads of a TTT "
      "layer", { 0 } },
    { KEY(model, init), CONF_ENUM, "normal", NO_RANGE,
      "initialisation of matrices. normal: Gaussian; orthogonal: all singular values are equal,"
      " and elements have the same standard deviation", { "normal", "orthogonal" } },
    { KEY(model, init_std), CONF_DOUBLE, "0.02", 0, 1e3, "",
      "standard deviation of initial matrices", { 0 } },
    { KEY(model, inner_lr), CONF_DOUBLE, "1", 0, 1e3, "",
      "base learning rate of the inner loop; every inner step is also divided by the head width",
      { 0 } },
    { KEY(model, inner_norm), CONF_BOOL, "true", NO_RANGE,
      "LayerNorm in the inner model. This key and the next six are the paper's ablation", { 0 } },
    { KEY(model, inner_residual), CONF_BOOL, "true", NO_RANGE,
      "true: the inner model is x + f(x) and its target is V - K; false: it is f(x), and its "
      "target is V", { 0 } },
    { KEY(model, inner_bias), CONF_BOOL, "true", NO_RANGE,
      "the inner model's layers have a bias", { 0 } },
    { KEY(model, inner_mean), CONF_BOOL, "true", NO_RANGE,
      "true: token i of a mini-batch uses the mean of the i + 1 inner gradients so far; false: "
      "their sum", { 0 } },
    { KEY(model, learn_init), CONF_BOOL, "true", NO_RANGE,
      "true: the initial fast weights are learned; false: they are zero", { 0 } },
    { KEY(model, learn_gate), CONF_BOOL, "true", NO_RANGE,
      "true: the inner learning rate is predicted for each token and head, through a sigmoid; "
      "false: it is inner_lr", { 0 } },
    { KEY(model, learn_token_idx), CONF_BOOL, "true", NO_RANGE,
      "a learned offset is added to the factor 1 / (i + 1) of token i of a mini-batch", { 0 } },
    { KEY(model, state), CONF_INT, "16", RANGE_STATE, "numbers",
      "state size of a Mamba channel (d_state)", { 0 } },
    { KEY(model, expand), CONF_INT, "2", RANGE_EXPAND, "",
      "expansion factor of a Mamba layer: it has expand * width channels", { 0 } },
    { KEY(model, dt_rank), CONF_INT, "auto", RANGE_DT_RANK, "",
      "rank of the projection to Mamba's step sizes; auto: width / 16, rounded up", { 0 } },

    { KEY(model.rope_scaling, type), CONF_ENUM, "default", NO_RANGE,
      "scaling of the rotary angles of attention for contexts longer than the first training's."
      " default: none; linear: all angles are divided by factor; llama3: slow angles are "
      "divided, fast ones stay", { "default", "linear", "llama3" } },
    { KEY(model.rope_scaling, factor), CONF_DOUBLE, "1", 1, 1e6, "",
      "divisor of the angles", { 0 } },
    { KEY(model.rope_scaling, low_freq_factor), CONF_DOUBLE, "1", 1e-6, 1e6, "turns",
      "llama3: angles that make fewer turns than this in original_context tokens are divided",
      { 0 } },
    { KEY(model.rope_scaling, high_freq_factor), CONF_DOUBLE, "4", 1e-6, 1e6, "turns",
      "llama3: angles that make more turns than this in original_context tokens stay", { 0 } },
    { KEY(model.rope_scaling, original_context), CONF_INT, "8192", RANGE_ORIGINAL, "tokens",
      "llama3: context that the model was first trained with", { 0 } },

    { KEY(data, train), CONF_TEXT, NULL, NO_RANGE,
      "training data set, made by ttt prep: its folder or its INDEX file", { 0 } },
    { KEY(data, val), CONF_TEXT, "", NO_RANGE,
      "validation data set for evaluations; empty: none", { 0 } },
    { KEY(data, skip), CONF_TEXT, "", NO_RANGE,
      "samples to leave out, by their number in the order of the run, for example "
      "5120-6143,9000", { 0 } },
    { KEY(data, mask_bos), CONF_BOOL, "true", NO_RANGE,
      "predictions of `<s>` are not scored, as in the authors' code", { 0 } },

    { KEY(train, steps), CONF_INT, "4800", 1, 1e12, "updates",
      "length of the run in optimizer updates", { 0 } },
    { KEY(train, context), CONF_INT, "2048", 1, 1 << 24, "tokens",
      "context: length of a training sequence", { 0 } },
    { KEY(train, batch_tokens), CONF_INT, "524288", 1, 1e12, "tokens",
      "global batch size of an update, over all replicas; a multiple of train.context", { 0 } },
    { KEY(train, micro_batch), CONF_INT, "1", 1, 65536, "sequences",
      "micro-batch: sequences that a process computes at once (the rest of its batch is "
      "gradient accumulation); it changes speed and memory, no result", { 0 } },
    { KEY(train, slice_tokens), CONF_INT, "auto", 0, 1 << 24, "tokens",
      "length of a slice (unit), the piece of a sequence that is computed at once and that "
      "pipeline and sequence parallelism pass on: a multiple of mini_batch, or context and more"
      " for whole sequences; auto: the smaller of context and 1024", { 0 } },
    { KEY(train, precision), CONF_ENUM, "fp32", NO_RANGE,
      "mixed precision: operands of matrix products, in the inner loop too, are fp32 or rounded"
      " to bf16. Sums, master weights, norms and inner states are fp32 in both; for the moments"
      " see optim.state", { "fp32", "bf16" } },
    { KEY(train, reduction), CONF_ENUM, "exact", NO_RANGE,
      "sums of gradients. exact: 64-bit integers, the same bits for any number of threads and "
      "processes, any grid and any micro_batch; fast: floats, half the memory, no equal bits "
      "across grids", { "exact", "fast" } },
    { KEY(train, remat), CONF_ENUM, "none", NO_RANGE,
      "activation recomputation (checkpointing). none: all activations are kept for the "
      "backward pass; block: only the inputs of blocks are kept, and the forward pass of a "
      "block is computed again", { "none", "block" } },
    { KEY(train, sequence_mode), CONF_ENUM, "wavefront", NO_RANGE,
      "how the S processes of a sequence share it. wavefront: each process runs one layer after"
      " its left neighbour, and only states (or keys and values) are sent; heads: all processes"
      " compute the same layer and exchange tokens for heads by all-to-all; scan: Mamba only, "
      "states are composed by a parallel scan. wavefront and heads change no bit of the result;"
      " scan is equal to rounding", { "wavefront", "heads", "scan" } },
    { KEY(train, inner_group), CONF_INT, "4", 1, HEADS_MAX_GROUP, "mini-batches",
      "mini-batches between two inner states that are kept for the backward pass; states "
      "between them are recomputed", { 0 } },
    { KEY(train, inner_stats_every), CONF_INT, "10", 0, 1e9, "steps",
      "steps between reports of the inner loss; 0: never", { 0 } },
    { KEY(train, max_bad_steps), CONF_INT, "10", 1, 1e9, "steps",
      "number of consecutive steps with NaN or Inf that ends the run (exit code 87)", { 0 } },
    { KEY(train, spike_nats), CONF_DOUBLE, "0", 0, 1e3, "nats",
      "loss spike: a step whose loss exceeds its running mean by more than this, and by 8 times"
      " the usual distance. The run goes back to its newest checkpoint and leaves out the "
      "samples read since then; 0: no check", { 0 } },
    { KEY(train, guard_every), CONF_INT, "10", 0, 1e9, "steps",
      "steps between checks of memory: weights and moments must be what the last update wrote, "
      "and equal on all replicas. 1: no flipped bit is trained on; 0: never", { 0 } },
    { KEY(train, init_from), CONF_TEXT, "", NO_RANGE,
      "fine-tuning: a run folder, checkpoint or Hugging Face folder whose weights the run "
      "begins with; empty: random weights. Keys of `model` that are not given take that model's"
      " values; given ones must agree with it, or be in train.init_change", { 0 } },
    { KEY(train, init_change), CONF_LIST, "", NO_RANGE,
      "keys of `model` that differ from those of train.init_from on purpose, for example "
      "`[model.rope_theta]`", { 0 } },

    { KEY(optim, kind), CONF_ENUM, "adamw", NO_RANGE,
      "optimizer. adamw; soap: Adam in the eigenbasis of Shampoo's preconditioner for every "
      "matrix, AdamW for other parameters", { "adamw", "soap" } },
    { KEY(optim, state), CONF_ENUM, "fp32", NO_RANGE,
      "precision of the moments. bf16: half the memory, with stochastic rounding (adamw only)",
      { "fp32", "bf16" } },
    { KEY(optim, lr), CONF_DOUBLE, "3e-3", 0, 1e3, "", "peak learning rate", { 0 } },
    { KEY(optim, min_lr), CONF_DOUBLE, "1e-5", 0, 1e3, "",
      "learning rate at the end of the cosine decay", { 0 } },
    { KEY(optim, warmup_steps), CONF_INT, "auto", 0, 1e12, "updates",
      "warm-up: updates in which the learning rate grows linearly from 0 to optim.lr; auto: a "
      "tenth of train.steps", { 0 } },
    { KEY(optim, decay_steps), CONF_INT, "auto", 0, 1e12, "updates",
      "update at which the cosine decay ends, warm-up included; auto: train.steps", { 0 } },
    { KEY(optim, beta1), CONF_DOUBLE, "0.9", 0, 0.999999, "",
      "decay rate of the first moment", { 0 } },
    { KEY(optim, beta2), CONF_DOUBLE, "0.95", 0, 0.999999, "",
      "decay rate of the second moment", { 0 } },
    { KEY(optim, eps), CONF_DOUBLE, "1e-8", 1e-30, 1, "",
      "epsilon that is added to the square root of the second moment", { 0 } },
    { KEY(optim, weight_decay), CONF_DOUBLE, "0.1", 0, 1e3, "",
      "decoupled weight decay of every parameter, except Mamba's A_log and D and the biases of "
      "queries, keys and values", { 0 } },
    { KEY(optim, clip_norm), CONF_DOUBLE, "1", 0, 1e9, "",
      "gradient clipping: largest global norm; 0: no clipping", { 0 } },
    { KEY(optim, inner_start), CONF_DOUBLE, "1", 0, 1, "",
      "warm-up of the inner learning rate: its share of model.inner_lr at the first update, "
      "which grows to 1 over warmup_steps. The paper: 1 for TTT-Linear, 0.1 for TTT-MLP", { 0 } },
    { KEY(optim, max_dim), CONF_INT, "2048", 2, 65536, "",
      "soap: longest side of a matrix that is preconditioned; a matrix with one longer side is "
      "preconditioned on its other side only", { 0 } },
    { KEY(optim, whole_dim), CONF_INT, "4096", 2, 65536, "",
      "soap: a matrix whose preconditioner is larger than this is decomposed by all processes "
      "of its layer together (ScaLAPACK), and its bits then depend on their number", { 0 } },
    { KEY(optim, precondition_every), CONF_INT, "10", 1, 1e9, "updates",
      "soap: updates between two refreshes of the eigenbases", { 0 } },
    { KEY(optim, factor_beta), CONF_DOUBLE, "0.95", 0, 0.999999, "",
      "soap: decay rate of the preconditioner's factors", { 0 } },

    { KEY(eval, every_steps), CONF_INT, "500", 0, 1e9, "steps",
      "steps between evaluations on data.val; 0: only at the end", { 0 } },
    { KEY(eval, max_tokens), CONF_INT, "262144", 0, 1e15, "tokens",
      "tokens of data.val that an evaluation reads; 0: all", { 0 } },
    { KEY(eval, context), CONF_INT, "auto", 1, 1 << 24, "tokens",
      "context of an evaluation; auto: train.context", { 0 } },

    { KEY(checkpoint, every_minutes), CONF_DOUBLE, "5", 0, 1e6, "minutes",
      "minutes between two checkpoints; 0: not by time", { 0 } },
    { KEY(checkpoint, every_steps), CONF_INT, "0", 0, 1e12, "steps",
      "steps between two checkpoints; 0: not by steps", { 0 } },
    { KEY(checkpoint, keep), CONF_INT, "2", 1, 1e6, "checkpoints",
      "number of newest checkpoints that are kept", { 0 } },
    { KEY(checkpoint, keep_every), CONF_INT, "0", 0, 1e12, "steps",
      "checkpoints at multiples of this step are kept for ever; 0: none", { 0 } },
    { KEY(checkpoint, level), CONF_INT, "1", 1, 19, "", "zstd compression level", { 0 } },
    { KEY(checkpoint, writers), CONF_INT, "8", 1, WRITER_FILES, "files",
      "most files, and processes that write them, of a checkpoint. With more processes each "
      "writer holds the state of its group in memory until it is written", { 0 } },
    { KEY(checkpoint, background), CONF_BOOL, "true", NO_RANGE,
      "asynchronous checkpoints: they are written while training continues, from a copy of the "
      "state in memory. Where there is no room for the copy, the next update waits until all is"
      " written", { 0 } },

    { KEY(log, every_steps), CONF_INT, "1", 1, 1e9, "steps",
      "steps between progress lines", { 0 } },

    { KEY(launch, ranks), CONF_INT, "0", 0, GRID_RANKS, "processes",
      "number of processes that ttt launch starts; 0: as run.grid needs, else all slots of "
      "launch.hosts, else one for each NUMA node", { 0 } },
    { KEY(launch, hosts), CONF_TEXT, "", NO_RANGE,
      "machines and their slots, NAME[:SLOTS],...; empty: this machine", { 0 } },
    { KEY(launch, bind), CONF_BOOL, "true", NO_RANGE,
      "bind processes to cores, except where there are more processes than cores", { 0 } },
    { KEY(launch, kill_wait_s), CONF_INT, "5", 1, 3600, "seconds",
      "seconds from SIGTERM to SIGKILL when mpirun ends a job. Open MPI waits twice that long "
      "after every crash, so it delays restarts", { 0 } },
    { KEY(launch, mpirun), CONF_TEXT, "", NO_RANGE,
      "the program mpirun or mpiexec; empty: the variable MPIRUN of the environment, else that of "
      "the MPI that ttt was built with", { 0 } },
    { KEY(launch, mpirun_kind), CONF_ENUM, "auto", NO_RANGE,
      "which MPI's options it takes; auto: it is asked for its version",
      { "auto", "openmpi4", "openmpi5", "mpich", "intel", "pals" } },
    { KEY(launch, mpirun_args), CONF_TEXT, "", NO_RANGE,
      "more arguments of mpirun, separated by blanks", { 0 } },
    { KEY(launch, rates), CONF_TEXT, "", NO_RANGE,
      "rates of the machines, from ttt bench rates, by which the grid is chosen; empty: rates.yaml "
      "in the run's folder (ttt launch --measure), else those of config/rates/epyc-2core.yaml",
      { 0 } },

    { KEY(launch.slurm, nodes), CONF_INT, "1", 1, 65536, "nodes",
      "number of nodes of the job", { 0 } },
    { KEY(launch.slurm, min_nodes), CONF_INT, "auto", 1, 65536, "nodes",
      "number of nodes that are enough to continue, on another grid, when others fail or are "
      "not free; auto: all", { 0 } },
    { KEY(launch.slurm, tasks_per_node), CONF_INT, "1", 1, 4096, "processes",
      "processes on a node", { 0 } },
    { KEY(launch.slurm, cpus_per_task), CONF_INT, "1", 1, 4096, "CPUs",
      "CPUs of a process, as SLURM counts them; a process has a thread for each core among them", { 0 } },
    { KEY(launch.slurm, time), CONF_WORD, "1-00:00:00", NO_RANGE,
      "time limit of one job, in SLURM's form: MINUTES, HOURS:MINUTES:SECONDS or "
      "DAYS-HOURS:MINUTES:SECONDS; the run continues in the next job", { 0 } },
    { KEY(launch.slurm, partition), CONF_WORD, "", NO_RANGE,
      "partition; empty: SLURM's default", { 0 } },
    { KEY(launch.slurm, account), CONF_WORD, "", NO_RANGE,
      "account that is charged; empty: the user's default", { 0 } },
    { KEY(launch.slurm, qos), CONF_WORD, "", NO_RANGE, "quality of service; empty: the default",
      { 0 } },
    { KEY(launch.slurm, constraint), CONF_WORD, "", NO_RANGE,
      "features that the nodes must have", { 0 } },
    { KEY(launch.slurm, memory), CONF_WORD, "", NO_RANGE,
      "memory of a node, for example `64G`; 0: all; empty: the partition's default", { 0 } },
    { KEY(launch.slurm, start), CONF_ENUM, "srun", NO_RANGE,
      "program that starts the processes inside the job. With mpirun, the signals of scancel "
      "and pre-emption also end mpirun's daemons, and nothing is saved", { "mpirun", "srun" } },
    { KEY(launch.slurm, mpi), CONF_WORD, "pmix", NO_RANGE, "value of `srun --mpi`", { 0 } },
    { KEY(launch.slurm, signal_s), CONF_INT, "auto", 30, 65535, "seconds",
      "seconds before the time limit at which the run saves; auto: twice the measured time of a"
      " save and a step, and 30 s, at least 120 s", { 0 } },
    { KEY(launch.slurm, chain), CONF_BOOL, "false", NO_RANGE,
      "each job submits the next one, for clusters that do not allow requeueing", { 0 } },
    { KEY(launch.slurm, modules), CONF_LIST, "", NO_RANGE,
      "modules to load (`module load`)", { 0 } },
    { KEY(launch.slurm, source), CONF_LIST, "", NO_RANGE, "shell files that the job reads first",
      { 0 } },
    { KEY(launch.slurm, environment), CONF_LIST, "", NO_RANGE,
      "environment variables, as NAME=VALUE", { 0 } },
    { KEY(launch.slurm, options), CONF_LIST, "", NO_RANGE,
      "more options of sbatch, for example `--mail-type=END`", { 0 } },

    { KEY(watchdog, enabled), CONF_BOOL, "true", NO_RANGE,
      "under ttt launch, one process of every machine checks whether the others make progress; "
      "one that does not is reported and killed", { 0 } },
    { KEY(watchdog, core), CONF_BOOL, "false", NO_RANGE,
      "before a process that makes no progress is killed, it gets SIGABRT, and leaves a core file "
      "as large as its memory if `ulimit -c` permits one", { 0 } },
    { KEY(watchdog, setup_s), CONF_DOUBLE, "300", 1, 1e9, "seconds",
      "seconds without progress that are allowed while a run starts, in its first step, and "
      "while it ends", { 0 } },
    { KEY(watchdog, data_s), CONF_DOUBLE, "60", 1, 1e9, "seconds",
      "seconds without progress that are allowed while samples are read", { 0 } },
    { KEY(watchdog, step_s), CONF_DOUBLE, "10", 1, 1e9, "seconds",
      "seconds that are allowed between two operations of a step; at least 5 times a slow "
      "recent step", { 0 } },
    { KEY(watchdog, save_s), CONF_DOUBLE, "60", 1, 1e9, "seconds",
      "seconds that are allowed between two tiles of a checkpoint; at least 5 times a slow "
      "recent save", { 0 } },
};
const int conf_key_count = sizeof conf_keys / sizeof *conf_keys;

const struct conf_schema conf_run = {
    .keys = conf_keys, .count = sizeof conf_keys / sizeof *conf_keys,
    .sections = { "run", "model", "model.rope_scaling", "data", "train", "optim", "eval",
                  "checkpoint", "log", "launch", "launch.slurm", "watchdog" },
    .size = sizeof(struct conf), .lists = "ttt config reference",
};

int conf_find(const struct conf_schema *s, const char *path)
{
    for (int i = 0; i < s->count; i++)
        if (!strcmp(s->keys[i].path, path)) return i;
    return -1;
}

const char *conf_layer(int i) { return layers_row(i) ? layers_row(i)->name : NULL; }
