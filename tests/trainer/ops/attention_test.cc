// The CPU's attention against the plain formula: every shape, window and packing.
#include "trainer/ops/attention.h"

#include <gtest/gtest.h>

#include "tests/trainer/close.h"
#include "trainer/ops/cpu/operators.h"

namespace llmctl {
namespace {

struct AttentionCase {
  const char* name;
  int64_t sequence, heads, kv_heads, head_dim;
  AttentionRule rule = {};
  std::vector<int32_t> documents = {};
  AttentionShape shape() const { return {sequence, heads, kv_heads, head_dim}; }
};
void PrintTo(const AttentionCase& c, std::ostream* out) {
  *out << c.name;
}
class CpuAttention : public ::testing::TestWithParam<AttentionCase> {};

TEST_P(CpuAttention, EqualsThePlainFormula) {
  const AttentionCase& c = GetParam();
  const int64_t rows = 3 * c.sequence;
  AttentionShape shape = c.shape();
  if (!c.documents.empty()) {
    shape.sequence = rows;
    shape.document_starts = c.documents;
  }
  AttentionRule plain = c.rule;
  plain.kind = AttentionKind::manual;
  const at::Tensor qkv = numbers({rows, shape.row()}, 1);
  const at::Tensor dout = numbers({rows, shape.heads * shape.head_dim}, 2);
  ASSERT_TRUE(cpu::attention.takes(qkv, shape, c.rule));
  const AttentionSaved got = attention(qkv, shape, c.rule), want = attention(qkv, shape, plain);
  EXPECT_TRUE(close(got.out, want.out));
  const AttentionGradient a = attention_backward(dout, qkv, got, shape, c.rule);
  const AttentionGradient b = attention_backward(dout, qkv, want, shape, plain);
  EXPECT_TRUE(close(a.q.contiguous(), b.q.contiguous()));
  EXPECT_TRUE(close(a.k.contiguous(), b.k.contiguous()));
  EXPECT_TRUE(close(a.v.contiguous(), b.v.contiguous()));
}

TEST_P(CpuAttention, GivesTheSameBitsOnOneThread) {
  const AttentionCase& c = GetParam();
  const at::Tensor qkv = numbers({3 * c.sequence, c.shape().row()}, 1);
  const at::Tensor many = attention(qkv, c.shape(), c.rule).out;
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = attention(qkv, c.shape(), c.rule).out;
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, many));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes,
    CpuAttention,
    ::testing::Values(AttentionCase{"short", 5, 2, 2, 16},
                      AttentionCase{"long", 300, 2, 2, 64},
                      AttentionCase{"grouped", 70, 6, 2, 32},
                      AttentionCase{"one_key_head", 129, 4, 1, 128},
                      AttentionCase{"whole_panels", 64, 2, 2, 48},
                      AttentionCase{"window", 150, 4, 2, 32, {.window = 40}},
                      AttentionCase{"narrow_window", 100, 2, 2, 16, {.window = 2}},
                      AttentionCase{"scale", 40, 2, 2, 16, {.scale = 0.3}},
                      AttentionCase{"packed", 64, 4, 2, 32, {}, {0, 1, 2, 40, 64, 130, 191}},
                      AttentionCase{
                          "packed_window", 64, 4, 2, 32, {.window = 9}, {0, 50, 64, 128}}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(Attention, KnowsTheBoundariesOfSequencesAndOfDocuments) {
  const AttentionShape whole = {5, 2, 2, 16};
  const Boundaries sequences = boundaries_of(whole, 15, at::kCPU);
  EXPECT_TRUE(at::equal(sequences.rows, at::tensor({0, 5, 10, 15}, at::kInt)));
  EXPECT_EQ(sequences.longest, 5);
  const std::vector<int32_t> starts = {0, 1, 9};
  const Boundaries documents = boundaries_of({15, 2, 2, 16, starts}, 15, at::kCPU);
  EXPECT_TRUE(at::equal(documents.rows, at::tensor({0, 1, 9, 15}, at::kInt)));
  EXPECT_EQ(documents.longest, 8);
}

TEST(Attention, LeavesToLibTorchWhatItDoesNotTake) {
  const AttentionShape odd = {32, 2, 2, 12}, single = {32, 1, 1, 16};
  EXPECT_FALSE(cpu::attention.takes(numbers({64, odd.row()}, 1), odd, {}));
  EXPECT_FALSE(cpu::attention.takes(numbers({64, single.row()}, 1).to(at::kBFloat16), single, {}));
  EXPECT_FALSE(cpu::attention.takes(numbers({64, single.row()}, 1), single, {.soft_cap = 30}));
}

}  // namespace
}  // namespace llmctl
