#include "trainer/files/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "trainer/files/content_hash.h"

namespace llmctl {
namespace {

std::vector<std::byte> random_bytes(size_t count) {
  std::mt19937_64 random(7);
  std::vector<std::byte> bytes(count);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

TEST(Crc32c, HasTheValuesOfRfc3720) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283u);
  EXPECT_EQ(crc32c(std::vector<std::byte>(32, std::byte{0})), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::vector<std::byte>(32, std::byte{0xFF})), 0x62A8AB43u);
  EXPECT_EQ(crc32c({}), 0u);
}

TEST(Crc32c, InstructionAndTablesAgreeAtEveryLengthAndOffset) {
  const auto bytes = random_bytes(40'000);
  for (size_t length = 0; length < bytes.size(); length += 1 + length / 16) {
    const auto part = std::span(bytes).subspan(length % 9).first(length - length % 9);
    ASSERT_EQ(crc32c(part), crc32c_portable(part)) << length;
  }
}

TEST(Crc32c, ContinuesAcrossParts) {
  const auto bytes = random_bytes(30'000);
  const uint32_t whole = crc32c(bytes);
  for (const size_t cut : {0u, 1u, 7u, 8u, 12'287u, 12'288u, 29'999u, 30'000u}) {
    const auto all = std::span(bytes);
    EXPECT_EQ(crc32c(all.subspan(cut), crc32c(all.first(cut))), whole) << cut;
  }
}

}  // namespace
}  // namespace llmctl
