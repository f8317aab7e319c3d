"""How each configuration file and key of a Hugging Face folder is handled: obeyed, harmless, noted or refused.

A key is `obeyed` if mtlkit computes what the original library computes, `harmless` if no vector of
`SentenceTransformer(folder).encode(texts)` depends on it, and `refused` if vectors depend on it and mtlkit does not support it.
It is `noted`, in one line, if vectors depend on it only through rounding or through the other texts of a batch. Keys that are
in no table are reported once. To support a setting, change its entry here and implement it where its file is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Use = Literal["obeyed", "harmless", "noted", "refused"]


@dataclass(frozen=True)
class KnownSetting:
    """A known file or key. `why` says what a refused key would change, or what is done instead of a noted one. The key has no
    effect if its value is in `neutral` or is a list that contains `needed`.
    """

    use: Use
    why: str = ""
    neutral: tuple[Any, ...] = (None,)
    needed: str = ""

    def changes(self, value: Any) -> bool:
        """Whether a value affects the result."""
        return value not in self.neutral and not (self.needed and isinstance(value, list) and self.needed in value)


Keys = Mapping[str, KnownSetting]


def keys(use: Use, names: str) -> dict[str, KnownSetting]:
    """Keys that are all used the same way; `names` is separated by spaces."""
    return dict.fromkeys(names.split(), KnownSetting(use))


def refused(why: str, *neutral: Any) -> KnownSetting:
    """A key that is refused unless its value is neutral; null is always neutral."""
    return KnownSetting("refused", why, (None, *neutral))


ALONE = "each text is computed as if alone, whatever it is batched with"
IN_FLOAT32 = KnownSetting("noted", "computed in float32", (None, "float32", "torch.float32", "float64", "torch.float64", "auto"))
PADDING_SIDE = KnownSetting("noted", ALONE, (None, "right"))

# --- sentence-transformers ---------------------------------------------------------------------------------------------------
SENTENCE_TRANSFORMERS = "config_sentence_transformers.json"
# Files that set the maximum text length, in the order sentence-transformers tries them; the first non-empty one is used.
LENGTH_FILES = tuple(
    f"sentence_{kind}_config.json" for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
LIBRARY = "sentence_transformers."  # prefix of the type of every module of the library; other types are custom code

SENTENCE_TRANSFORMERS_KEYS: Keys = {
    **keys("obeyed", "prompts default_prompt_name similarity_fn_name truncate_dim"),
    **keys("harmless", "__version__ requirements"),
    "model_type": refused("another kind of model", "SentenceTransformer"),
}
MODULE_ENTRY_KEYS: Keys = {  # of each module in modules.json
    **keys("obeyed", "name path type"),
    **keys("harmless", "idx kwargs"),  # "kwargs" names arguments of encode() that the module accepts; they are never passed
}
TEXT_ONLY = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
LENGTH_KEYS: Keys = {
    **keys("obeyed", "max_seq_length do_lower_case processor_kwargs tokenizer_args"),
    **keys("harmless", "backend unpad_inputs query_length document_length query_expansion"),  # encode() is called without a task
    "model_kwargs": refused("arguments of the model", {}),
    "model_args": refused("arguments of the model", {}),
    "config_kwargs": refused("arguments of the model's configuration", {}),
    "config_args": refused("arguments of the model's configuration", {}),
    "processing_kwargs": refused("arguments of the tokenizer", {}),
    "tokenizer_name_or_path": refused("a tokenizer from elsewhere"),
    "transformer_task": refused("another output of the model", "feature-extraction"),
    "modality_config": refused("another input or output of the model", TEXT_ONLY),
    "module_output_name": refused("another output of the model", "token_embeddings"),
}
PROCESSOR_KEYS: Keys = {  # of processor_kwargs and tokenizer_args
    **keys("obeyed", "model_max_length"),
    **keys("harmless", "use_fast trust_remote_code"),
    "padding_side": PADDING_SIDE,
}
POOLING_KEYS: Keys = {
    **keys("obeyed", "pooling_mode include_prompt pooling_mode_cls_token pooling_mode_max_tokens pooling_mode_mean_tokens"),
    **keys("obeyed", "pooling_mode_mean_sqrt_len_tokens pooling_mode_weightedmean_tokens pooling_mode_lasttoken"),
    **keys("harmless", "word_embedding_dimension embedding_dimension"),
}
NORMALIZE_KEYS: Keys = {
    "module_input_name": refused("scaling of something other than the vector", "sentence_embedding"),
    "module_output_name": refused("scaling into something other than the vector", "sentence_embedding"),
}
DENSE_KEYS: Keys = {
    **keys("obeyed", "in_features out_features bias activation_function"),
    "module_input_name": refused("a layer on something other than the vector", "sentence_embedding"),
    "module_output_name": refused("another output than the vector", "sentence_embedding"),
    "use_residual": refused("the input of the layer added to its output", False),
}
MODULE_KEYS: Mapping[str, Keys] = {  # by kind of module, except the transformer; other kinds are refused
    "Pooling": POOLING_KEYS,
    "Normalize": NORMALIZE_KEYS,
    "Dense": DENSE_KEYS,
    "LayerNorm": keys("obeyed", "dimension"),
    "WeightedLayerPooling": keys("obeyed", "layer_start num_hidden_layers word_embedding_dimension embedding_dimension"),
    "WordWeights": keys("obeyed", "vocab word_weights unknown_word_weight"),
    "Dropout": keys("harmless", "dropout"),  # active only in training
}

# --- the tokenizer -----------------------------------------------------------------------------------------------------------
TOKENIZER_KEYS: Keys = {
    "*_token": KnownSetting("obeyed"),  # special tokens specific to a model
    "fast_tokenizer_files": refused("another tokenizer.json for some versions of transformers", []),
    **keys("obeyed", "do_lower_case strip_accents tokenize_chinese_chars keep_accents add_prefix_space"),
    **keys("obeyed", "model_max_length max_len truncation_side tokenizer_class split_special_tokens added_tokens_decoder"),
    **keys("obeyed", "bos_token eos_token unk_token sep_token pad_token cls_token mask_token"),
    **keys("obeyed", "additional_special_tokens extra_special_tokens model_specific_special_tokens"),
    **keys("harmless", "name_or_path _name_or_path special_tokens_map_file tokenizer_file vocab_file merges_file"),
    **keys("harmless", "never_split do_basic_tokenize errors legacy chat_template processor_class backend is_local"),
    **keys("harmless", "padding pad_to_multiple_of pad_token_type_id auto_map use_fast"),
    **keys("harmless", "max_length stride truncation truncation_strategy clean_up_tokenization_spaces sp_model_kwargs"),
    **keys(
        "harmless", "trim_offsets remove_space local_files_only verbose token_type_ids_pattern init_inputs return_token_type_ids"
    ),
    "padding_side": PADDING_SIDE,
    "model_input_names": KnownSetting("noted", ALONE, needed="attention_mask"),  # without a mask, padding is read as text
}
SPECIAL_TOKENS_KEYS: Keys = {
    "*_token": KnownSetting("obeyed"),
    **keys("obeyed", "bos_token eos_token unk_token sep_token pad_token cls_token mask_token"),
    **keys("obeyed", "additional_special_tokens extra_special_tokens"),
}

# --- the transformer ---------------------------------------------------------------------------------------------------------
CONFIG_KEYS: Keys = {
    **keys("obeyed", "model_type architectures type_vocab_size is_causal"),  # in addition to those that a family names
    **keys("harmless", "_name_or_path name_or_path transformers_version use_cache initializer_range"),
    **keys("harmless", "attention_probs_dropout_prob classifier_dropout gradient_checkpointing directionality auto_map"),
    **keys("harmless", "pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type"),
    **keys("obeyed", "id2label problem_type num_labels sentence_transformers sbert_ce_default_activation_function"),
    **keys("harmless", "label2id finetuning_task task_specific_params"),
    **keys("harmless", "bos_token_id eos_token_id sep_token_id cls_token_id mask_token_id decoder_start_token_id"),
    **keys("obeyed", "output_hidden_states"),  # by WeightedLayerPooling
    **keys("harmless", "output_past output_attentions return_dict torchscript tie_word_embeddings"),
    **keys("harmless", "is_encoder_decoder cross_attention_hidden_size chunk_size_feed_forward rope_theta"),
    **keys("harmless", "summary_type summary_use_proj summary_activation summary_first_dropout summary_last_dropout"),
    **keys("harmless", "summary_proj_to_labels attention_dropout qa_dropout seq_classif_dropout sinusoidal_pos_embds"),
    **keys("harmless", "tie_weights_ n_ctx attn_pdrop embd_pdrop is_folding_model esmfold_config vocab_list"),
    **keys("harmless", "max_length min_length do_sample early_stopping num_beams temperature top_k top_p"),
    **keys("harmless", "repetition_penalty length_penalty no_repeat_ngram_size num_return_sequences tokenizer_class"),
    **keys("harmless", "attn_implementation _attn_implementation _attn_implementation_autoset"),  # same result, other kernel
    **keys("harmless", "reference_compile repad_logits_with_grad deterministic_flash_attn initializer_cutoff_factor"),
    **keys("harmless", "sparse_prediction sparse_pred_ignore_index decoder_bias classifier_activation classifier_bias"),
    **keys("harmless", "classifier_pooling pretraining_tp hidden_dropout bos_token eos_token pad_token mask_token"),
    **keys("harmless", "unpad_inputs use_memory_efficient_attention use_flash_attn use_xentropy fused_bias_fc"),
    **keys("harmless", "fused_dropout_add_ln dense_seq_output last_layer_subset pad_vocab_size_multiple max_trained_positions"),
    "prenorm": refused("norms before attention and MLP", False),
    **dict.fromkeys(("parallel_block", "parallel_block_tied_norm"), refused("attention and MLP side by side", False)),
    "rotary_emb_fraction": refused("rotary positions in a part of each head", 1),
    "rotary_emb_interleaved": refused("rotary positions with other pairs of channels", False),
    "rotary_emb_scale_base": refused("attention that decays with the distance"),
    "rotary_scaling_factor": refused("positions scaled by the length of the text; remove the key, and texts are read without it"),
    "use_rms_norm": refused("norms of another kind", False),
    "causal": refused("causal attention", False),
    **dict.fromkeys(("qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias"), refused("biases that this family has not", False)),
    **dict.fromkeys(("num_experts", "moe_every_n_layers"), refused("a mixture of experts", 0)),
    "layer_norm_type": refused("norms of another kind", "layer_norm"),
    "pack_qkv": refused("weights under other names", True),
    **dict.fromkeys(("logn_attention_scale", "logn_attention_clip1"), refused("scores scaled by the length of the text", False)),
    **keys("harmless", "classifier_dropout_prob down_scale_factor gap_size net_structure_type num_memory_blocks"),  # of ALBERT
    "torch_dtype": IN_FLOAT32,
    "dtype": IN_FLOAT32,
    "pruned_heads": refused("fewer attention heads in some blocks", {}, []),
    "quantization_config": refused("weights that are stored in another way"),
}

# --- whole files -------------------------------------------------------------------------------------------------------------
FILES: Mapping[str, KnownSetting] = {  # checked as a whole, not key by key
    **keys("obeyed", "modules.json model.safetensors model.safetensors.index.json tokenizer.json heads.json heads.safetensors"),
    **keys("obeyed", "added_tokens.json vocab.json vocab.txt merges.txt"),
    **keys("harmless", "README.md export.json generation_config.json data_config.json preprocessor_config.json"),
    **keys("harmless", "quantize_config.json ort_config.json train_results.json eval_results.json"),
    **keys("harmless", "all_results.json trainer_state.json optimizer_config.json similarity_evaluation_results.json"),
    "adapter_config.json": refused("an adapter, which changes the weights"),
}
READ_BY_KEY: Mapping[str, Keys] = {  # in the transformer's folder
    **dict.fromkeys(LENGTH_FILES, LENGTH_KEYS),
    "config.json": CONFIG_KEYS,
    "tokenizer_config.json": TOKENIZER_KEYS,
    "special_tokens_map.json": SPECIAL_TOKENS_KEYS,
}
