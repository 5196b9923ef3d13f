/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher's decisions: hosts, threads, numbers of processes, and what a run's folder tells. */

#include "jobs/launch.h"
#include "jobs/run_state.h"
#include "src/base/log.h"
#include "src/forecast/forecast.h"
#include "src/forecast/rates.h"
#include "tests/unit/store_test.h"

static void put(const char *dir, const char *name, const char *text)
{
    char *path = mem_format("%s/%s", dir, name);
    assert_int_equal(file_replace(path, text, strlen(text)), OK);
    mem_free(path);
}

static void lists_of_hosts(void **state)
{
    (void)state;
    static const char *const bad[] = { "", ",", "a:0", "a:", "a:x", "a:1,a:2", "-a", "a b", "a:1,,b",
                                       "a:99999999999", "a:-1", "a;b", ".a" };
    struct host *h;
    int n;

    assert_int_equal(hosts_parse(&h, &n, "node-1:4,b.cluster"), OK);
    assert_int_equal(n, 2);
    assert_true(!strcmp(h[0].name, "node-1") && h[0].slots == 4 && !h[0].lost);
    assert_true(!strcmp(h[1].name, "b.cluster") && h[1].slots == 1);
    mem_free(h);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(hosts_parse(&h, &n, bad[i]), ERR_CONFIG);
        assert_true(!h && !n);
    }
}

static void files_of_hosts(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "# none\n", "a slots=\n", "a slots=0\n", "a slots=2 more\n",
                                       "a more\n", "a slots=2\na slots=3\n", "a b slots=2\n" };
    char *path = mem_format("%s/hosts", work);
    struct host *h;
    int n;

    put(work, "hosts", "\xef\xbb\xbf" "# two, after a byte order mark\n  a slots=3   # fast\n\nb\n");
    assert_int_equal(hosts_read(&h, &n, path), OK);
    assert_true(n == 2 && h[0].slots == 3 && h[1].slots == 1 && !strcmp(h[1].name, "b"));
    mem_free(h);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put(work, "hosts", bad[i]);
        assert_int_equal(hosts_read(&h, &n, path), ERR_CONFIG);
        assert_true(!h && !n);
    }
    mem_free(path);
    assert_int_equal(hosts_read(&h, &n, "/nowhere/hosts"), ERR_MISSING);
}

/* Lists of schedulers: ranges in brackets, and a host for each time that it is named. */
static void ranges_of_hosts(void **state)
{
    (void)state;
    static const struct { const char *list, *hosts; } good[] = {
        { "n1", "n1:1" }, { "n1,n2", "n1:1,n2:1" }, { "n[1-3]", "n1:1,n2:1,n3:1" },
        { "n[08-10,1]", "n08:1,n09:1,n10:1,n1:1" }, { "a[1,3]-ib,b", "a1-ib:1,a3-ib:1,b:1" },
        { "n1,n1,n2", "n1:2,n2:1" }, { "x[7]", "x7:1" },
    };
    static const char *const bad[] = { "", ",", "n1,", "n[", "n[]", "n[1", "n[2-1]", "n[1-]", "n[a]", "n[1-2",
                                       "n[1]m[2]", "n[0-999999999]", "n[1;2]", "n 1", "-n", "n[1,]x y" };
    struct host *h;
    int n;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char *got = mem_string("");
        assert_int_equal(hosts_expand(&h, &n, good[i].list, "test"), OK);
        for (int k = 0; k < n; k++) {
            char *longer = mem_format("%s%s%s:%d", got, k ? "," : "", h[k].name, h[k].slots);
            mem_free(got);
            got = longer;
        }
        assert_string_equal(got, good[i].hosts);
        mem_free(got);
        mem_free(h);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(hosts_expand(&h, &n, bad[i], "test"), ERR_CONFIG);
        assert_true(!h && !n);
    }
}

/* Nobody shares a core, and nobody who could stay in a NUMA node crosses one. */
static void threads(void **state)
{
    (void)state;
    for (int numa = 1; numa <= 8; numa *= 2)
        for (int cores = numa; cores <= 96; cores += numa)
            for (int n = 1; n <= 100; n++) {
                const struct machine m = { .cores = cores, .numa = numa };
                const int t = machine_threads(&m, n);
                assert_true(t >= 1);
                assert_true(t == 1 || n * t <= cores);
                const int each = (n + numa - 1) / numa;
                if (n >= numa && t > 1) assert_true(each * t <= cores / numa);
                if (n == 1) assert_int_equal(t, cores);
                if (n == numa) assert_int_equal(t, cores / numa);
            }
}

