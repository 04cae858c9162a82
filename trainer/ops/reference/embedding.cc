#include "trainer/ops/reference/operators.h"

#include <optional>

namespace llmctl::reference {
namespace {

at::Tensor forward(const at::Tensor& ids, const at::Tensor& table) {
  return at::index(table, c10::List<std::optional<at::Tensor>>({ids}));  // rows by id
}

void backward(const at::Tensor& ids, const at::Tensor& dx, at::Tensor& dtable) {
  dtable.index_add_(0, ids, dx.to(dtable.scalar_type()));
}

}  // namespace

const Embedding embedding = {forward, backward};

}  // namespace llmctl::reference
