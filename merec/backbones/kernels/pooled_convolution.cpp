// 3x3 convolution, ReLU, statistics for a batch norm and 3x3 max pooling in one pass, and its gradient.
// Responses stay in registers and the nearest cache: all of a batch are never written, but computed again for
// the gradient. One thread, as merec trains a fold per core.
//
// Compiled for IN channels and OUT filters (a multiple of 8). Images lie as batch, height, width, channel;
// weights as (row, column, channel) by filter; what is pooled as batch, row, column, filter. The convolution pads
// by `padding`, the pooling by 1.

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace {

constexpr int LANES = 8, GROUPS = OUT / LANES, ROW = 3 * IN, BLOCK = GROUPS > 2 ? 2 : 4, TAPS = 3;
static_assert(OUT % LANES == 0, "filters come in vectors");

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Mask __attribute__((vector_size(4 * LANES)));
typedef int16_t Words __attribute__((vector_size(2 * LANES)));

struct Filters { Vector of[GROUPS]; };

Vector load(const float* from) {
    Vector found;
    std::memcpy(&found, from, sizeof found);
    return found;
}

std::vector<Filters> load(const float* from, int count) {
    std::vector<Filters> found(count);
    std::memcpy(found.data(), from, sizeof(Filters) * count);
    return found;
}

void add(const Filters& what, double* to) {
    float each[OUT];
    std::memcpy(each, &what, sizeof each);
    for (int o = 0; o < OUT; ++o) to[o] += each[o];
}

// An image with a border of zeros; further columns so that a block may run over the end of a row. Its responses
// have `rows` and `columns`.
struct Padded {
    int height, width, padding, rows, columns, stride;
    std::vector<float> pixels;

    Padded(int height, int width, int padding)
        : height(height), width(width), padding(padding), rows(height + 2 * padding - 2),
          columns(width + 2 * padding - 2), stride((width + 2 * padding + BLOCK) * IN),
          pixels(size_t(height + 2 * padding) * stride, 0.f) {}

    void fill(const float* image) {
        for (int y = 0; y < height; ++y)
            std::memcpy(&pixels[size_t(y + padding) * stride + padding * IN], image + size_t(y) * width * IN,
                        sizeof(float) * width * IN);
    }

    const float* row(int y) const { return &pixels[size_t(y) * stride]; }
};

// Responses of one row of pixels after ReLU. Not inlined: they must be the same to the last bit each time.
__attribute__((noinline)) void respond(const Padded& image, int y, const Filters* weight, const Filters& bias, Filters* row) {
    for (int x = 0; x < image.columns; x += BLOCK) {
        Filters sum[BLOCK];
        for (auto& each : sum) each = bias;
        for (int ky = 0; ky < 3; ++ky) {
            const float* pixels = image.row(y + ky) + x * IN;
            const Filters* taps = weight + ky * ROW;
#pragma GCC unroll 1
            for (int tap = 0; tap < ROW; ++tap)
#pragma GCC unroll 4
                for (int b = 0; b < BLOCK; ++b)
#pragma GCC unroll 4
                    for (int g = 0; g < GROUPS; ++g)
                        sum[b].of[g] += pixels[tap + b * IN] * taps[tap].of[g];
        }
        for (int b = 0; b < BLOCK; ++b)
            for (int g = 0; g < GROUPS; ++g)
                row[x + b].of[g] = sum[b].of[g] < 0.f ? Vector{} : sum[b].of[g];  // NaN stays
    }
}

// Which responses dropout keeps, `scale` times as large: those whose word is below. Without words all.
struct Drawn {
    const int16_t* words;
    int below;
    float scale;

    Vector keep(Vector values, size_t at) const {
        if (!words) return values;
        Words found;
        std::memcpy(&found, words + at, sizeof found);
        return __builtin_convertvector(found, Mask) < below ? values * scale : Vector{};
    }
};

// The gradients of scale and shift of the norm.
void sum_gradients(const float* grad, const Drawn& drawn, const float* top, const float* mean, const float* over, size_t pooled,
                   double* to_gamma, double* to_beta) {
    const auto means = load(mean, 1), overs = load(over, 1);
    std::memset(to_gamma, 0, sizeof(double) * OUT);
    std::memset(to_beta, 0, sizeof(double) * OUT);
    constexpr size_t PART = 256;  // of which a sum of floats is exact enough
    for (size_t start = 0; start < pooled; start += PART) {
        Filters gamma{}, beta{};
        for (size_t p = start; p < pooled && p < start + PART; ++p)
            for (int g = 0; g < GROUPS; ++g) {
                const size_t at = p * OUT + g * LANES;
                const Vector each = drawn.keep(load(grad + at), at);
                const Vector seen = load(top + at) - means[0].of[g];
                gamma.of[g] += each * seen * overs[0].of[g];
                beta.of[g] += each;
            }
        add(gamma, to_gamma);
        add(beta, to_beta);
    }
}

// Windows along so many responses.
int windows(int size) { return (size - 1) / 3 + 1; }

// The columns (or rows) of a window of three, of which the first begins one before the responses. If their number
// is a multiple of three, the last is in no window: it counts for the norm alone.
int first(int window) { return window ? 3 * window - 1 : 0; }
int last(int window, int size) { return 3 * window + 2 < size ? 3 * window + 2 : size; }

}  // namespace

