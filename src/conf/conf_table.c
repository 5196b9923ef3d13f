#include "src/conf/conf_reader.h"

#include <string.h>

#include "src/base/openmp.h"
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
      "of initial weights and of the order of samples", { 0 } },
    { KEY(run, threads), CONF_INT, "0", 0, OPENMP_THREADS, "",
      "threads of the process; 0: OMP_NUM_THREADS or all cores", { 0 } },
    { KEY(run, grid), CONF_TEXT, "auto", NO_RANGE,
      "processes as DxPxS: sequences x layers x units of a sequence; auto: sequences first. "
      "It changes no bit of the result", { 0 } },

    { KEY(model, layer), CONF_LAYER, "ttt_linear", NO_RANGE, "sequence layer of every block",
      { 0 } },
    { KEY(model, backbone), CONF_ENUM, "mamba", NO_RANGE,
      "of TTT layers: mamba: convolutions, shared Q/K projection and gate; transformer: none of "
      "them",
      { "mamba", "transformer" } },
    { KEY(model, vocab), CONF_INT, "32000", 2, 1 << 24, "pieces",
      "size of the vocabulary: at least the tokenizer's", { 0 } },
    { KEY(model, layers), CONF_INT, "12", 1, 1024, "blocks", "depth", { 0 } },
    { KEY(model, width), CONF_INT, "768", 2, 65536, "",
      "of the residual stream; a multiple of heads, except with head_dim", { 0 } },
    { KEY(model, heads), CONF_INT, "12", 1, 4096, "",
      "heads of the sequence layer, where it has any; width / heads must be even", { 0 } },
    { KEY(model, kv_heads), CONF_INT, "auto", 1, 4096, "",
      "groups of heads with common keys and values (attention only), a divisor of heads; auto: "
      "every head has its own", { 0 } },
    { KEY(model, head_dim), CONF_INT, "auto", 1, 65536, "",
      "width of a head of attention, an even number; auto: width / heads", { 0 } },
    { KEY(model, qkv_bias), CONF_BOOL, "false", NO_RANGE,
      "queries, keys and values of attention have a bias, as Qwen2's", { 0 } },
    { KEY(model, sliding_window), CONF_INT, "0", 0, 1 << 24, "tokens",
      "that a query of attention sees, its own and those before, as Mistral's; 0: all. Longer "
      "sequences are not supported yet: context must not be above it", { 0 } },
    { KEY(model, full_layers), CONF_INT, "0", 0, 1024, "blocks",
      "of a model with sliding_window, the first ones that see all tokens, as Qwen2's", { 0 } },
    { KEY(model, ffn_width), CONF_INT, "auto", 0, 1 << 20, "",
      "hidden width of the SwiGLU feed-forward; 0: none; auto: 0 for mamba, 2048 for the others",
      { 0 } },
    { KEY(model, mini_batch), CONF_INT, "16", 1, 4096, "tokens",
      "inner mini-batch b of a TTT layer: tokens between two updates of the fast weights", { 0 } },
    { KEY(model, conv_width), CONF_INT, "4", 1, 64, "taps", "of every causal convolution",
      { 0 } },
    { KEY(model, gate), CONF_BOOL, "auto", NO_RANGE,
      "output gate of the sequence layer; auto: as the backbone has it", { 0 } },
    { KEY(model, share_qk), CONF_BOOL, "auto", NO_RANGE,
      "Q and K from one projection and two convolutions; auto: as the backbone has it", { 0 } },
    { KEY(model, pre_conv), CONF_BOOL, "auto", NO_RANGE,
      "convolution in front of the sequence layer; auto: as the backbone has it", { 0 } },
    { KEY(model, tied), CONF_BOOL, "true", NO_RANGE, "the head is the embedding, transposed",
      { 0 } },
    { KEY(model, rope_theta), CONF_DOUBLE, "10000", 1, 1e12, "",
      "base of the rotary angles; positions count inside the mini-batch, in attention from the "
      "start of the sequence", { 0 } },
    { KEY(model, rms_eps), CONF_DOUBLE, "auto", 1e-30, 1, "",
      "epsilon of RMSNorm; auto: 1e-5 for mamba, 1e-6 for the others", { 0 } },
    { KEY(model, ln_eps), CONF_DOUBLE, "1e-6", 1e-30, 1, "",
      "epsilon of the inner LayerNorm and the one behind the heads", { 0 } },
    { KEY(model, init), CONF_ENUM, "normal", NO_RANGE,
      "of matrices; orthogonal: all singular values equal, elements of the same standard deviation",
      { "normal", "orthogonal" } },
    { KEY(model, init_std), CONF_DOUBLE, "0.02", 0, 1e3, "",
      "standard deviation of initial matrices", { 0 } },
    { KEY(model, inner_lr), CONF_DOUBLE, "1", 0, 1e3, "",
      "base learning rate of the inner loop; every step is divided by the head width", { 0 } },
    { KEY(model, inner_norm), CONF_BOOL, "true", NO_RANGE,
      "LayerNorm in the inner model. This and the six keys below are the paper's ablation", { 0 } },
    { KEY(model, inner_residual), CONF_BOOL, "true", NO_RANGE,
      "the inner model is x + f(x) and learns V - K; false: f(x), and V", { 0 } },
    { KEY(model, inner_bias), CONF_BOOL, "true", NO_RANGE,
      "the inner model's layers have a bias", { 0 } },
    { KEY(model, inner_mean), CONF_BOOL, "true", NO_RANGE,
      "the step of a mini-batch's token i is divided by i + 1; false: steps add up", { 0 } },
    { KEY(model, learn_init), CONF_BOOL, "true", NO_RANGE,
      "the initial fast weights are learned; false: they are zero", { 0 } },
    { KEY(model, learn_gate), CONF_BOOL, "true", NO_RANGE,
      "the inner learning rate is that of each token and head, through a sigmoid; false: inner_lr",
      { 0 } },
    { KEY(model, learn_token_idx), CONF_BOOL, "true", NO_RANGE,
      "learned numbers are added to 1 / (i + 1)", { 0 } },
    { KEY(model, state), CONF_INT, "16", 1, 256, "numbers", "of the state of a Mamba channel",
      { 0 } },
    { KEY(model, expand), CONF_INT, "2", 1, 16, "", "channels of a Mamba layer: this times width",
      { 0 } },
    { KEY(model, dt_rank), CONF_INT, "auto", 1, 65536, "",
      "width that Mamba's step sizes are projected from; auto: width / 16, rounded up", { 0 } },

    { KEY(model.rope_scaling, type), CONF_ENUM, "default", NO_RANGE,
      "of the rotary angles of attention, as public models that were trained again on longer "
      "sequences have it. default: none; linear: all angles are divided by factor; llama3: slow ones "
      "are, and fast ones stay", { "default", "linear", "llama3" } },
    { KEY(model.rope_scaling, factor), CONF_DOUBLE, "1", 1, 1e6, "", "that angles are divided by",
      { 0 } },
    { KEY(model.rope_scaling, low_freq_factor), CONF_DOUBLE, "1", 1e-6, 1e6, "turns",
      "in original_context tokens: angles with fewer are divided (llama3)", { 0 } },
    { KEY(model.rope_scaling, high_freq_factor), CONF_DOUBLE, "4", 1e-6, 1e6, "turns",
      "in original_context tokens: angles with more stay (llama3)", { 0 } },
    { KEY(model.rope_scaling, original_context), CONF_INT, "8192", 1, 1 << 24, "tokens",
      "that the model was trained on at first (llama3)", { 0 } },

    { KEY(data, train), CONF_TEXT, NULL, NO_RANGE,
      "data set made by ttt prep: its folder or INDEX file", { 0 } },
    { KEY(data, val), CONF_TEXT, "", NO_RANGE,
      "data set for evaluation; empty: none", { 0 } },
    { KEY(data, skip), CONF_TEXT, "", NO_RANGE,
      "samples that are left out, by their numbers in the order of the run, as 5120-6143,9000", { 0 } },
    { KEY(data, mask_bos), CONF_BOOL, "true", NO_RANGE,
      "do not score the prediction of `<s>`, as the authors' code does", { 0 } },

    { KEY(train, steps), CONF_INT, "4800", 1, 1e12, "updates", "length of the run", { 0 } },
    { KEY(train, context), CONF_INT, "2048", 1, 1 << 24, "tokens", "of a training sequence",
      { 0 } },
    { KEY(train, batch_tokens), CONF_INT, "524288", 1, 1e12, "tokens",
      "per update; a multiple of context", { 0 } },
    { KEY(train, micro_batch), CONF_INT, "1", 1, 65536, "sequences",
      "in memory at once; changes no result, only memory and speed", { 0 } },
    { KEY(train, slice_tokens), CONF_INT, "auto", 0, 1 << 24, "tokens",
      "unit of work: a multiple of mini_batch, or context and more; auto: the smaller of context "
      "and 1024", { 0 } },
    { KEY(train, precision), CONF_ENUM, "fp32", NO_RANGE,
      "of the operands of products, large ones and the inner loop's; sums, weights, moments, norms "
      "and states are fp32",
      { "fp32", "bf16" } },
    { KEY(train, reduction), CONF_ENUM, "exact", NO_RANGE,
      "exact: gradients add up as 64-bit integers, the same bits for any number of threads and "
      "any micro_batch; fast: as floats, half the memory", { "exact", "fast" } },
    { KEY(train, remat), CONF_ENUM, "none", NO_RANGE,
      "block: keep only the inputs of blocks and compute the rest twice", { "none", "block" } },
    { KEY(train, sequence_mode), CONF_ENUM, "wavefront", NO_RANGE,
      "how the processes of a sequence share it: wavefront: layer behind layer; heads: all on the "
      "same layer, and in the inner loop each has some heads; both change no bit of the result; "
      "scan: of mamba, all on the same layer, their states by a scan over the processes: the same to rounding",
      { "wavefront", "heads", "scan" } },
    { KEY(train, inner_group), CONF_INT, "4", 1, HEADS_MAX_GROUP, "mini-batches",
      "between inner states kept for the backward pass", { 0 } },
    { KEY(train, inner_stats_every), CONF_INT, "10", 0, 1e9, "steps",
      "between inner-loss diagnostics; 0: never", { 0 } },
    { KEY(train, max_bad_steps), CONF_INT, "10", 1, 1e9, "steps",
      "with NaN or Inf, in a row, that end the run with exit code 87", { 0 } },
    { KEY(train, spike_nats), CONF_DOUBLE, "0", 0, 1e3, "nats",
      "a step whose loss is so far above its mean of late, and 8 times as far as usual, is a spike: "
      "the run goes back to the newest checkpoint and leaves out the samples since; 0: never",
      { 0 } },
    { KEY(train, guard_every), CONF_INT, "10", 0, 1e9, "steps",
      "between looks at memory: are weights and moments still what the last update wrote, and "
      "weights the same on all replicas? 1: no flipped bit is trained on; 0: never", { 0 } },
    { KEY(train, init_from), CONF_TEXT, "", NO_RANGE,
      "model whose weights are the start: a checkpoint, run folder or Hugging Face folder; "
      "empty: random. What it is (keys of `model`) comes with them: one that is not given here has "
      "its value, one that is given must have it", { 0 } },
    { KEY(train, init_change), CONF_LIST, "", NO_RANGE,
      "keys of `model` that differ from init_from's on purpose, as `[model.rope_theta]`", { 0 } },

    { KEY(optim, kind), CONF_ENUM, "adamw", NO_RANGE,
      "adamw; soap: Adam in the eigenbasis of Shampoo's factors for every matrix, AdamW for the "
      "rest", { "adamw", "soap" } },
    { KEY(optim, state), CONF_ENUM, "fp32", NO_RANGE,
      "of the moments; bf16 halves them, rounding up or down by chance (adamw only)",
      { "fp32", "bf16" } },
    { KEY(optim, lr), CONF_DOUBLE, "3e-3", 0, 1e3, "", "peak learning rate", { 0 } },
    { KEY(optim, min_lr), CONF_DOUBLE, "1e-5", 0, 1e3, "", "learning rate where the cosine ends",
      { 0 } },
    { KEY(optim, warmup_steps), CONF_INT, "auto", 0, 1e12, "updates",
      "linear from 0 to lr; auto: a tenth of train.steps", { 0 } },
    { KEY(optim, decay_steps), CONF_INT, "auto", 0, 1e12, "updates",
      "where the cosine ends, warm-up included; auto: train.steps", { 0 } },
    { KEY(optim, beta1), CONF_DOUBLE, "0.9", 0, 0.999999, "", "decay of the first moment",
      { 0 } },
    { KEY(optim, beta2), CONF_DOUBLE, "0.95", 0, 0.999999, "", "decay of the second moment",
      { 0 } },
    { KEY(optim, eps), CONF_DOUBLE, "1e-8", 1e-30, 1, "", "added to the root of the second "
      "moment", { 0 } },
    { KEY(optim, weight_decay), CONF_DOUBLE, "0.1", 0, 1e3, "",
      "decoupled, on every parameter except Mamba's A_log and D and the biases of q, k and v", { 0 } },
    { KEY(optim, clip_norm), CONF_DOUBLE, "1", 0, 1e9, "",
      "largest norm of the gradient; 0: no clipping", { 0 } },
    { KEY(optim, inner_start), CONF_DOUBLE, "1", 0, 1, "",
      "inner learning rate at the first update, as a share of model.inner_lr; it grows to all of it "
      "over warmup_steps. The paper: 1 for TTT-Linear, 0.1 for TTT-MLP", { 0 } },
    { KEY(optim, max_dim), CONF_INT, "2048", 2, 65536, "",
      "soap: largest side of a matrix that has a factor; a wider matrix is rotated on its other "
      "side alone", { 0 } },
    { KEY(optim, whole_dim), CONF_INT, "4096", 2, 65536, "",
      "soap: a matrix with a larger factor is decomposed by all processes of its layer together, "
      "and its bits then depend on how many they are", { 0 } },
    { KEY(optim, precondition_every), CONF_INT, "10", 1, 1e9, "updates",
      "soap: between two refreshes of the eigenbases", { 0 } },
    { KEY(optim, factor_beta), CONF_DOUBLE, "0.95", 0, 0.999999, "", "soap: decay of the factors",
      { 0 } },

    { KEY(eval, every_steps), CONF_INT, "500", 0, 1e9, "steps",
      "between evaluations on data.val; 0: only at the end", { 0 } },
    { KEY(eval, max_tokens), CONF_INT, "262144", 0, 1e15, "tokens",
      "of data.val in an evaluation; 0: all", { 0 } },

    { KEY(checkpoint, every_minutes), CONF_DOUBLE, "5", 0, 1e6, "minutes",
      "between checkpoints; 0: not by time", { 0 } },
    { KEY(checkpoint, every_steps), CONF_INT, "0", 0, 1e12, "steps",
      "between checkpoints; 0: not by steps", { 0 } },
    { KEY(checkpoint, keep), CONF_INT, "2", 1, 1e6, "checkpoints", "newest that stay", { 0 } },
    { KEY(checkpoint, keep_every), CONF_INT, "0", 0, 1e12, "steps",
      "checkpoints of its multiples stay for good; 0: none", { 0 } },
    { KEY(checkpoint, level), CONF_INT, "1", 1, 19, "", "zstd compression", { 0 } },
    { KEY(checkpoint, writers), CONF_INT, "8", 1, WRITER_FILES, "files",
      "at most, of a checkpoint; with more ranks a writer holds the state of its group of ranks "
      "until it is written", { 0 } },
    { KEY(checkpoint, background), CONF_BOOL, "true", NO_RANGE,
      "write while training goes on, from a copy of the state in memory; where there is no room "
      "for one, the update that comes waits until all is written", { 0 } },

    { KEY(log, every_steps), CONF_INT, "1", 1, 1e9, "steps", "between progress lines", { 0 } },

    { KEY(launch, ranks), CONF_INT, "0", 0, GRID_RANKS, "processes",
      "that ttt launch starts; 0: those of the grid, else all slots of the hosts, else one for each "
      "NUMA node", { 0 } },
    { KEY(launch, hosts), CONF_TEXT, "", NO_RANGE,
      "where: NAME[:SLOTS],...; empty: this machine", { 0 } },
    { KEY(launch, bind), CONF_BOOL, "true", NO_RANGE,
      "bind processes to cores; not where they are more than cores", { 0 } },
    { KEY(launch, kill_wait_s), CONF_INT, "5", 1, 3600, "seconds",
      "between SIGTERM and SIGKILL when mpirun ends a job; Open MPI spends it twice after every "
      "crash, so it delays restarts", { 0 } },
    { KEY(launch, mpirun), CONF_TEXT, "", NO_RANGE,
      "program; empty: the environment's MPIRUN, else mpirun", { 0 } },
    { KEY(launch, mpirun_args), CONF_TEXT, "", NO_RANGE,
      "more arguments for mpirun, separated by blanks", { 0 } },

    { KEY(launch.slurm, nodes), CONF_INT, "1", 1, 65536, "nodes", "of the job", { 0 } },
    { KEY(launch.slurm, min_nodes), CONF_INT, "auto", 1, 65536, "nodes",
      "that it goes on with when others fail or are not free, on another grid; auto: all", { 0 } },
    { KEY(launch.slurm, tasks_per_node), CONF_INT, "1", 1, 4096, "processes", "on a node", { 0 } },
    { KEY(launch.slurm, cpus_per_task), CONF_INT, "1", 1, 4096, "CPUs",
      "of a process, one for each of its threads", { 0 } },
    { KEY(launch.slurm, time), CONF_WORD, "1-00:00:00", NO_RANGE,
      "limit of one job, as SLURM writes it: MINUTES, HOURS:MINUTES:SECONDS, "
      "DAYS-HOURS:MINUTES:SECONDS; the run goes on in the next", { 0 } },
    { KEY(launch.slurm, partition), CONF_WORD, "", NO_RANGE, "empty: the default one", { 0 } },
    { KEY(launch.slurm, account), CONF_WORD, "", NO_RANGE, "that pays; empty: the user's", { 0 } },
    { KEY(launch.slurm, qos), CONF_WORD, "", NO_RANGE, "quality of service; empty: the default",
      { 0 } },
    { KEY(launch.slurm, constraint), CONF_WORD, "", NO_RANGE, "features that nodes must have",
      { 0 } },
    { KEY(launch.slurm, memory), CONF_WORD, "", NO_RANGE,
      "of a node, as `64G`; 0: all; empty: the partition's default", { 0 } },
    { KEY(launch.slurm, start), CONF_ENUM, "srun", NO_RANGE,
      "what starts the processes inside the job. With mpirun, SLURM's end of a job (scancel, "
      "pre-emption) reaches mpirun's daemons as well, and nothing is saved", { "mpirun", "srun" } },
    { KEY(launch.slurm, mpi), CONF_WORD, "pmix", NO_RANGE, "`srun --mpi`", { 0 } },
    { KEY(launch.slurm, signal_s), CONF_INT, "auto", 30, 65535, "seconds",
      "before the end of the time limit that the run saves; auto: twice the time of a save and that "
      "of a step, measured, and 30, at least 120", { 0 } },
    { KEY(launch.slurm, chain), CONF_BOOL, "false", NO_RANGE,
      "each job submits the next one, where jobs may not be requeued", { 0 } },
    { KEY(launch.slurm, modules), CONF_LIST, "", NO_RANGE, "`module load` of each", { 0 } },
    { KEY(launch.slurm, source), CONF_LIST, "", NO_RANGE, "shell files that the job reads first",
      { 0 } },
    { KEY(launch.slurm, environment), CONF_LIST, "", NO_RANGE, "NAME=VALUE of each variable", { 0 } },
    { KEY(launch.slurm, options), CONF_LIST, "", NO_RANGE,
      "more options of sbatch, as `--mail-type=END`", { 0 } },

    { KEY(watchdog, enabled), CONF_BOOL, "true", NO_RANGE,
      "under ttt launch, a process of every machine looks whether the others go on; one that does "
      "not is named and killed", { 0 } },
    { KEY(watchdog, setup_s), CONF_DOUBLE, "300", 1, 1e9, "seconds",
      "without progress while a run starts, in its first step, and while it ends", { 0 } },
    { KEY(watchdog, data_s), CONF_DOUBLE, "60", 1, 1e9, "seconds", "while samples are read", { 0 } },
    { KEY(watchdog, step_s), CONF_DOUBLE, "10", 1, 1e9, "seconds",
      "between two operations of a step; at least 5 slow steps of late", { 0 } },
    { KEY(watchdog, save_s), CONF_DOUBLE, "60", 1, 1e9, "seconds",
      "between two tiles of a checkpoint; at least 5 slow saves of late", { 0 } },
};
const int conf_key_count = sizeof conf_keys / sizeof *conf_keys;

const struct conf_schema conf_run = {
    .keys = conf_keys, .count = sizeof conf_keys / sizeof *conf_keys,
    .sections = { "run", "model", "model.rope_scaling", "data", "train", "optim", "eval",
                  "checkpoint", "log", "launch", "launch.slurm", "watchdog" },
    .size = sizeof(struct conf), .lists = "ttt config reference", .between = conf_check,
};

int conf_find(const struct conf_schema *s, const char *path)
{
    for (int i = 0; i < s->count; i++)
        if (!strcmp(s->keys[i].path, path)) return i;
    return -1;
}

const char *conf_layer(int i) { return layers_row(i) ? layers_row(i)->name : NULL; }
