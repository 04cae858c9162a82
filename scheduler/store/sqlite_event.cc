#include "scheduler/store/sqlite_event.h"

#include <cstdint>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace llmctl {

int64_t event_checksum(int64_t seq, std::string_view payload) {
  const auto seed = static_cast<XXH64_hash_t>(seq);
  return static_cast<int64_t>(XXH3_64bits_withSeed(payload.data(), payload.size(), seed));
}

Result<v1::Event> read_event(const Statement& row) {
  const int64_t seq = row.integer(0);
  const std::string payload = row.text(1);
  if (event_checksum(seq, payload) != row.integer(2)) {
    return unreadable_event(seq, "is damaged: its checksum does not match");
  }
  v1::Event event;
  if (!event.ParseFromString(payload)) return unreadable_event(seq, "is not an event");
  return event;
}

Error unreadable_event(int64_t seq, const std::string& why) {
  return Error{Code::data_loss, "store: event " + std::to_string(seq) + ' ' + why,
               "stop the scheduler and restore store.db from a backup; it was left as it is"};
}

}  // namespace llmctl