// sign: 1, or -1 for filters of which the smallest response is sought. total, squares: of all responses.
// top: the response that was pooled.
extern "C" void forward(const float* images, const float* weight, const float* bias, const float* sign,
                        int batch, int height, int width, int padding, double* total, double* squares, float* top) {
    Padded image(height, width, padding);
    const int rows = image.rows, columns = image.columns, high = windows(rows), wide = windows(columns);
    std::vector<Filters> row(columns + BLOCK), best(wide);
    const auto weights = load(weight, 3 * ROW), biases = load(bias, 1), signs = load(sign, 1);
    std::memset(total, 0, sizeof(double) * OUT);
    std::memset(squares, 0, sizeof(double) * OUT);
    for (int n = 0; n < batch; ++n) {
        image.fill(images + size_t(n) * height * width * IN);
        Filters sum{}, square{};
        for (int y = 0; y < rows; ++y) {
            const int down = (y + 1) % 3;
            if (y == 0 || down == 0) {
                Filters least;
                for (auto& each : least.of) each = Vector{} - std::numeric_limits<float>::infinity();
                best.assign(wide, least);
            }
            respond(image, y, weights.data(), biases[0], row.data());
            for (int window = 0; window < wide; ++window)
                for (int g = 0; g < GROUPS; ++g) {
                    Vector most = best[window].of[g];
                    for (int x = first(window); x < last(window, columns); ++x) {
                        const Vector found = row[x].of[g], sought = found * signs[0].of[g];
                        sum.of[g] += found;
                        square.of[g] += found * found;
                        most = sought > most ? sought : most;
                    }
                    best[window].of[g] = most;
                }
            for (int x = last(wide - 1, columns); x < columns; ++x)
                for (int g = 0; g < GROUPS; ++g) {
                    sum.of[g] += row[x].of[g];
                    square.of[g] += row[x].of[g] * row[x].of[g];
                }
            if ((down == 2 || y == rows - 1) && (y + 1) / 3 < high) {
                const size_t start = (size_t(n) * high + (y + 1) / 3) * wide;
                for (auto& each : best)
                    for (int g = 0; g < GROUPS; ++g) each.of[g] *= signs[0].of[g];
                std::memcpy(top + start * OUT, best.data(), sizeof(Filters) * wide);
            }
        }
        add(sum, total);
        add(square, squares);
    }
}

// What is pooled, normalised (by scale and shift of each filter) and not dropped.
extern "C" void finish(const float* top, const float* scale, const float* shift, const int16_t* words,
                       int below, float larger, int pooled, float* found) {
    const auto scales = load(scale, 1), shifts = load(shift, 1);
    const Drawn drawn{words, below, larger};
    for (size_t p = 0; p < size_t(pooled); ++p)
        for (int g = 0; g < GROUPS; ++g) {
            const size_t at = p * OUT + g * LANES;
            const Vector value = load(top + at) * scales[0].of[g] + shifts[0].of[g];
            const Vector kept = drawn.keep(value, at);
            std::memcpy(found + at, &kept, sizeof kept);
        }
}

