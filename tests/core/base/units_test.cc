#include "core/base/units.h"

#include <gtest/gtest.h>

#include <limits>

namespace llmctl {
namespace {

TEST(Bytes, BareLettersAndIecAreBinaryAndSiIsDecimal) {
  EXPECT_EQ(parse_bytes("512").value(), 512);
  EXPECT_EQ(parse_bytes("4GiB").value(), 4LL << 30);
  EXPECT_EQ(parse_bytes("4g").value(), 4LL << 30);
  EXPECT_EQ(parse_bytes("8GB").value(), 8'000'000'000);
  EXPECT_EQ(parse_bytes(" 1.5 MiB ").value(), 3LL << 19);
  EXPECT_EQ(parse_bytes("0.3kB").value(), 300);
}

TEST(Bytes, RefusesWhatIsNoSize) {
  for (const char* text : {"", " ", "-1", "+1", "GiB", "1e9", "0x10", "4 gigs", "1.GiB", "1 2",
                           "9223372036854775808", "9000000000GiB", "nan", "inf"}) {
    EXPECT_FALSE(parse_bytes(text).ok()) << text;
  }
}

TEST(Duration, UnitsAddUpFromLargeToSmall) {
  EXPECT_EQ(parse_duration("90").value(), 90'000);
  EXPECT_EQ(parse_duration("8h30m").value(), 30'600'000);
  EXPECT_EQ(parse_duration("2d 1h").value(), 176'400'000);
  EXPECT_EQ(parse_duration("1.5h").value(), 5'400'000);
  EXPECT_EQ(parse_duration("250ms").value(), 250);
}

TEST(Duration, RefusesWhatIsNoDuration) {
  for (const char* text :
       {"", "h", "-5s", "30m8h", "5m5m", "8 hours", "10s5", "1y", "999999999999999999d"}) {
    EXPECT_FALSE(parse_duration(text).ok()) << text;
  }
}

TEST(Format, ShowsThreeSignificantDigitsAtMost) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(3'650'722'202), "3.4 GiB");
  EXPECT_EQ(format_bytes((1LL << 20) - 1), "1.0 MiB");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(12'400), "12.4k");
  EXPECT_EQ(format_count(999'960), "1.0M");
  EXPECT_EQ(format_count(std::numeric_limits<double>::quiet_NaN()), "-");
}

TEST(Format, DurationsShowTheirTwoLargestUnits) {
  EXPECT_EQ(format_duration(420), "420ms");
  EXPECT_EQ(format_duration(59'999), "59s");
  EXPECT_EQ(format_duration(185'000), "3m 05s");
  EXPECT_EQ(format_duration(3'720'000), "1h 02m");
  EXPECT_EQ(format_duration(2 * 86'400'000 + 3 * 3'600'000), "2d 03h");
  EXPECT_EQ(format_duration(-1'500), "-1s");
  EXPECT_FALSE(format_duration(std::numeric_limits<Millis>::min()).empty());
}

TEST(Format, TimesAreUtcWithMilliseconds) {
  EXPECT_EQ(format_rfc3339(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_rfc3339(1'795'249'800'123), "2026-11-21T08:30:00.123Z");
  EXPECT_EQ(format_rfc3339(-1), "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace llmctl
