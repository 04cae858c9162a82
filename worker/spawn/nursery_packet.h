// One request to the nursery as a packet: words ended by NUL, and a file descriptor beside them.
#pragma once

#include <optional>
#include <string>

#include "worker/spawn/nursery.h"

namespace llmctl::worker {

std::string pack(const SpawnRequest& request);
std::optional<SpawnRequest> unpack(std::string_view packet);

// `file`: -1 for none. 0, or errno.
int send_packet(int socket, const std::string& packet, int file);

struct ReceivedPacket {
  std::string bytes;  // empty: the other side is gone
  OpenFile file;
};
ReceivedPacket receive_packet(int socket);  // waits

}  // namespace llmctl::worker