// grad: of what `finish` found, by mean and deviation (one over it) of all responses and by gamma.
extern "C" void backward(const float* images, const float* weight, const float* bias, const float* gamma,
                         const float* mean, const float* over, const float* top, const float* grad,
                         const int16_t* words, int below, float larger, int batch, int height, int width, int padding,
                         double* to_weight, double* to_bias, double* to_gamma, double* to_beta) {
    Padded image(height, width, padding);
    const int rows = image.rows, columns = image.columns, high = windows(rows), wide = windows(columns);
    const Drawn drawn{words, below, larger};
    sum_gradients(grad, drawn, top, mean, over, size_t(batch) * high * wide, to_gamma, to_beta);
    // What the norm's statistics bring to every response: constant + slope * response.
    const double count = double(batch) * rows * columns;
    float scale[OUT], constant[OUT], slope[OUT];
    for (int o = 0; o < OUT; ++o) {
        scale[o] = gamma[o] * over[o];
        slope[o] = float(-scale[o] * over[o] * to_gamma[o] / count);
        constant[o] = float(-scale[o] * to_beta[o] / count) - slope[o] * mean[o];
    }
    std::vector<Filters> row(columns + BLOCK);
    std::vector<Mask> taken(size_t(wide) * GROUPS);  // of equals in a window the first was pooled
    const auto weights = load(weight, 3 * ROW), biases = load(bias, 1);
    const auto constants = load(constant, 1), slopes = load(slope, 1), scales = load(scale, 1);
    std::memset(to_weight, 0, sizeof(double) * 3 * ROW * OUT);
    std::memset(to_bias, 0, sizeof(double) * OUT);
    for (int n = 0; n < batch; ++n) {
        image.fill(images + size_t(n) * height * width * IN);
        Filters sums[3 * ROW] = {}, sum{};
        for (int y = 0; y < rows; ++y) {
            if (y == 0 || (y + 1) % 3 == 0) taken.assign(taken.size(), Mask{});
            respond(image, y, weights.data(), biases[0], row.data());
            const int within = (y + 1) / 3 < high ? wide : 0;  // windows over this row
            const size_t start = (size_t(n) * high + (y + 1) / 3) * wide;
            for (int window = 0; window < within; ++window)
                for (int g = 0; g < GROUPS; ++g) {
                    const size_t at = (start + window) * OUT + g * LANES;
                    const Vector pooled = drawn.keep(load(grad + at), at) * scales[0].of[g];
                    const Vector most = load(top + at);
                    Mask before = taken[window * GROUPS + g];
                    for (int x = first(window); x < last(window, columns); ++x) {
                        const Vector found = row[x].of[g];
                        Vector into = constants[0].of[g] + slopes[0].of[g] * found;
                        const Mask here = (found == most) & ~before;
                        before |= here;
                        into += here ? pooled : Vector{};
                        into = found > 0.f ? into : Vector{};
                        row[x].of[g] = into;
                        sum.of[g] += into;
                    }
                    taken[window * GROUPS + g] = before;
                }
            for (int x = within ? last(wide - 1, columns) : 0; x < columns; ++x)
                for (int g = 0; g < GROUPS; ++g) {
                    const Vector found = row[x].of[g];
                    Vector into = constants[0].of[g] + slopes[0].of[g] * found;
                    into = found > 0.f ? into : Vector{};
                    row[x].of[g] = into;
                    sum.of[g] += into;
                }
            for (int ky = 0; ky < 3; ++ky) {
                const float* pixels = image.row(y + ky);
                for (int tap = 0; tap < ROW; tap += TAPS) {
                    Filters part[TAPS] = {};
#pragma GCC unroll 1
                    for (int x = 0; x < columns; ++x)
#pragma GCC unroll 4
                        for (int t = 0; t < TAPS; ++t)
#pragma GCC unroll 4
                            for (int g = 0; g < GROUPS; ++g)
                                part[t].of[g] += pixels[x * IN + tap + t] * row[x].of[g];
                    for (int t = 0; t < TAPS; ++t)
                        for (int g = 0; g < GROUPS; ++g) sums[ky * ROW + tap + t].of[g] += part[t].of[g];
                }
            }
        }
        for (int tap = 0; tap < 3 * ROW; ++tap) add(sums[tap], to_weight + tap * OUT);
        add(sum, to_bias);
    }
}
