"""The evidence format as one table: what each column of a file of measured runs means and may hold.

The reader (``runs.py``) and the documentation page (``docs/evidence-format.md``) are both driven by this table, so a
column is described once. Bounds are deliberately wide: they exist to catch a wrong unit or a slipped cell (1e300, a
batch in tokens, megabytes for gigabytes), not to judge whether a run is plausible.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "int", "float", "bool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its type, unit, range or allowed values, and meaning."""

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    required: bool = False  # the file must have the column (its cells may still be blank, except id)
    values: tuple[str, ...] = ()
    closed: bool = False  # only ``values`` are accepted; otherwise they are the usual ones
    low: float = 0.0
    high: float = 0.0
    low_open: bool = False  # the lower bound itself is excluded

    def allowed(self) -> str:
        """Return what a cell may hold, in words, for messages and for the documentation."""
        if self.kind == "bool":
            return "true or false"
        if self.values:
            listed = ", ".join(self.values)
            return listed if self.closed else f"usually {listed}"
        if self.kind == "text":
            return "any text"
        number = "a whole number" if self.kind == "int" else "a number"
        if self.low_open:
            return f"{number} above {self.low:.12g}, at most {self.high:.12g}"
        return f"{number} from {self.low:.12g} to {self.high:.12g}"


def _text(name: str, meaning: str, *, values: str = "", closed: bool = False, required: bool = False) -> Column:
    return Column(
        name=name, kind="text", meaning=meaning, values=tuple(values.split()), closed=closed, required=required
    )


def _count(name: str, high: float, meaning: str, *, low: float = 1, unit: str = "", required: bool = False) -> Column:
    return Column(name=name, kind="int", meaning=meaning, unit=unit, required=required, low=low, high=high)


def _amount(name: str, high: float, unit: str, meaning: str, *, required: bool = False) -> Column:
    return Column(
        name=name, kind="float", meaning=meaning, unit=unit, required=required, low=0, high=high, low_open=True
    )


def _flag(name: str, meaning: str) -> Column:
    return Column(name=name, kind="bool", meaning=meaning)