/* The most processes that a grid gives work to: forecast_all() finds one for them, none for more. */
static void most_ranks(void **state)
{
    (void)state;
    struct dims d = { .layer = "ttt_linear", .V = 64, .L = 3, .C = 16, .H = 2, .E = 16, .K = 8,
                      .conv_width = 4, .gate = 1, .share_qk = 1, .pre_conv = 1, .tied = 1,
                      .rope_theta = 10000, .rms_eps = 1e-6, .ln_eps = 1e-6 };
    const struct pass_opts o = { .context = 40, .slice_tokens = 8, .micro_batch = 1,
                                 .inner_group = 1, .mask_token = -1 };
    struct rates r;
    struct cost c;

    assert_int_equal(rates_read(&r, NULL), OK);
    const struct run_shape run = { .dims = d, .pass = o, .reduction = REDUCE_EXACT, .sequences = 2 };
    assert_int_equal(cost_init(&c, &run, &r), OK);
    log_speaker(0);
    for (int n = 1; n <= 40; n++) {
        const int most = forecast_ranks(&c, n);
        assert_true(most >= 1 && most <= n);
        for (int k = most; k <= n; k++) {
            struct forecast *list;
            int count;
            assert_int_equal(forecast_all(&list, &count, &c, k, &r), k == most ? OK : ERR_CONFIG);
            forecasts_free(list, count);
        }
    }
    log_speaker(1);
    assert_int_equal(forecast_ranks(&c, 1000), 2 * 3 * 5);
    cost_done(&c);
}

/* --- folders -------------------------------------------------------------------------- */

static enum run_phase phase(const char *launch, const char *fence, const char *metrics)
{
    static int number;
    struct run_state s;
    char *dir = mem_format("%s/run%d", work, number++), *sub = mem_format("%s/fence", dir);

    assert_int_equal(dir_make(sub), OK);
    if (launch) put(dir, "launch.jsonl", launch);
    if (fence) put(dir, "fence/000001", fence);
    if (metrics) put(dir, "metrics.jsonl", metrics);
    run_state_read(&s, dir);
    run_states_judge(&s, 1);
    assert_int_equal(s.rc, OK);
    const enum run_phase p = s.phase;
    json_t *o = run_state_json(&s);
    json_decref(o);
    run_state_done(&s);
    mem_free(sub);
    mem_free(dir);
    return p;
}

/* Of a launch.jsonl of any bytes. */
static enum run_phase phase_of(const char *launch, size_t n)
{
    struct run_state s;
    char *dir = mem_format("%s/bytes", work), *path = mem_format("%s/launch.jsonl", dir);

    assert_int_equal(dir_make(dir), OK);
    put_file(path, launch, n);
    run_state_read(&s, dir);
    run_states_judge(&s, 1);
    const enum run_phase p = s.phase;
    run_state_done(&s);
    mem_free(path);
    mem_free(dir);
    return p;
}

static void phases(void **state)
{
    (void)state;
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    char *lives = mem_format("{\"kind\":\"start\",\"launcher\":\"%s\",\"pid\":%ld,\"restarts\":1}\n",
                             host, (long)getpid());
    char *crash = mem_format("%s{\"kind\":\"exit\",\"status\":1}\n", lives);
    static const char gone[] = "{\"host\":\"x\",\"status\":0}";
    static const char start[] = "{\"kind\":\"start\",\"launcher\":\"?\",\"pid\":1}\n";

    char *path = mem_string(getenv("PATH"));
    setenv("PATH", work, 1);  /* no squeue, whatever the machine has */
    assert_int_equal(phase(NULL, NULL, NULL), RUN_NEW);
    assert_int_equal(phase("{\"kind\":\"submit\",\"id\":\"7\"}\n", NULL, NULL), RUN_UNKNOWN);
    assert_int_equal(phase(lives, NULL, NULL), RUN_WAITING);
    assert_int_equal(phase(crash, gone, NULL), RUN_WAITING);
    assert_int_equal(phase(NULL, gone, NULL), RUN_FINISHED);
    assert_int_equal(phase(NULL, "{\"host\":\"x\",\"status\":85}", NULL), RUN_STOPPED);
    assert_int_equal(phase(NULL, "{\"host\":\"x\",\"status\":74}", NULL), RUN_FAILED);
    assert_int_equal(phase(NULL, "{\"host\":\"x\"}", NULL), RUN_RUNNING);   /* it was just made */
    assert_int_equal(phase(start, "{\"host\":\"x\"}", "torn\n{\"kind\":\"step\"}"), RUN_RUNNING);
    assert_int_equal(phase("{\"kind\":\"end\",\"status\":93}\n", gone, NULL), RUN_FAILED);
    assert_int_equal(phase("{\"kind\":\"hang\"}\n", gone, NULL), RUN_HUNG);
    assert_int_equal(phase("[1]\n\"x\"\n{\"kind\":7}\n{\"kind\":\"end\"}\n", gone, NULL), RUN_FAILED);
    static const char done[] = "{\"kind\":\"end\",\"status\":93,\"time\":100}\n";
    assert_int_equal(phase(done, "{\"host\":\"x\",\"status\":0,\"seen\":99}", NULL), RUN_FAILED);
    assert_int_equal(phase(done, "{\"host\":\"x\",\"status\":0,\"seen\":200}", NULL), RUN_FINISHED);
    /* Zeros that a crash left hide no later line. */
    assert_int_equal(phase_of("{\"kind\":\"submit\"}\n\0\0\0\n{\"kind\":\"end\",\"status\":93}\n", 49), RUN_FAILED);
    setenv("PATH", path, 1);
    mem_free(path);
    mem_free(crash);
    mem_free(lives);
}

