// What every kernel may use. No header is included: NVRTC brings none.

__device__ inline float times_plus(float a, float b, float c) { return fmaf(a, b, c); }
__device__ inline double times_plus(double a, double b, double c) { return fma(a, b, c); }

// Truncates, saturates, NaN to 0.
__device__ inline int to_int(double x) {
  return x != x ? 0 : x <= -2147483648.0 ? -2147483647 - 1 : x >= 2147483647.0 ? 2147483647 : (int)x;
}
__device__ inline int int_div(int a, int b) {
  return b == 0 ? 0 : b == -1 ? (int)(0u - (unsigned)a) : a / b;
}
// Has the sign of the divisor; by zero gives 0.
__device__ inline int int_rem(int a, int b) {
  if (b == 0 || b == -1) return 0;
  const int r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
__device__ inline double rem(double a, double b) {
  const double r = fmod(a, b);
  return r == 0.0 ? copysign(0.0, b) : (r < 0.0) != (b < 0.0) ? r + b : r;
}
__device__ inline double logistic(double x) { return 1.0 / (1.0 + exp(-x)); }
// x * 2^n for a whole n, in two steps: one float's exponent may not hold n.
__device__ inline float scale(float x, float n) {
  const int whole = (int)n, half = whole >> 1;
  x = x * __int_as_float((half + 127) << 23);
  return x * __int_as_float((whole - half + 127) << 23);
}

struct Sum { template <class T> __device__ T operator()(T a, T b) const { return a + b; } };
struct Prod { template <class T> __device__ T operator()(T a, T b) const { return a * b; } };
struct Max { template <class T> __device__ T operator()(T a, T b) const { return a != a ? a : b != b ? b : a > b ? a : b; } };
struct Min { template <class T> __device__ T operator()(T a, T b) const { return a != a ? a : b != b ? b : a < b ? a : b; } };

// Reduces over the LANES threads of a line, which are STRIDE apart, in one order. Every thread of the block calls it.
template <int LANES, int STRIDE, class T, class Op>
__device__ T fold(T v, Op op, T* shared) {
  const int lane = threadIdx.x / STRIDE % LANES;
  __syncthreads();
  shared[threadIdx.x] = v;
  for (int half = LANES / 2; half > 0; half /= 2) {
    __syncthreads();
    if (lane < half) shared[threadIdx.x] = op(shared[threadIdx.x], shared[threadIdx.x + half * STRIDE]);
  }
  __syncthreads();
  return shared[threadIdx.x - lane * STRIDE];
}

// C[M, N] = A[M, K] B[K, N] (+ C): a tile of 64 x 64 per block of 256 threads, 4 x 4 per thread. Strides are in elements.
template <class T, long M, long N, long K, long AM, long AK, long BK, long BN, long CM, long CN, bool ADD>
__device__ void product(const T* a, const T* b, T* c, long tile) {
  __shared__ T as[16][68];
  __shared__ T bs[16][68];
  const long columns = (N + 63) / 64, m0 = tile / columns * 64, n0 = tile % columns * 64;
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  T sum[4][4] = {};
  for (long k0 = 0; k0 < K; k0 += 16) {
    for (int i = threadIdx.x; i < 1024; i += 256) {
      const int k = AK == 1 ? i % 16 : i / 64, m = AK == 1 ? i / 16 : i % 64;
      as[k][m] = k0 + k < K && m0 + m < M ? a[(m0 + m) * AM + (k0 + k) * AK] : T(0);
    }
    for (int i = threadIdx.x; i < 1024; i += 256) {
      const int k = BK == 1 ? i % 16 : i / 64, n = BK == 1 ? i / 16 : i % 64;
      bs[k][n] = k0 + k < K && n0 + n < N ? b[(k0 + k) * BK + (n0 + n) * BN] : T(0);
    }
    __syncthreads();
    for (int k = 0; k < 16; k++)
      for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) sum[i][j] = times_plus(as[k][ty * 4 + i], bs[k][tx * 4 + j], sum[i][j]);
    __syncthreads();
  }
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) {
      const long m = m0 + ty * 4 + i, n = n0 + tx * 4 + j;
      if (m < M && n < N) c[m * CM + n * CN] = ADD ? c[m * CM + n * CN] + sum[i][j] : sum[i][j];
    }
}

// Whether a takes the place of an earlier b; NaN is larger than any number.
template <class T>
__device__ bool larger(T a, T b) { return a > b || (a != a && b == b); }
// Whether a comes before b in rising order; NaN comes last.
template <class T>
__device__ bool before(T a, T b) { return a < b || (a == a && b != b); }

// Philox4x32-10: element number `element` of draw number `draw`, uniform in [0, 1).
__device__ inline float uniform(unsigned k0, unsigned k1, unsigned draw, unsigned long element) {
  const unsigned long block = element / 64 * 16 + element % 16;
  unsigned c0 = (unsigned)block, c1 = (unsigned)(block >> 32), c2 = draw, c3 = 0;
  for (int round = 0; round < 10; round++) {
    const unsigned long p0 = 0xD2511F53ul * c0, p1 = 0xCD9E8D57ul * c2;
    const unsigned n0 = (unsigned)(p1 >> 32) ^ c1 ^ k0, n2 = (unsigned)(p0 >> 32) ^ c3 ^ k1;
    c0 = n0, c1 = (unsigned)p1, c2 = n2, c3 = (unsigned)p0;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  const int word = (int)(element / 16 % 4);
  const unsigned bits = word == 0 ? c0 : word == 1 ? c1 : word == 2 ? c2 : c3;
  return (float)(bits >> 8) * (1.0f / 16777216.0f);
}
