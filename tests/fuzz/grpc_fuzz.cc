// Requests as a hostile peer may send them: the first byte chooses the message, the rest is its
// wire form. What from_wire() accepts must survive being written and read again.
#include <cstdint>

#include "proto/convert.h"
#include "proto/convert_event.h"

namespace llmctl {
namespace {

template <class Message>
void read(const std::string& bytes) {
  Message message;
  if (!message.ParseFromString(bytes)) return;
  const auto value = from_wire(message);
  if (!value.ok()) {
    CHECK(value.error().code == Code::invalid_argument && !value.error().message.empty());
    return;
  }
  const std::string written = to_wire(*value).SerializeAsString();
  Message again;
  CHECK(again.ParseFromString(written));
  const auto back = from_wire(again);
  CHECK(back.ok());
  CHECK(to_wire(*back).SerializeAsString() == written);
}

}  // namespace
}  // namespace llmctl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmctl;  // NOLINT
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      read<v1::Event>(bytes);
      break;
    case 1:
      read<v1::Inventory>(bytes);
      break;
    case 2:
      read<v1::RunStatus>(bytes);
      break;
    case 3:
      read<v1::Progress>(bytes);
      break;
    case 4:
      read<v1::Checkpoint>(bytes);
      break;
    case 5:
      read<v1::Plan>(bytes);
      break;
  }
  return 0;
}