/* Jobs in a row without a new checkpoint; the user's start, and giving up, begin anew. */
static void fruitless_jobs(void **state)
{
    (void)state;
#define JOB(step) "{\"kind\":\"job\",\"committed\":" #step "}\n"
#define END(status) "{\"kind\":\"end\",\"status\":" #status "}\n"
    static const struct { const char *text; int n; } rows[] = {
        { "", 0 }, { JOB(4), 1 }, { JOB(4) END(85) JOB(4), 2 }, { JOB(3) JOB(4), 1 }, { JOB(4) JOB(3), 0 },
        { JOB(4) JOB(4) "{\"kind\":\"submit\"}\n" JOB(4), 1 }, { JOB(4) JOB(4) END(93), 0 },
        { JOB(4) JOB(4) END(1), 2 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put(work, "launch.jsonl", rows[i].text);
        assert_int_equal(launch_fruitless_jobs(work, 4), rows[i].n);
    }
}

/* What stands in a row: numbers that are absurd, a folder that can't be read in full. */
static void rows(void **state)
{
    (void)state;
    static const char wild[] = "{\"kind\":\"step\",\"step\":1e300,\"step_s\":-1e308}\n"
                               "{\"kind\":\"start\",\"restarts\":1e99,\"pid\":-5}\n"
                               "{\"kind\":\"end\",\"status\":1e18,\"time\":1e308}\n";
    char *dir = mem_format("%s/b\xff\xc3", work), *text;
    struct run_state s;

    assert_int_equal(dir_make(dir), OK);
    put(dir, "metrics.jsonl", wild);
    put(dir, "launch.jsonl", wild);
    put(dir, "config.yaml", "data: {train: x}\nwatchdog: {bogus: 1}\n");
    run_state_read(&s, dir);
    run_states_judge(&s, 1);
    assert_int_equal(s.rc, ERR_CONFIG);
    assert_non_null(strstr(s.note, "config.yaml:2:12: watchdog.bogus"));
    assert_true(s.phase == RUN_FAILED && s.step == -1 && s.restarts == 0);
    json_t *o = run_state_json(&s);
    text = json_dumps(o, 0);
    assert_non_null(strstr(text, "\"b\xef\xbf\xbd\xef\xbf\xbd\""));
    assert_non_null(strstr(text, "watchdog.bogus"));
    free(text);
    json_decref(o);
    run_state_done(&s);

    char *fence = mem_format("%s/launch.jsonl", dir);
    assert_int_equal(unlink(fence), 0);
    assert_int_equal(dir_make(fence), OK);
    run_state_read(&s, dir);
    run_states_judge(&s, 1);
    assert_true(s.phase == RUN_UNREADABLE && strstr(s.note, "launch.jsonl"));
    run_state_done(&s);
    mem_free(fence);
    mem_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_hosts), cmocka_unit_test(files_of_hosts),
        cmocka_unit_test(ranges_of_hosts), cmocka_unit_test(fruitless_jobs),
        cmocka_unit_test(threads), cmocka_unit_test(most_ranks), cmocka_unit_test(phases),
        cmocka_unit_test(rows),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
