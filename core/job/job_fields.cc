#include "core/job/job_fields.h"

#include "core/base/limits.h"
#include "core/training/checkpointing.h"
#include "core/training/offload.h"
#include "core/training/optimizer_facts.h"
#include "core/training/precision.h"

namespace llmctl {

static constexpr double kTextBytes = 4'096;  // paths, names of devices
static constexpr double kBatch = 1 << 20;    // sequences

static FieldTable what_fields(JobSpec& s) {
  return {
      {"name", "", &s.name, text(1, limits::kNameBytes),
       "Shown in every table. Letters, digits, '.', '_' and '-'; the file's name when absent."},
      {"method", "", &s.method, choice("pretrain sft"),
       "What to do: pretrain learns every token of running text; sft learns the answers of chats "
       "or of prompts and completions. Both train all weights."},
      {"model",
       "base_model model_name_or_path",
       {},
       block(),
       "The model: a preset's name, a mapping of config.json's names, or a directory: a Hugging "
       "Face "
       "one, or a checkpoint. Training starts from the weights in it, if there are any. Required."},
      {"datasets",
       "dataset data",
       {},
       block(),
       "The text to learn from: a path, or a list of paths or mappings. A path is a file, a glob "
       "or a directory, relative to the job file. Required."},
      {"tokenizer",
       "",
       {},
       block(),
       "bytes; the path of a tokenizer.json; or {train: {vocab_size: N}}, which learns a "
       "byte-level BPE from the datasets. When absent: the model directory's, else bytes."},
      {"chat_template", "template", &s.chat_template, text(1, kTextBytes),
       "sft: how a chat becomes text: chatml, llama3, mistral, gemma, phi, alpaca, or a Jinja "
       "file. auto: chat_template.jinja or tokenizer_config.json beside the tokenizer, else "
       "chatml."},
      {"train_on_inputs", "train_on_prompt", &s.train_on_inputs, boolean(),
       "sft: learn every token, not only the answers of the assistant and completions."},
      {"sample_packing", "packing", &s.sample_packing, automatic(boolean()),
       "Whole documents share a sequence; none attends to another and positions begin anew. "
       "auto: with sft. Without it sft pads each document to a sequence, and pretraining cuts the "
       "joined text every sequence_len tokens."},
  };
}

static FieldTable batch_fields(JobDraft& d) {
  JobSpec& s = d.spec;
  return {
      {"sequence_len", "max_seq_length cutoff_len seq_len max_seq_len", &s.sequence_len,
       integer(2, limits::kSequenceLen), "Length of one training sequence in tokens."},
      {"micro_batch_size", "per_device_train_batch_size local_batch_size", &s.micro_batch_size,
       automatic(integer(1, kBatch)),
       "Sequences per rank and pass. auto: the fastest that a probe finds to fit."},
      {"global_batch_size", "", &s.global_batch_size, integer(1, kBatch),
       "Sequences per optimizer step, all ranks together; kept whatever the micro-batch."},
      {"gradient_accumulation_steps", "", &d.gradient_accumulation_steps, integer(1, kBatch),
       "Instead of global_batch_size: passes per optimizer step. Needs a micro_batch_size."},
      {"gradient_checkpointing", "activation_checkpointing", &s.gradient_checkpointing,
       choice(kCheckpointingChoices),
       "What is computed again instead of kept. selective: the widest row of each MLP, about an "
       "eighth more time; block (or true): all but each block's input, about a third more time; "
       "none (or false): nothing. auto: as little as fits."},
      {"precision", "", &s.precision, choice(kPrecisionNames),
       "Type of activations and matrix products: fp32; tf32: fp32 kept, products in tf32 (CUDA "
       "only); bf16 and fp16: half the bytes, from a copy of the fp32 weights, fp16 with a loss "
       "scale that finds itself. A CPU without instructions for them widens products to fp32: less "
       "memory there, but more time."},
      {"master_weights", "", &s.master_weights, boolean(),
       "Keep fp32 weights beside those of precision bf16. false: bf16 weights alone, 2 bytes each "
       "instead of 6; every update is rounded up or down at random, in proportion, so that small "
       "ones count on average. Needs precision: bf16."},
      {"attention", "attn_implementation", &s.attention, choice("sdpa flash manual"),
       "sdpa: fused; flash: the same, but on CUDA in bf16 and fp16 FlashAttention-2, which also "
       "takes windows and packed documents at once; manual: plain matrix products, for "
       "comparison."},
      {"offload", "", &s.offload, choice(kOffloadNames),
       "What waits in pinned host memory while the GPU does not need it: optimizer: its state, "
       "taken through the GPU in pieces by each update; activations: what blocks save for "
       "backward; all: both. Changes no bit of the result; saves nothing on a CPU."},
      {"cuda_graphs", "", &s.cuda_graphs, boolean(),
       "Capture a micro-batch's forward and backward pass as a CUDA graph and replay it: less for "
       "the host to do, which small models wait for; the pass keeps its memory for itself. Packed "
       "documents and offloaded activations stay eager. No effect on a CPU."},
      {"pack_weights", "", &s.pack_weights, automatic(boolean()),
       "On a CPU in fp32, where a step has several passes: lay matrices out for products once per "
       "step instead of once per product, for twice the bytes of the weights. 2 to 5 % faster with "
       "passes of 512 tokens, a fifth with 64; auto: for passes of at most 128, where it fits. "
       "Changes no bit of the result; on Intel's processors, where LibTorch multiplies, no "
       "effect."},
  };
}

static FieldTable length_fields(JobSpec& s) {
  return {
      {"max_steps", "steps", &s.max_steps, integer(1, kUnbounded),
       "Optimizer steps. Give one or more of max_steps, max_tokens, num_epochs, max_duration; "
       "the first one reached ends the run."},
      {"max_tokens", "", &s.max_tokens, integer(1, kUnbounded), "Training tokens, all ranks."},
      {"num_epochs", "num_train_epochs epochs", &s.num_epochs, number_above(0, kUnbounded),
       "Passes over the training data; a fraction is allowed."},
      {"max_duration", "", &s.max_duration, duration(),
       "Training time over all attempts; the run ends with a checkpoint."},
  };
}

static FieldTable optimizer_fields(JobSpec& s) {
  return {
      {"optimizer", "optim", &s.optimizer, choice(optimizer_names()),
       "adamw; adamw_bf16: its moments in bf16; adamw_8bit: in bitsandbytes' block-wise 8 bits; "
       "adafactor: a row and a column per matrix; lion: one moment, steps by sign; muon: "
       "orthogonal steps for matrices, adamw for embeddings, head and norms. `llmctl plan` tells "
       "the bytes of each."},
      {"learning_rate", "lr", &s.learning_rate, number_above(0, kUnbounded), "Peak learning rate."},
      {"weight_decay", "", &s.weight_decay, number(0, 10),
       "Decoupled decay; matrices only, not norms."},
      {"adam_beta1", "beta1", &s.adam_beta1, number(0, 0.9999999), "First beta of adamw and lion."},
      {"adam_beta2", "beta2", &s.adam_beta2, number(0, 0.9999999),
       "Second beta of adamw and lion."},
      {"adam_epsilon", "eps", &s.adam_epsilon, number_above(0, 1), "AdamW's epsilon."},
      {"muon_momentum", "", &s.muon_momentum, number(0, 0.9999999), "muon: momentum of matrices."},
      {"ema_decay", "", &s.ema_decay, number(0, 0.9999999),
       "Also keep an exponential moving average of the weights with this decay (0.999, say), which "
       "evaluations, samples, generate and export use; 0: none. Costs 4 bytes per weight."},
      {"max_grad_norm", "gradient_clipping max_norm", &s.max_grad_norm, number(0, 1e6),
       "Gradients are scaled down to this norm; 0: never."},
      {"lr_scheduler", "lr_scheduler_type", &s.lr_scheduler, choice("cosine linear constant wsd"),
       "How the learning rate falls after the warmup; wsd: not until the last decay_ratio of the "
       "run, then linearly."},
      {"warmup_steps", "", &s.warmup_steps, integer(0, kUnbounded),
       "Steps over which the learning rate rises."},
      {"warmup_ratio", "", &s.warmup_ratio, number(0, 1),
       "Instead of warmup_steps: share of the run."},
      {"min_lr_ratio", "", &s.min_lr_ratio, number(0, 1), "Final learning rate / learning_rate."},
      {"decay_ratio", "", &s.decay_ratio, number(0, 1),
       "wsd: share of the run over which the learning rate falls."},
  };
}

static FieldTable record_fields(JobSpec& s) {
  return {
      {"val_set_size", "val_size", &s.val_set_size, number(0, kUnbounded),
       "Held out for validation: a share of the documents below 1, else their number."},
      {"eval_steps", "", &s.eval_steps, integer(0, kUnbounded),
       "Steps between evaluations; 0: only at the end."},
      {"eval_max_batches", "", &s.eval_max_batches, integer(1, kBatch),
       "Batches of one evaluation at most."},
      {"early_stopping_patience", "", &s.early_stopping_patience, integer(0, 1e6),
       "Evaluations in a row without a better loss after which the run ends; 0: never."},
      {"save_steps", "checkpoint_interval", &s.save_steps, integer(0, kUnbounded),
       "Steps between checkpoints; 0: only at the end and when asked to leave."},
      {"save_total_limit", "", &s.save_total_limit, integer(1, 1'000),
       "Checkpoints kept; older ones are removed, but not the best one with save_best and not one "
       "in whose directory there is a file `pinned`."},
      {"save_best", "", &s.save_best, boolean(),
       "Save when an evaluation gives the lowest loss so far, and keep that checkpoint."},
      {"async_checkpoints", "", &s.async_checkpoints, boolean(),
       "Copy weights and optimizer state to host memory and write them while training goes on, "
       "where the copy fits; false: training waits for the disk."},
      {"report_to", "", &s.report_to, choices("tensorboard csv"),
       "Curves as files in the job's folder: tensorboard/ (event files), metrics.csv."},
      {"seed", "data_seed", &s.seed, integer(0, kUnbounded),
       "Of weights and data order; equal jobs give equal weights."},
      {"nonfinite_limit", "", &s.nonfinite_limit, integer(1, 1e6),
       "NaN or Inf steps skipped in a row before the run fails."},
      {"sample_prompt", "", &s.sample_prompt, text(0, 1 << 16),
       "Text that the trained model continues at the end; empty: none."},
  };
}

static FieldTable queue_fields(JobSpec& s) {
  return {
      {"resources", "", {}, block(), "What each rank needs."},
      {"priority", "", &s.priority, integer(0, 100), "Bigger is sooner."},
      {"retry", "", {}, block(), "What happens after a failure."},
      {"labels", "", {}, block(), "Your own names and values, for filters."},
      {"env", "", {}, block(), "Environment variables of the trainer."},
  };
}

FieldTable job_fields(JobDraft& draft) {
  JobSpec& spec = draft.spec;
  FieldTable all;
  for (const FieldTable& group :
       {what_fields(spec), batch_fields(draft), length_fields(spec), optimizer_fields(spec),
        record_fields(spec), queue_fields(spec)}) {
    all.insert(all.end(), group.begin(), group.end());
  }
  return all;
}

static FieldTable shape_fields(ModelSpec& m) {
  ModelConfig& c = m.config;
  return {
      {"preset", "", &m.preset, text(0, kTextBytes), "A preset whose fields the others change."},
      {"path", "", &m.path, text(0, kTextBytes),
       "A Hugging Face directory, or a checkpoint of a job, to start from."},
      {"architecture", "model_type", &c.architecture, choice(architectures()),
       "The family: sets all options below to what it has; the ones written change that."},
      {"vocab_size", "", &c.vocab_size, integer(0, limits::kVocabSize),
       "Rows of the embedding; 0: the tokenizer's."},
      {"hidden_size", "dim n_embd", &c.hidden_size, integer(1, limits::kHiddenSize),
       "Width of the residual stream. Required without a preset."},
      {"intermediate_size", "n_inner", &c.intermediate_size, integer(0, 16.0 * limits::kHiddenSize),
       "Width of the MLP; 0: 8/3 of hidden_size, rounded up to a multiple of 64 (4 times it when "
       "not gated)."},
      {"num_hidden_layers", "n_layers n_layer", &c.num_hidden_layers, integer(1, limits::kLayers),
       "Blocks. Required without a preset."},
      {"num_attention_heads", "n_heads n_head", &c.num_attention_heads, integer(1, 4'096),
       "Query heads. Required without a preset."},
      {"num_key_value_heads", "n_kv_heads", &c.num_key_value_heads, integer(0, 4'096),
       "Key and value heads; 0: as many as query heads."},
      {"head_dim", "", &c.head_dim, integer(0, 1'024),
       "Size of a head; 0: hidden_size / num_attention_heads."},
      {"max_position_embeddings", "n_positions", &c.max_position_embeddings,
       integer(0, limits::kSequenceLen), "Longest sequence; 0: sequence_len."},
      {"initializer_range", "", &c.initializer_range, number(0, 10),
       "Standard deviation of the initial weights."},
      {"tie_word_embeddings", "", &c.tie_word_embeddings, boolean(),
       "The output layer shares the embedding's weights."},
  };
}

static FieldTable block_fields(ModelConfig& c) {
  return {
      {"norm", "", &c.norm, choice("rms layer"), "RMSNorm, or LayerNorm with biases."},
      {"rms_norm_eps", "norm_eps layer_norm_epsilon", &c.rms_norm_eps, number_above(0, 0.1),
       "Epsilon of the norms."},
      {"norm_plus_one", "", &c.norm_plus_one, boolean(), "RMSNorm scales by 1 + weight (Gemma)."},
      {"post_norms", "", &c.post_norms, boolean(),
       "A norm also after attention and after the MLP (Gemma)."},
      {"qk_norm", "", &c.qk_norm, boolean(), "RMSNorm of each query and key head (Qwen3)."},
      {"qkv_bias", "", &c.qkv_bias, boolean(), "Biases of the query, key and value projections."},
      {"out_bias", "", &c.out_bias, boolean(), "Bias of attention's output projection."},
      {"mlp_bias", "", &c.mlp_bias, boolean(), "Biases of the MLP."},
      {"gated_mlp", "", &c.gated_mlp, boolean(),
       "down(act(gate) * up), as SwiGLU; false: down(act(up))."},
      {"activation", "hidden_act", &c.activation, choice(kActivations),
       "Activation of the MLP: gelu is GELU by the error function, gelu_tanh by its tanh formula."},
      {"scale_embedding", "", &c.scale_embedding, boolean(),
       "Embeddings times the root of hidden_size (Gemma)."},
  };
}

static FieldTable attention_fields(ModelConfig& c) {
  return {
      {"learned_positions", "", &c.learned_positions, boolean(),
       "A learned table of positions instead of the rotary embedding (GPT-2)."},
      {"rope_theta", "", &c.rope_theta, number(1, kUnbounded), "Base of the rotary embedding."},
      {"rope_local_theta", "rope_local_base_freq", &c.rope_local_theta, number(0, kUnbounded),
       "The same for layers with a sliding window, unscaled; 0: rope_theta, scaled."},
      {"rope_type", "", &c.rope.type, choice(kRopeTypes),
       "How positions beyond the trained length are squeezed; dynamic is NTK-aware."},
      {"rope_factor", "", &c.rope.factor, number(1, 1e6), "By how much."},
      {"rope_original_positions", "original_max_position_embeddings", &c.rope.original_positions,
       integer(0, limits::kSequenceLen), "The trained length; 0: max_position_embeddings."},
      {"rope_low_freq_factor", "", &c.rope.low_freq_factor, number_above(0, 1e6), "llama3 only."},
      {"rope_high_freq_factor", "", &c.rope.high_freq_factor, number_above(0, 1e6), "llama3 only."},
      {"rope_beta_fast", "", &c.rope.beta_fast, number_above(0, 1e6), "yarn only."},
      {"rope_beta_slow", "", &c.rope.beta_slow, number_above(0, 1e6), "yarn only."},
      {"rope_attention_factor", "", &c.rope.attention_factor, number(0, 1e3),
       "Of the rotated queries and keys; 0: yarn 0.1 ln(rope_factor) + 1, longrope the root of 1 + "
       "ln(rope_factor) / ln(rope_original_positions)."},
      {"rope_truncate", "", &c.rope.truncate, boolean(),
       "yarn only: its ramp begins and ends at whole pairs."},
      {"rope_short_factor", "", &c.rope.short_factor, number_list(0, 1e6),
       "longrope only: by what the angle of each pair is divided, for a sequence_len up to "
       "rope_original_positions."},
      {"rope_long_factor", "", &c.rope.long_factor, number_list(0, 1e6),
       "longrope only: the same for a longer sequence_len."},
      {"partial_rotary_factor", "", &c.partial_rotary_factor, number_above(0, 1),
       "Share of each head, from its beginning, that is turned (Phi)."},
      {"sliding_window", "", &c.sliding_window, integer(0, limits::kSequenceLen),
       "Tokens that attention sees, the own one included; 0: all before it."},
      {"sliding_window_pattern", "", &c.sliding_window_pattern, integer(0, limits::kLayers),
       "Every n-th layer sees all tokens; 0: every layer has the window."},
      {"max_window_layers", "", &c.max_window_layers, integer(0, limits::kLayers),
       "So many first layers see all tokens (Qwen)."},
      {"query_pre_attn_scalar", "", &c.query_pre_attn_scalar, number(0, 1e6),
       "Attention scores are divided by its root; 0: head_dim."},
      {"attn_logit_softcapping", "", &c.attn_logit_softcapping, number(0, 1e6),
       "Attention scores become c tanh(score / c); 0: not. Takes the plain formula of attention."},
      {"final_logit_softcapping", "", &c.final_logit_softcapping, number(0, 1e6),
       "The same of logits."},
  };
}

FieldTable model_fields(ModelSpec& m) {
  FieldTable all = shape_fields(m);
  for (const FieldTable& group : {block_fields(m.config), attention_fields(m.config)}) {
    all.insert(all.end(), group.begin(), group.end());
  }
  return all;
}

FieldTable dataset_fields(DatasetSpec& d) {
  return {
      {"path", "", &d.path, text(1, kTextBytes), "A file, a glob or a directory. Required."},
      {"type", "", &d.type, choice("auto text jsonl messages sharegpt prompt_completion alpaca"),
       "auto: .jsonl by its name, anything else is text; with sft by the fields of each record. "
       "The last four are JSONL for sft."},
      {"field", "field_text text_column", &d.field, text(1, kTextBytes),
       "jsonl: the field that holds the text."},
      {"weight", "", &d.weight, number_above(0, 1e6),
       "Share of this dataset in an epoch, relative to the others' weights; given to all or to "
       "none. An epoch keeps its length: small datasets repeat, large ones go on in the next."},
      {"field_messages", "", &d.field_messages, text(1, kTextBytes),
       "messages: the list of {role, content}."},
      {"field_conversations", "", &d.field_conversations, text(1, kTextBytes),
       "sharegpt: the list of {from, value}."},
      {"field_prompt", "", &d.field_prompt, text(1, kTextBytes),
       "prompt_completion: text, or a list of messages."},
      {"field_completion", "", &d.field_completion, text(1, kTextBytes),
       "prompt_completion: what is learned; of the prompt's kind."},
      {"field_instruction", "", &d.field_instruction, text(1, kTextBytes),
       "alpaca: what is asked."},
      {"field_input", "", &d.field_input, text(1, kTextBytes),
       "alpaca: more of the question; may be absent."},
      {"field_output", "", &d.field_output, text(1, kTextBytes), "alpaca: the answer."},
      {"field_system", "", &d.field_system, text(1, kTextBytes),
       "alpaca, sharegpt: the system prompt; may be absent."},
  };
}

FieldTable tokenizer_fields(TokenizerSpec& t) {
  return {
      {"path", "", &t.path, text(1, kTextBytes), "A tokenizer.json."},
      {"vocab_size", "", &t.vocab_size, integer(0, limits::kVocabSize),
       "Tokens of that file; counted when absent."},
      {"train", "", {}, block(), "Learn a byte-level BPE from the datasets."},
  };
}

FieldTable tokenizer_train_fields(TokenizerSpec& t) {
  return {{"vocab_size", "", &t.vocab_size, integer(kByteVocabSize, 1e6),
           "Tokens to learn, 256 bytes and the end of a document included. Required."}};
}

FieldTable resource_fields(ResourceSpec& r) {
  return {
      {"ranks", "gpus", &r.ranks, integer(1, limits::kRanks),
       "Processes of the job, one per device; they start together or not at all."},
      {"device", "", &r.device, choice("auto cpu cuda"), "Kind of device; auto: any, one kind."},
      {"device_name", "gpu", &r.device_name, text(0, limits::kNameBytes),
       "Part of the device's name, as in \"4090\"; empty: any."},
      {"memory", "gpu_memory", &r.memory, bytes(),
       "Cap of device memory per rank; 0: what is free."},
  };
}

FieldTable retry_fields(RetrySpec& r) {
  return {
      {"max_restarts", "max", &r.max_restarts, integer(0, 1'000),
       "Restarts after crashes, hangs and lost workers together."},
      {"on_oom", "", &r.on_oom, boolean(),
       "After an out-of-memory error: a smaller plan and resume, instead of failing."},
  };
}

}  // namespace llmctl
