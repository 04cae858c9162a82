#include "trainer/template/value.h"

#include <algorithm>

namespace llmctl::jinja {
void Value::Size::add(const Value& held) {
  depth = std::max(depth, held.depth() + 1);
  weight += held.weight();
}

Status Value::Size::check() const {
  if (depth <= kValueDepth && weight <= kValueWeight) return ok_status();
  return Error{Code::invalid_argument, "lists and mappings are too deep or too large", ""};
}

Result<Value> Value::list(Items items) {
  Size size;
  for (const Value& item : items) size.add(item);
  TRY(size.check());
  Value value;
  value.v_ = std::make_shared<const List>(List{std::move(items), size});
  return value;
}

Result<Value> Value::map(Members members) {
  Size size;
  Members unique;
  for (auto& member : members) {
    size.add(member.second);
    const auto same = std::find_if(unique.begin(), unique.end(),
                                   [&](const auto& old) { return old.first == member.first; });
    if (same != unique.end()) {
      same->second = std::move(member.second);
    } else {
      unique.push_back(std::move(member));
    }
  }
  TRY(size.check());
  Value value;
  value.v_ = std::make_shared<const Map>(Map{std::move(unique), size});
  return value;
}

Value Value::large(uint64_t value) {
  Value made;
  made.v_ = value;
  return made;
}

uint64_t Value::large() const {
  return std::get<uint64_t>(v_);
}

Value Value::name_space(Members members) {
  Value value;
  value.v_ = NameSpace{std::make_shared<Map>(Map{std::move(members), {kValueDepth, 1}})};
  return value;
}

Value::Kind Value::kind() const {
  return static_cast<Kind>(v_.index());
}

bool Value::truth() const {
  switch (kind()) {
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
      return std::get<bool>(v_);
    case Kind::integer:
      return std::get<int64_t>(v_) != 0;
    case Kind::number:
      return std::get<double>(v_) != 0;
    case Kind::text:
      return !text().empty();
    case Kind::list:
      return !items().empty();
    case Kind::map:
      return !members().empty();
    case Kind::large:
    case Kind::name_space:
      break;
  }
  return true;
}

int Value::depth() const {
  if (is(Kind::list)) return std::get<std::shared_ptr<const List>>(v_)->size.depth;
  if (is(Kind::map)) return std::get<std::shared_ptr<const Map>>(v_)->size.depth;
  return is(Kind::name_space) ? kValueDepth : 0;
}

size_t Value::weight() const {
  if (is(Kind::list)) return std::get<std::shared_ptr<const List>>(v_)->size.weight;
  if (is(Kind::map)) return std::get<std::shared_ptr<const Map>>(v_)->size.weight;
  return is(Kind::text) ? 1 + text().size() / 64 : 1;
}

int64_t Value::integer() const {
  if (is(Kind::boolean)) return std::get<bool>(v_) ? 1 : 0;
  return std::get<int64_t>(v_);
}

double Value::number() const {
  return is(Kind::number) ? std::get<double>(v_) : static_cast<double>(integer());
}

const std::string& Value::text() const {
  return *std::get<std::shared_ptr<const std::string>>(v_);
}

const Items& Value::items() const {
  return std::get<std::shared_ptr<const List>>(v_)->items;
}

const Members& Value::members() const {
  if (is(Kind::name_space)) return std::get<NameSpace>(v_).map->members;
  return std::get<std::shared_ptr<const Map>>(v_)->members;
}

const Value* Value::find(std::string_view key) const {
  for (const auto& [name, value] : members()) {
    if (name == key) return &value;
  }
  return nullptr;
}

Status Value::set(const std::string& key, const Value& value) const {
  Size size;
  size.add(value);
  TRY(size.check());  // a namespace in itself is too deep
  Members& members = std::get<NameSpace>(v_).map->members;
  for (auto& [name, old] : members) {
    if (name != key) continue;
    old = value;
    return ok_status();
  }
  members.emplace_back(key, value);
  return ok_status();
}

bool Value::operator==(const Value& other) const {
  if (is_number() && other.is_number()) {
    if (is(Kind::number) || other.is(Kind::number)) return number() == other.number();
    return integer() == other.integer();
  }
  if (kind() != other.kind()) return false;
  switch (kind()) {
    case Kind::large:
      return large() == other.large();
    case Kind::text:
      return text() == other.text();
    case Kind::list:
      return items() == other.items();
    case Kind::map: {
      const auto same = [&](const auto& member) {
        const Value* found = other.find(member.first);
        return found != nullptr && *found == member.second;
      };
      return members().size() == other.members().size() &&
             std::all_of(members().begin(), members().end(), same);
    }
    case Kind::name_space:
      return std::get<NameSpace>(v_).map == std::get<NameSpace>(other.v_).map;
    default:
      return true;
  }
}

const char* name_of(Value::Kind kind) {
  static const char* const kNames[] = {
      "an undefined value",    "none",   "a boolean", "an integer", "a number",
      "an integer above 2^63", "a text", "a list",    "a mapping",  "a namespace"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace llmctl::jinja
