// CUDA C++ on a CPU, for tests: blocks run one after the other. Threads without barriers run one after the other, too;
// the others are coroutines that change at barriers, in an order that `seed` turns. Stops the process where only
// some threads of a block reach a barrier.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <csetjmp>
#include <ucontext.h>

#define __global__
#define __device__
#define __launch_bounds__(n)
#define __shared__ static

struct Index { unsigned x; };
static Index threadIdx, blockIdx;

static inline float __int_as_float(int i) { float f; memcpy(&f, &i, 4); return f; }
static inline int __float_as_int(float f) { int i; memcpy(&i, &f, 4); return i; }
static inline double __longlong_as_double(long long i) { double d; memcpy(&d, &i, 8); return d; }

namespace emulator {
typedef void (*Kernel)(char* const*);
enum State { READY, WAITING, DONE };
const int THREADS = 256, STACK = 64 * 1024;
static ucontext_t scheduler_context, contexts[THREADS];
static jmp_buf scheduler, threads[THREADS];
static char stacks[THREADS][STACK];
static State states[THREADS];
static bool begun[THREADS];
static Kernel kernel;
static char* const* bases;
static int current;

static void stop(const char* what) { fprintf(stderr, "%s, block %u\n", what, blockIdx.x); abort(); }
static void back(State state) {
  states[current] = state;
  if (state == DONE) _longjmp(scheduler, 1);
  if (!_setjmp(threads[current])) _longjmp(scheduler, 1);
}
static void begin() { kernel(bases); back(DONE); }
static void resume(int thread) {
  current = thread;
  threadIdx.x = thread;
  if (_setjmp(scheduler)) return;
  if (begun[thread]) _longjmp(threads[thread], 1);
  begun[thread] = true;
  ucontext_t& c = contexts[thread];
  getcontext(&c);
  c.uc_stack.ss_sp = stacks[thread];
  c.uc_stack.ss_size = STACK;
  c.uc_link = 0;
  makecontext(&c, begin, 0);
  setcontext(&c);
}
static void run_block(unsigned seed) {
  for (int i = 0; i < THREADS; i++) states[i] = READY, begun[i] = false;
  for (unsigned turn = 0;; turn++) {
    for (int i = 0; i < THREADS; i++) {
      const int thread = (i * (seed & 1 ? 255 : 1) + seed * 37 + turn * seed * 11) % THREADS;
      if (states[thread] == READY) resume(thread);
    }
    int done = 0;
    for (int i = 0; i < THREADS; i++) done += states[i] == DONE;
    if (done == THREADS) return;
    if (done > 0) stop("only some threads of a block reach a barrier");
    for (int i = 0; i < THREADS; i++) states[i] = READY;
  }
}
}

static inline void __syncthreads() { emulator::back(emulator::WAITING); }

extern "C" void launch(emulator::Kernel kernel, long blocks, int barriers, char* const* bases, unsigned seed) {
  emulator::kernel = kernel;
  emulator::bases = bases;
  for (long block = 0; block < blocks; block++) {
    blockIdx.x = block;
    if (barriers) {
      emulator::run_block(seed);
      continue;
    }
    for (int thread = 0; thread < emulator::THREADS; thread++) {
      threadIdx.x = thread;
      kernel(bases);
    }
  }
}
