// Documents and chat records to token ids on several threads, handed on in the order of coming. The
// caller's thread adds documents and runs the sink. Holds a few MiB of text per thread at most.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "trainer/data/chat/format.h"
#include "trainer/data/sources/dataset.h"
#include "trainer/files/ordered_threads.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

class TokenPipeline {
 public:
  struct Stretch {
    std::span<const int32_t> ids;
    std::span<const uint8_t> learned;  // of a record: one per id; of text: empty
    bool ends_document;                // an end-of-text token is not added to text
  };
  using Sink = std::function<Status(const Stretch& stretch)>;
  // `format` is needed by add_record() only. Both must outlive the pipeline.
  TokenPipeline(const Tokenizer& tokenizer, const ChatFormat* format, size_t threads, Sink sink);

  // Errors are those of the tokenizer, a record or the sink, perhaps of an earlier document.
  Status add(std::string_view document);
  Status add_record(std::string_view json, const SourceFile& source, int64_t line);
  Status finish();  // hands on the rest

 private:
  struct Part {
    size_t bytes;
    bool ends_document;
    const SourceFile* source = nullptr;  // of a record, and its line
    int64_t line = 0;
    size_t ids = 0, learned = 0;
  };
  struct Batch {
    std::string text;
    std::vector<Part> parts;
    std::vector<int32_t> ids;
    std::vector<uint8_t> learned;
    Status status = ok_status();
  };
  Status make_room(size_t bytes);
  Status start_batch();
  void encode(Batch& batch, Encoder& encoder) const;
  Status encode_record(std::string_view json,
                       const Part& part,
                       Encoder& encoder,
                       Batch& batch) const;
  Status hand_on(const Batch& batch) const;

  const Tokenizer& tokenizer_;
  const ChatFormat* format_;
  Sink sink_;
  std::vector<Encoder> encoders_;  // one per thread
  std::shared_ptr<Batch> filling_ = std::make_shared<Batch>();
  OrderedThreads threads_;
};

}  // namespace llmctl
