// Records of every layout as text and masks; what is wrong with a record is named with its line.
#include "trainer/data/chat/format.h"

#include <nlohmann/json.hpp>

#include "tests/trainer/scratch.h"
#include "trainer/data/batches.h"
#include "trainer/data/chat/record.h"

namespace llmctl {
namespace {

ChatFormat format_of(const std::string& chat_template, bool train_on_inputs = false) {
  JobSpec spec;
  spec.method = "sft";
  spec.chat_template = chat_template;
  spec.train_on_inputs = train_on_inputs;
  auto format = ChatFormat::open(spec);
  if (!format.ok()) ADD_FAILURE() << format.error().message;
  CHECK(format.ok());
  return std::move(*format);
}

// The text with what is learned in [[...]].
std::string marked(const std::string& chat_template,
                   std::string_view record,
                   const DatasetSpec& dataset = {}) {
  const auto chat = format_of(chat_template).format(record, dataset);
  if (!chat.ok()) return "error: " + chat.error().message;
  std::string out;
  size_t at = 0;
  for (const auto& span : chat->learned) {
    out += chat->text.substr(at, span.begin - at) + "[[";
    out += chat->text.substr(span.begin, span.end - span.begin) + "]]";
    at = span.end;
  }
  return out + chat->text.substr(at);
}

constexpr const char* kTwoTurns =
    R"({"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes?"},)"
    R"({"role":"user","content":"Why"},{"role":"assistant","content":"So."}]})";
constexpr const char* kSystem =
    R"({"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"},)"
    R"({"role":"assistant","content":"Yes?"}]})";

TEST(ChatTemplate, Chatml) {
  EXPECT_EQ(marked("chatml", kTwoTurns),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n[[Yes?<|im_end|>\n]]"
            "<|im_start|>user\nWhy<|im_end|>\n<|im_start|>assistant\n[[So.<|im_end|>\n]]");
}

TEST(ChatTemplate, Llama3) {
  EXPECT_EQ(marked("llama3", kSystem),
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n[[Yes?<|eot_id|>]]");
}

TEST(ChatTemplate, Mistral) {
  EXPECT_EQ(marked("mistral", kTwoTurns),
            "<s>[INST] Hi [/INST][[ Yes?</s>]][INST] Why [/INST][[ So.</s>]]");
  EXPECT_EQ(marked("mistral", kSystem), "<s>[INST] Be kind.\n\nHi [/INST][[ Yes?</s>]]");
}

TEST(ChatTemplate, Gemma) {
  EXPECT_EQ(marked("gemma", kSystem),
            "<bos><start_of_turn>user\nBe kind.\n\nHi<end_of_turn>\n"
            "<start_of_turn>model\n[[Yes?<end_of_turn>\n]]");
}

TEST(ChatTemplate, Phi) {
  EXPECT_EQ(marked("phi", kSystem),
            "<|system|>\nBe kind.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\n[[Yes?<|end|>\n]]");
}

TEST(ChatTemplate, Alpaca) {
  EXPECT_EQ(marked("alpaca", R"({"instruction":"Add.","input":"1, 2","output":"3"})"),
            "Below is an instruction that describes a task, paired with an input that provides "
            "further context. Write a response that appropriately completes the request.\n\n"
            "### Instruction:\nAdd.\n\n### Input:\n1, 2\n\n### Response:\n[[3<|endoftext|>]]");
  EXPECT_EQ(marked("alpaca", R"({"instruction":"Sing.","input":"","output":"La"})"),
            "Below is an instruction that describes a task. Write a response that appropriately "
            "completes the request.\n\n### Instruction:\nSing.\n\n### Response:\n"
            "[[La<|endoftext|>]]");
}

TEST(ChatRecord, ShareGptIsAChat) {
  EXPECT_EQ(marked("phi", R"({"conversations":[{"from":"human","value":"Hi"},)"
                          R"({"from":"gpt","value":"Yes?"}],"system":"Be kind."})"),
            "<|system|>\nBe kind.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\n[[Yes?<|end|>\n]]");
}

TEST(ChatRecord, AlpacaIsOneQuestionInOtherTemplates) {
  EXPECT_EQ(marked("phi", R"({"instruction":"Add","input":"1","output":"2"})"),
            "<|user|>\nAdd\n1<|end|>\n<|assistant|>\n[[2<|end|>\n]]");
}

TEST(ChatRecord, APromptAndItsCompletionStayAsTheyAre) {
  EXPECT_EQ(marked("chatml", R"({"prompt":"2+2=","completion":" 4"})"), "2+2=[[ 4]]");
  DatasetSpec named;
  named.field_prompt = "question";
  named.field_completion = "answer";
  EXPECT_EQ(marked("chatml", R"({"question":"Q","answer":"A"})", named), "Q[[A]]");
}

TEST(ChatRecord, FieldsNamedForAlpacaGoThroughTheTemplate) {
  DatasetSpec named;
  named.field_instruction = "question";
  named.field_output = "answer";
  EXPECT_EQ(marked("phi", R"({"question":"Q","answer":"A"})", named),
            "<|user|>\nQ<|end|>\n<|assistant|>\n[[A<|end|>\n]]");
}

TEST(ChatRecord, MessagesAsPromptAndCompletionLearnTheCompletion) {
  EXPECT_EQ(marked("phi", R"({"prompt":[{"role":"user","content":"a"},)"
                          R"({"role":"assistant","content":"b"},{"role":"user","content":"c"}],)"
                          R"("completion":[{"role":"assistant","content":"d"}]})"),
            "<|user|>\na<|end|>\n<|assistant|>\nb<|end|>\n<|user|>\nc<|end|>\n<|assistant|>\n"
            "[[d<|end|>\n]]");
}

TEST(ChatRecord, AnAnswerOfWeightZeroIsNotLearned) {
  EXPECT_EQ(marked("phi", R"({"messages":[{"role":"user","content":"a"},)"
                          R"({"role":"assistant","content":"b","weight":0},)"
                          R"({"role":"user","content":"c"},{"role":"assistant","content":"d"}]})"),
            "<|user|>\na<|end|>\n<|assistant|>\nb<|end|>\n<|user|>\nc<|end|>\n<|assistant|>\n"
            "[[d<|end|>\n]]");
}

TEST(ChatRecord, WhatIsWrongIsNamed) {
  EXPECT_TRUE(marked("phi", "{").starts_with("error: not valid JSON: "));
  EXPECT_EQ(marked("phi", "[1]"), "error: a JSON array, not an object");
  EXPECT_EQ(marked("phi", "["), "error: a JSON array, not an object") << "of many lines";
  EXPECT_EQ(marked("phi", "1"), "error: not a JSON object");
  EXPECT_EQ(marked("phi", R"({"instruction": "a", "output": null})"), "error: \"output\" is null");
  EXPECT_EQ(marked("phi", R"({"question":"Q","answer":"A"})"),
            "error: neither messages, conversations, prompt and completion, nor instruction and "
            "output; it has question, answer");
  EXPECT_EQ(marked("phi", R"({"messages":[]})"), "error: \"messages\" is empty");
  EXPECT_EQ(marked("phi", R"({"messages":[{"role":"user"}]})"), "error: a message has no content");
  EXPECT_EQ(marked("phi", R"({"messages":[{"role":"user","content":"a"}]})"),
            "error: nothing to learn: no turn of the assistant");
  EXPECT_EQ(marked("phi", R"({"conversations":[{"from":"narrator","value":"a"}]})"),
            "error: \"from\" is \"narrator\", not human, gpt, system or tool");
  EXPECT_EQ(marked("mistral", R"({"messages":[{"role":"judge","content":"a"}]})"),
            "error: chat_template mistral: line 12: the template says: mistral has no role judge");
}

TEST(ChatFormat, TrainOnInputsLearnsEverything) {
  const auto chat = format_of("chatml", true).format(kTwoTurns, {});
  ASSERT_TRUE(chat.ok());
  ASSERT_EQ(chat->learned.size(), 1u);
  EXPECT_EQ(chat->learned[0].begin, 0u);
  EXPECT_EQ(chat->learned[0].end, chat->text.size());
}

// As templates of reasoning models do: an answer keeps its thoughts only while it is the last.
TEST(ChatFormat, FindsAnswersThatALaterTurnChanges) {
  const Scratch scratch;
  write_file(scratch.path() / "t.jinja",
             "{% for m in messages %}<{{ m.role }}>"
             "{% if m.role == 'assistant' and loop.last %}<think></think>{% endif %}"
             "{{ m.content }}<end>{% endfor %}"
             "{% if add_generation_prompt %}<assistant>{% endif %}");
  EXPECT_EQ(marked((scratch.path() / "t.jinja").string(), kTwoTurns),
            "<user>Hi<end><assistant>[[Yes?<end>]]<user>Why<end><assistant>"
            "[[<think></think>So.<end>]]");
}

TEST(ChatFormat, ReadsTheTemplateBesideTheTokenizer) {
  const Scratch scratch;
  ASSERT_TRUE(Tokenizer::bytes().save(scratch.path() / "tokenizer.json").ok());
  write_file(
      scratch.path() / "tokenizer_config.json",
      R"({"bos_token":{"content":"<B>"},"eos_token":"<E>","chat_template":[)"
      R"({"name":"tools","template":"no"},{"name":"default","template":)"
      R"("{{ bos_token }}{% for m in messages %}{{ m.content + eos_token }}{% endfor %}"}]})");
  JobSpec spec;
  spec.tokenizer = {TokenizerSpec::Kind::file, scratch.path() / "tokenizer.json", 257};
  EXPECT_EQ(ChatFormat::open(spec)->format(kTwoTurns, {})->text, "<B>Hi<E>Yes?<E>Why<E>So.<E>");
  write_file(scratch.path() / "chat_template.jinja",
             "{% for m in messages %}{{ m.content }}!{% endfor %}");
  EXPECT_EQ(ChatFormat::open(spec)->format(kSystem, {})->text, "Be kind.!Hi!Yes?!");
}

TEST(ChatFormat, MasksFollowTheTokensAndTheEndOfTurnIsLearned) {
  const Scratch scratch;
  BpeTrainer trainer;
  ASSERT_TRUE(trainer.add("user assistant Hi Yes? Why So. user assistant").ok());
  const auto tokenizer = trainer.train(300, {}, {"<|im_start|>", "<|im_end|>"});
  ASSERT_TRUE(tokenizer.ok());
  Encoder encoder(*tokenizer);
  std::vector<int32_t> ids;
  std::vector<uint8_t> learned;
  ASSERT_TRUE(format_of("chatml").encode(kTwoTurns, {}, *tokenizer, encoder, ids, learned).ok());
  ASSERT_EQ(ids.size(), learned.size());
  std::vector<int32_t> kept;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (learned[i] != 0) kept.push_back(ids[i]);
  }
  EXPECT_EQ(tokenizer->decode(kept), "Yes?<|im_end|>\nSo.<|im_end|>\n");
}

TEST(ChatFormat, TellsTheTokenThatEndsTurns) {
  const auto tokenizer = train_bpe({}, 260, {});
  EXPECT_EQ(format_of("chatml").turn_end(*tokenizer), std::nullopt);  // spelled by its letters
  BpeTrainer trainer;
  const auto special = trainer.train(300, {}, {"<|im_start|>", "<|im_end|>"});
  EXPECT_EQ(format_of("chatml").turn_end(*special), special->id_of("<|im_end|>"));
  EXPECT_EQ(format_of("alpaca").turn_end(*special), special->eos());
}

TEST(ChatFormat, APlainRecordBeginsAsEveryTextDoes) {
  nlohmann::json file = nlohmann::json::parse(Tokenizer::bytes().json());
  file["post_processor"] = {{"type", "BertProcessing"}, {"sep", {"<s>", 7}}, {"cls", {"<s>", 7}}};
  const auto tokenizer = Tokenizer::parse(file.dump(), "t.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  Encoder encoder(*tokenizer);
  std::vector<int32_t> ids;
  std::vector<uint8_t> learned;
  const ChatFormat format = format_of("chatml");
  const char* record = R"({"prompt":"a","completion":"b"})";
  ASSERT_TRUE(format.encode(record, {}, *tokenizer, encoder, ids, learned).ok());
  EXPECT_EQ(ids, (std::vector<int32_t>{7, 'a', 'b', 256}));
  EXPECT_EQ(learned, (std::vector<uint8_t>{0, 0, 1, 1}));
  ids.clear();
  ASSERT_TRUE(format.encode(kTwoTurns, {}, *tokenizer, encoder, ids, learned).ok());
  EXPECT_EQ(ids.front(), '<');  // a chat's template writes its own beginning
}

TEST(ChatFormat, WholeNumbersOf64BitsKeepTheirDigits) {
  const auto value = read_json_value("[18446744073709551615, 9007199254740993, -5]");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(*jinja::json_of(*value), "[18446744073709551615, 9007199254740993, -5]");
  EXPECT_EQ(*jinja::text_of(value->items()[0]), "18446744073709551615");
  EXPECT_TRUE(value->items()[0].truth());
  const auto beyond = read_json_value("18446744073709551616");
  ASSERT_FALSE(beyond.ok());
  EXPECT_NE(beyond.error().message.find("beyond 64 bits"), std::string::npos);
}

TEST(ChatFormat, AnswersBeyondTheSequenceAreToldAsThat) {
  const Scratch scratch;
  const std::string file = scratch.path() / "d.jsonl";
  const std::string prompt(40, 'x');
  write_file(file, R"({"prompt":")" + prompt + R"(","completion":"b"})" + "\n" + R"({"prompt":"y)" +
                       prompt + R"(","completion":"b"})" + "\n");
  JobSpec spec;
  spec.method = "sft";
  spec.datasets = {{file}};
  spec.sequence_len = 16;
  spec.tokenizer.kind = TokenizerSpec::Kind::bytes;
  const auto batches = Batches::open(spec, scratch.path() / "cache", 2, {});
  ASSERT_FALSE(batches.ok());
  EXPECT_NE(batches.error().message.find("in all 2 documents"), std::string::npos)
      << batches.error().message;
  EXPECT_NE(batches.error().hint.find("raise sequence_len: with 40 "), std::string::npos)
      << batches.error().hint;
  spec.sequence_len = 40;
  EXPECT_TRUE(Batches::open(spec, scratch.path() / "cache", 2, {}).ok());
}

TEST(ChatFormat, ABadRecordIsNamedByFileAndLine) {
  const Scratch scratch;
  const std::string file = scratch.path() / "d.jsonl";
  write_file(file, std::string(R"({"prompt":"a","completion":"b"})") + "\n\n" +
                       R"({"messages":[{"role":"user","content":"a"}]})" + "\n");
  JobSpec spec;
  spec.method = "sft";
  spec.datasets = {{file}};
  spec.sequence_len = 16;
  const auto batches = Batches::open(spec, scratch.path() / "cache", 2, {});
  ASSERT_FALSE(batches.ok());
  EXPECT_EQ(batches.error().code, Code::invalid_argument);
  EXPECT_EQ(batches.error().message, file + ":3: nothing to learn: no turn of the assistant");
}

}  // namespace
}  // namespace llmctl
