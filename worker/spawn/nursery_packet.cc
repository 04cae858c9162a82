#include "worker/spawn/nursery_packet.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace llmctl::worker {

static constexpr size_t kPacketBytes = 1 << 20;  // beyond what a kernel sends as one packet

std::string pack(const SpawnRequest& request) {
  std::string packet;
  for (const std::string& word : {request.directory.string(), request.trainer, request.mode}) {
    packet.append(word).push_back('\0');
  }
  for (const std::string& line : request.environment) packet.append(line).push_back('\0');
  return packet;
}

std::optional<SpawnRequest> unpack(std::string_view packet) {
  std::vector<std::string> words;
  for (size_t end = 0; (end = packet.find('\0')) != std::string_view::npos;) {
    words.emplace_back(packet.substr(0, end));
    packet.remove_prefix(end + 1);
  }
  if (words.size() < 3 || !packet.empty()) return std::nullopt;
  return SpawnRequest{words[0], words[1], words[2], {words.begin() + 3, words.end()}};
}

int send_packet(int socket, const std::string& packet, int file) {
  iovec part{const_cast<char*>(packet.data()), packet.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (file >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &file, sizeof file);
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? errno : 0;
}

ReceivedPacket receive_packet(int socket) {
  const auto buffer = std::make_unique_for_overwrite<char[]>(kPacketBytes);  // mostly untouched
  iovec part{buffer.get(), kPacketBytes};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = 0;
  do n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  ReceivedPacket received;
  if (n > 0) received.bytes.assign(buffer.get(), static_cast<size_t>(n));
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (n > 0 && header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int file = -1;
    std::memcpy(&file, CMSG_DATA(header), sizeof file);
    received.file = OpenFile(file);
  }
  return received;
}

}  // namespace llmctl::worker
