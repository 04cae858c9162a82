// Documents to token ids on several threads, handed on in the order in which they came. The
// caller's thread adds documents and runs the sink. Holds a few MiB of text per thread at most.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "trainer/ordered_threads.h"
#include "trainer/tokenizer.h"

namespace llmctl {

class TokenPipeline {
 public:
  // A stretch of encoded text. `end`: the document ends here; its end-of-text token is not added.
  using Sink = std::function<Status(std::span<const int32_t> ids, bool end)>;
  TokenPipeline(const Tokenizer& tokenizer, size_t threads, Sink sink);

  // Errors are those of the tokenizer or the sink, perhaps of an earlier document.
  Status add(std::string_view document);
  Status finish();  // hands on the rest

 private:
  struct Part {
    size_t bytes;
    bool ends_document;
    size_t ids = 0;
  };
  struct Batch {
    std::string text;
    std::vector<Part> parts;
    std::vector<int32_t> ids;
    Status status = ok_status();
  };
  Status start_batch();
  static void encode(Batch& batch, Encoder& encoder);
  Status hand_on(const Batch& batch) const;

  Sink sink_;
  std::vector<Encoder> encoders_;  // one per thread
  std::shared_ptr<Batch> filling_ = std::make_shared<Batch>();
  OrderedThreads threads_;
};

}  // namespace llmctl
