/* SPDX-License-Identifier: Apache-2.0 */
#include "src/bench/product_library.h"

#ifdef TTT_ONEDNN

#include <oneapi/dnnl/dnnl.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/kernels/isa.h"

/* As far as TTT_ISA allows; in vain once oneDNN has run. */
static void limit(void)
{
    static const dnnl_cpu_isa_t sets[] = {
        [ISA_PLAIN] = dnnl_cpu_isa_sse41, [ISA_AVX2] = dnnl_cpu_isa_avx2,
        [ISA_AVX512] = dnnl_cpu_isa_avx512_core_vnni,
        [ISA_AVX512_BF16] = dnnl_cpu_isa_avx512_core_bf16,
        [ISA_AMX] = dnnl_cpu_isa_avx512_core_amx,
    };
    dnnl_set_max_cpu_isa(sets[isa_best()]);
}

/* oneDNN's bf16 product of the same rows and panels. */
struct onednn {
    dnnl_engine_t    engine;
    dnnl_stream_t    stream;
    dnnl_primitive_t run;
    dnnl_memory_t    m[3];
};

static struct onednn *primitive(const struct timed_product *p)
{
    struct onednn *o = mem_new(1, sizeof *o, "oneDNN");
    const int K = bf16_inner(p->s.K), M = p->s.M;
    const dnnl_dims_t dims[3] = { { p->s.N, K }, { K, M }, { p->s.N, M } };
    const dnnl_data_type_t types[3] = { dnnl_bf16, dnnl_bf16, dnnl_f32 };
    const dnnl_format_tag_t tags[3] = { dnnl_ab, dnnl_BA16a64b2a, dnnl_ab };
    void *const data[3] = { p->rows, p->panels, p->C };
    dnnl_memory_desc_t d[3];
    dnnl_matmul_desc_t op;
    dnnl_primitive_desc_t pd = NULL;

    check(dnnl_engine_create(&o->engine, dnnl_cpu, 0) == dnnl_success &&
          dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags) == dnnl_success);
    for (int i = 0; i < 3; i++)
        check(dnnl_memory_desc_init_by_tag(&d[i], 2, dims[i], types[i], tags[i]) == dnnl_success &&
              dnnl_memory_create(&o->m[i], &d[i], o->engine, data[i]) == dnnl_success);
    check(dnnl_matmul_desc_init(&op, &d[0], &d[1], NULL, &d[2]) == dnnl_success &&
          dnnl_primitive_desc_create(&pd, &op, NULL, o->engine, NULL) == dnnl_success &&
          dnnl_primitive_create(&o->run, pd) == dnnl_success);
    dnnl_primitive_desc_destroy(pd);
    return o;
}

static void release(struct onednn *o)
{
    dnnl_primitive_destroy(o->run);
    for (int i = 0; i < 3; i++) dnnl_memory_destroy(o->m[i]);
    dnnl_stream_destroy(o->stream);
    dnnl_engine_destroy(o->engine);
    mem_free(o);
}

int onednn_can(const struct timed_product *p)
{
    const struct product_shape *s = &p->s;
    limit();
    return s->in_bf16 ? gemm_bf16_native() && !s->small : sizeof(real) == sizeof(float);
}

void onednn_run(struct timed_product *p)
{
#ifndef TTT_F64
    const struct product_shape *s = &p->s;
    if (!s->in_bf16) {
        check(dnnl_sgemm(s->transpose_A ? 'T' : 'N', s->transpose_B ? 'T' : 'N', s->N, s->M, s->K,
                         1, p->A, product_lda(s), p->B, product_ldb(s), 0, p->C, s->M) ==
              dnnl_success);
        return;
    }
#endif
    if (!p->onednn) p->onednn = primitive(p);
    const struct onednn *o = p->onednn;
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_SRC, o->m[0] }, { DNNL_ARG_WEIGHTS, o->m[1] },
                                     { DNNL_ARG_DST, o->m[2] } };
    check(dnnl_primitive_execute(o->run, o->stream, 3, args) == dnnl_success &&
          dnnl_stream_wait(o->stream) == dnnl_success);
}

void onednn_done(struct timed_product *p)
{
    if (p->onednn) release(p->onednn);
}

#else

int onednn_can(const struct timed_product *p) { (void)p; return 0; }
void onednn_run(struct timed_product *p) { (void)p; }
void onednn_done(struct timed_product *p) { (void)p; }

#endif