# Sections of the documentation page, in the order of the columns of a file written by isocost.
SECTIONS: tuple[tuple[str, tuple[Column, ...]], ...] = (
    (
        "Where the row comes from",
        (
            _text("id", "Name of the row, unique in the file.", required=True),
            _text("source", "Publication, log or site. Rows of one source share hidden constants."),
            _text("locator", "Where in the source: table, page, file and revision."),
            _count("year", 2100, "Year of the measurement.", low=2012),
        ),
    ),
    (
        "Software and hardware",
        (
            _text(
                "stack",
                "Training framework.",
                values="megatron torch-fsdp torch-fsdp2 torchtitan maxtext deepspeed megascale internevo nanotron jax",
            ),
            _text("stack_version", "Release, container or fork."),
            _text("recipe", "Id of the stack in the catalogue (`isocost catalog list stacks`), instead of these two."),
            _text("kind", "What is trained.", values="pretrain sft lora", closed=True),
            _text("accelerator", "Catalogue name of the accelerator.", required=True),
            _count("gpus", 1e7, "Accelerators in the run.", required=True),
            _count("gpus_per_node", 1e5, "Accelerators that share a host."),
            _amount("scale_out_gbit_per_gpu", 1e5, "Gb/s", "Network bandwidth per accelerator, one direction."),
            _text("fabric", "The network in words."),
        ),
    ),
    (
        "Model",
        (
            _text("model", "Name of the model."),
            _amount("params_b", 1e6, "1e9", "Parameters, as the source prints them."),
            _count("layers", 1e5, "Transformer blocks.", required=True),
            _count("hidden", 1e7, "Hidden width.", required=True),
            _count("heads", 1e6, "Query heads.", required=True),
            _count("kv_heads", 1e6, "Key and value heads."),
            _count("head_dim", 1e5, "Width of a head."),
            _count("ffn_hidden", 1e8, "Width of the dense feed-forward."),
            _flag("ffn_gated", "Gated feed-forward (three matrices) rather than plain (two)."),
            _count("vocab", 1e8, "Vocabulary, padded as trained.", required=True),
            _flag("tied_embeddings", "Embedding and head share their weights."),
            _count("experts", 1e6, "Routed experts per layer; blank in a dense model.", low=0),
            _count("experts_topk", 1e6, "Experts per token.", low=0),
            _count("shared_experts", 1e4, "Experts that every token visits.", low=0),
            _count("moe_ffn_hidden", 1e8, "Width of one expert.", low=0),
            _count("dense_layers", 1e5, "Layers without experts in a mixture-of-experts model.", low=0),
            _text(
                "attention",
                "Kind of attention; a sliding window gives its width in tokens and its pattern.",
                values="full mla sliding:1024,5:1 sliding:128,alternating hybrid-mamba",
            ),
        ),
    ),
    (
        "Batch and layout",
        (
            _count("seq_len", 1e9, "Sequence length.", unit="tokens", required=True),
            _count("global_batch_seqs", 1e9, "Sequences per optimizer step.", unit="sequences", required=True),
            _count("micro_batch", 1e8, "Sequences per micro-batch of one data-parallel rank.", unit="sequences"),
            _count("tp", 1e7, "Tensor-parallel degree.", required=True),
            _count("pp", 1e7, "Pipeline stages.", required=True),
            _count("vpp", 1e5, "Model chunks per pipeline stage."),
            _count("cp", 1e7, "Context-parallel degree."),
            _count("ep", 1e7, "Expert-parallel degree; experts are spread over ranks of tp, cp and dp."),
            _count("dp", 1e7, "Data-parallel degree."),
            _text(
                "sharding",
                "What is sharded over data parallelism; zero3 is FSDP.",
                values="none zero1 zero2 zero3",
                closed=True,
            ),
            _text("shard_group", "Accelerators over which it is sharded: a number, or all."),
            _flag("sequence_parallel", "Activations between tensor-parallel regions are split along the sequence."),
            _text(
                "schedule",
                "Pipeline schedule.",
                values="none 1f1b interleaved zb-h1 zb-h2 zb-v dualpipe",
                closed=True,
            ),
        ),
    ),
    (
        "Recipe",
        (
            _text("recompute", "Activation recomputation.", values="none selective full", closed=True),
            _text(
                "precision",
                "Precision of the matrix products.",
                values="bf16 fp16 fp8 mxfp8 nvfp4",
                closed=True,
                required=True,
            ),
            _text(
                "fp8_recipe",
                "Scaling of low-precision tensors.",
                values="block current-scaling delayed mx-block nvfp4 rowwise tensorwise",
            ),
            _text(
                "attention_kernel",
                "Attention kernel.",
                values="unfused fused-softmax flash1 flash2 flash2-alibi flash3 flash cudnn splash",
            ),
            _text("norm_kernel", "Normalisation kernel.", values="eager fused compiled"),
            _flag("compiled", "The blocks are compiled (torch.compile, XLA)."),
            _flag("cuda_graphs", "The launches of a block are recorded once and replayed."),
            _text(
                "gradient_precision",
                "Precision of the gradients in their reduction.",
                values="bf16 fp16 fp32",
                closed=True,
            ),
            _flag("tp_overlap", "Tensor-parallel traffic is split and overlapped with its products (asynchronous TP)."),
        ),
    ),
    (
        "What was measured",
        (
            _text("memory_definition", "What peak_mem_gb counts.", values="allocated reserved in-use"),
            _text("outcome", "The run completed steps, or ran out of memory.", values="ran oom", closed=True),
            _amount("step_s", 1e7, "s", "Wall time of one optimizer step, steady state.", required=True),
            _amount("peak_mem_gb", 1e6, "GB", "Highest memory use of any accelerator; GB is 1e9 bytes."),
            Column(
                name="published_mfu",
                kind="float",
                unit="fraction",
                meaning="MFU as printed. Not scored: conventions differ.",
                low=0,
                high=1,
                low_open=True,
            ),
            _amount("published_tflops_per_gpu", 1e6, "TFLOP/s", "Rate as printed. Not scored."),
            _text("flops_convention", "What the printed rate counts."),
            _flag("complete", "Shape, layout, batch and precision are all known. A blank is worked out."),
            _text("notes", "What was assumed or derived."),
            _text("verified", "How the figure was checked.", values="yes yes-derived yes-secondary partial memory"),
        ),
    ),
)

COLUMNS: tuple[Column, ...] = tuple(column for _, columns in SECTIONS for column in columns)
BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}
REQUIRED: tuple[str, ...] = tuple(column.name for column in COLUMNS if column.required)

# Cells that must be known before a row counts as complete (dp follows from the others; a dense model has no experts).
COMPLETE_NEEDS: tuple[str, ...] = (
    "accelerator",
    "gpus",
    "layers",
    "hidden",
    "heads",
    "vocab",
    "seq_len",
    "global_batch_seqs",
    "micro_batch",
    "tp",
    "pp",
    "precision",
)


def format_page() -> str:
    """Return the documentation page of the format, in markdown."""
    lines = [
        "# The evidence format",
        "",
        "One measured training configuration a row, in a CSV file: UTF-8, commas, a first line of column names.",
        "Columns may come in any order; columns that are not listed here are ignored with a warning. An empty cell is",
        "unknown, and unknown is not zero. Columns marked *required* must be in the header; of their cells only `id`",
        "must be filled. Numbers are plain: no units, no thousands separators.",
        "",
        "A row that cannot be read, or that contradicts itself (the layout does not multiply out to the accelerators,",
        "the batch does not divide, a step is faster than the peak allows), is reported with its line, its column and",
        "the reason, and is not used. The other rows are.",
        "",
        "A row is *complete* when "
        + ", ".join(f"`{name}`" for name in COMPLETE_NEEDS)
        + " and a feed-forward width are known; `complete = false` holds a row back even then.",
        "",
        "<!-- Generated: python -m isocost.evidence.columns > docs/evidence-format.md -->",
    ]
    for title, columns in SECTIONS:
        lines += ["", f"## {title}", "", "| column | type | unit | a cell holds | meaning |", "|---|---|---|---|---|"]
        for column in columns:
            name = f"`{column.name}`" + (" *required*" if column.required else "")
            lines.append(f"| {name} | {column.kind} | {column.unit} | {column.allowed()} | {column.meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(format_page())
