/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/rng.h"
#include "src/kernels/inner.h"
#include "src/layers/ttt.h"
#include "tests/lib/inner_gated.h"
#include "tests/lib/inner_momentum.h"

const char *const layer_names[] = { "ttt_linear", "ttt_mlp", "attention" };

struct dims tiny(int mamba)
{
    struct dims d = { .layer = "ttt_linear", .V = 37, .L = 2, .C = 12, .H = 2, .E = 10, .K = 4,
                      .conv_width = 4, .gate = mamba, .share_qk = mamba, .pre_conv = mamba,
                      .tied = mamba, .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1e-6,
                      .init_std = 0.3, .inner_lr = 1 };
    return d;
}

struct dims attention(int C, int H, int Hkv)
{
    struct dims d = tiny(0);
    strcpy(d.layer, "attention");
    d.C = C;
    d.H = H;
    d.Hkv = Hkv;
    d.K = 1;
    d.tied = 1;
    return d;
}

struct dims headed(int C, int H, int Hkv, int F)
{
    struct dims d = attention(C, H, Hkv);
    d.F = F;
    d.qkv_bias = 1;
    d.rope_scaling = ROPE_LLAMA3;  /* of 5 pairs: 2 stay, 1 is between, 2 are divided */
    d.rope_factor = 4;
    d.rope_low = 1;
    d.rope_high = 4;
    d.rope_original = 200;
    return d;
}

struct dims tiny_pair(int before)
{
    static const struct inner pairs[] = {
        { .name = "gated", .model = &inner_gated, .step = &inner_momentum },
        { .name = "gated", .model = &inner_gated, .step = &inner_momentum, .loss = INNER_DOT,
          .output_before = 1 },
    };
    struct dims d = tiny(before);
    ttt_add("ttt_gated", &pairs[before]);
    strcpy(d.layer, "ttt_gated");
    return d;
}

struct model *rough_model(const struct dims *d, uint64_t seed)
{
    struct model *m;
    assert_int_equal(model_new(&m, d), 0);
    model_init(m, seed);
    for (int i = 0; i < m->params.count; i++) {
        const struct param *p = &m->params.p[i];
        const uint64_t key = rng_key(seed + 1, p->name);
        if (p->init != INIT_ZERO && p->init != INIT_ONE) continue;
        for (int64_t k = 0; k < p->n; k++)
            m->w[p->offset + k] += (real)(0.1 * rng_normal(key, (uint64_t)k));
    }
    return m;
}

void random_tokens(int32_t *tok, int64_t n, int V, uint64_t seed)
{
    const uint64_t key = rng_key(seed, "tokens");
    for (int64_t i = 0; i < n; i++) tok[i] = (int32_t)(rng_u64(key, (uint64_t)i) % (uint64_t)V);
}

double loss_of(struct pass *p, const int32_t *windows, int B)
{
    struct pass_sums sums = { 0 };
    pass_run(p, NULL, &sums, windows, B);
    assert_int_equal(sums.bad, 0);
    return fixed_value(sums.loss) / B;
}

struct pass_opts opts(int context, int slice, int micro, enum remat remat)
{
    return (struct pass_opts){ .context = context, .slice_tokens = slice, .micro_batch = micro,
                               .inner_group = 2, .remat = remat, .mask_token = 1 };
}

void read_all(const struct model *m, real *x, const int32_t *tok, int T, int slice)
{
    struct stream *s = stream_new(m, 1, slice);
    for (int t = 0; t < T; t += slice)
        stream_read(s, x + (int64_t)t * m->dims.C, tok + t, T - t < slice ? T - t : slice, NULL);
    assert_int_equal(stream_pos(s), T);
    stream_free(s);
}
