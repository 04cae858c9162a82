#include "trainer/ops/reference/embedding.h"

#include <optional>

namespace llmctl::reference {

at::Tensor embed(const at::Tensor& ids, const at::Tensor& table) {
  return at::index(table, c10::List<std::optional<at::Tensor>>({ids}));  // rows by id
}

void embed_backward(const at::Tensor& ids, const at::Tensor& dx, at::Tensor& dtable) {
  dtable.index_add_(0, ids, dx.to(dtable.scalar_type()));
}

}  // namespace llmctl::reference
