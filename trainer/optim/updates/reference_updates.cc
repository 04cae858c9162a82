// Temporaries are as long as a piece of for_pieces().
#include "trainer/optim/updates/updates.h"

#include "core/training/optimizer_facts.h"

namespace llmctl::reference {
namespace {

// The step of AdamW from moments in fp32, which it updates; clears the gradient.
void step_with(const at::Tensor& w,
               const at::Tensor& g,
               at::Tensor& first,
               at::Tensor& second,
               const AdamWFactors& f) {
  g.mul_(f.clip);
  first.mul_(f.beta1).add_(g, 1.0f - f.beta1);
  second.mul_(f.beta2).addcmul_(g, g, 1.0f - f.beta2);
  const at::Tensor deviation = second.sqrt().mul_(f.inverse_root_correction2).add_(f.epsilon);
  w.mul_(f.keep).addcdiv_(first, deviation, -f.step_size);
  g.zero_();
}

// Calls `piece` for [0, decay_end) and then the rest, never for a piece across both.
void for_both_pieces(int64_t elements,
                     int64_t decay_end,
                     const std::function<void(int64_t, int64_t, bool)>& piece) {
  for_pieces(decay_end, [&](int64_t begin, int64_t size) { piece(begin, size, true); });
  for_pieces(elements - decay_end,
             [&](int64_t begin, int64_t size) { piece(decay_end + begin, size, false); });
}

at::Tensor dequantized(const QuantizedMoment& moment, int64_t elements) {
  const at::Tensor values = moment.map.narrow(0, 0, 256);
  const at::Tensor scale = moment.largest.repeat_interleave(kQuantizedBlock);
  return values.index_select(0, moment.codes.to(at::kInt)).mul_(scale.narrow(0, 0, elements));
}

// `least`: of a number that is not zero.
void quantize(const at::Tensor& x, const QuantizedMoment& moment, int64_t least) {
  const int64_t elements = x.numel(), blocks = moment.largest.numel();
  at::Tensor padded = at::constant_pad_nd(x, {0, blocks * kQuantizedBlock - elements});
  padded = padded.view({blocks, kQuantizedBlock});
  const at::Tensor largest = padded.abs().amax(1);
  moment.largest.copy_(largest);
  const at::Tensor scale = at::where(largest > 0, largest.reciprocal(), 0.0f);
  const at::Tensor codes = at::bucketize(padded.mul(scale.unsqueeze(1)).view({-1}),
                                         moment.map.narrow(0, 256, 255), /*out_int32=*/true)
                               .narrow(0, 0, elements);
  moment.codes.copy_(at::where(x != 0, codes.clamp_min(least), codes));
}

// 32-bit numbers in int64, as the fused form mixes them. The second factor is 0x846CA68B less
// 2^32, so that no product leaves 63 bits.
at::Tensor mixed(at::Tensor x) {
  constexpr int64_t kMask = 0xFFFF'FFFF;
  for (const auto& [shift, factor] : {std::pair{16, 0x7FEB352DLL}, {15, -0x7B935975LL}}) {
    x = x.bitwise_xor(x.bitwise_right_shift(shift)).mul_(factor).bitwise_and_(kMask);
  }
  return x.bitwise_xor(x.bitwise_right_shift(16));
}

void round_stochastically(const at::Tensor& values, at::Tensor& out, uint64_t key, int64_t first) {
  constexpr int64_t kMask = 0xFFFF'FFFF, kExponent = 0x7F80'0000;
  const auto low = static_cast<int64_t>(key & kMask), high = static_cast<int64_t>(key >> 32);
  const at::Tensor elements =
      at::arange(first, first + values.numel(), values.options().dtype(at::kLong));
  const at::Tensor random =
      mixed(mixed(elements.bitwise_and(kMask).bitwise_xor(low)).bitwise_xor(high))
          .bitwise_right_shift(16);
  const at::Tensor bits = values.view(at::kInt).to(at::kLong).bitwise_and_(kMask);
  const at::Tensor finite = bits.bitwise_and(kExponent).ne(kExponent);
  const at::Tensor rounded = (bits + random * finite).bitwise_right_shift(16);
  out.copy_(rounded.to(at::kShort).view(at::kBFloat16));
}

void adamw(const at::Tensor& weights,
           const at::Tensor& gradients,
           const Moments& moments,
           const AdamWFactorsByDecay& factors) {
  for_both_pieces(
      weights.numel(), factors.decay_end, [&](int64_t begin, int64_t size, bool decays) {
        const auto piece = [&](const at::Tensor& flat) { return flat.narrow(0, begin, size); };
        const at::Tensor m = piece(moments.first), v = piece(moments.second);
        at::Tensor first = m.to(at::kFloat), second = v.to(at::kFloat);  // themselves when fp32
        step_with(piece(weights), piece(gradients), first, second,
                  decays ? factors.decayed : factors.plain);
        if (!first.is_same(m)) {
          m.copy_(first);
          v.copy_(second);
        }
      });
}

void lion(const at::Tensor& weights,
          const at::Tensor& gradients,
          const at::Tensor& moment,
          const LionFactorsByDecay& factors) {
  for_both_pieces(
      weights.numel(), factors.decay_end, [&](int64_t begin, int64_t size, bool decays) {
        const LionFactors& f = decays ? factors.decayed : factors.plain;
        const auto piece = [&](const at::Tensor& flat) { return flat.narrow(0, begin, size); };
        at::Tensor w = piece(weights), g = piece(gradients), m = piece(moment);
        g.mul_(f.clip);
        w.mul_(f.keep).sub_(m.mul(f.beta1).add_(g, 1.0f - f.beta1).sign_(), f.step_size);
        m.mul_(f.beta2).add_(g, 1.0f - f.beta2);
        g.zero_();
      });
}

void adamw_8bit(const at::Tensor& weights,
                const at::Tensor& gradients,
                const QuantizedMoment& first,
                const QuantizedMoment& second,
                const AdamWFactors& factors) {
  for_pieces(weights.numel(), [&](int64_t begin, int64_t size) {  // whole blocks, all but the last
    const QuantizedMoment first_piece = first.of(begin, size),
                          second_piece = second.of(begin, size);
    at::Tensor m = dequantized(first_piece, size), v = dequantized(second_piece, size);
    step_with(weights.narrow(0, begin, size), gradients.narrow(0, begin, size), m, v, factors);
    quantize(m, first_piece, 0);
    quantize(v, second_piece, 1);
  });
}

std::vector<double> sums_of_squares(const at::Tensor& flat, const std::vector<FlatSpan>& spans) {
  std::vector<at::Tensor> views;
  views.reserve(spans.size());
  for (const FlatSpan& span : spans) views.push_back(flat.narrow(0, span.offset, span.elements));
  const at::Tensor norms = at::stack(at::_foreach_norm(views, 2, at::kDouble)).cpu();
  const at::Tensor squares = norms.square();
  const auto* data = squares.const_data_ptr<double>();
  return {data, data + squares.numel()};
}

}  // namespace

const Updates& updates() {
  static constexpr Updates kTable = {adamw, adamw_8bit, lion, round_stochastically,
                                     sums_of_squares};
  return kTable;
}

}  // namespace llmctl::reference
