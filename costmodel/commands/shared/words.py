"""The table of options: the name, spelling, help text and allowed values of each."""

from __future__ import annotations

from costmodel.commands.shared.training_words import TRAINING_WORDS
from costmodel.commands.shared.word import CHOICES, Word


def _some(name: str) -> str:
    return ", ".join(CHOICES[name])


_PER_STAGE = "one per stage: "
_SEVERAL = "a list or a range of several: "
_COMPRESSION = "Compression factor of the bottlenecks, at least 1"
_FIGURE = "into this .svg, .png or .pdf."

TABLE: tuple[Word, ...] = (
    # A network, in every command that has one
    Word("model", "--model", "The network: resnet20, resnet56, ..., resnet(6n+2).", "model"),
    Word("any-model", "--model", "The network, if it is not the argument.", "model"),
    Word("models", "--model", "The networks: resnet20, resnet56, ..., comma-separated.", "model"),
    Word(
        "alpha",
        "--alpha",
        f"Share of low-frequency channels, 0 to 1: 0.25 or 1/4; {_PER_STAGE}1/8+1/4+1/2.",
    ),
    Word(
        "alpha-any",
        "--alpha",
        f"Share of low-frequency channels, 0 to 1: 0.25 or 1/4; {_SEVERAL}0,1/4 or 0:0.75:0.125;"
        f" {_PER_STAGE}1/8+1/4+1/2.",
    ),
    Word("alpha-list", "--alpha", "Shares of low-frequency channels: a list 0,1/4 or a range 0:0.75:0.125."),
    Word("alpha-one", "--alpha", "Share of low-frequency channels, 0 to 1: 0.25 or 1/4."),
    Word("beta", "--beta", f"{_COMPRESSION}: 2 or 8/3; {_PER_STAGE}2+2+4."),
    Word(
        "beta-any",
        "--beta",
        f"{_COMPRESSION}: 2 or 8/3; {_SEVERAL}2,4 or 2:4:1/2; {_PER_STAGE}2+2+4.",
    ),
    Word("beta-list", "--beta", "Compression factors of the bottlenecks: a list 2,4 or a range 2:4:1/2."),
    Word(
        "paths",
        "--paths",
        f"Paths that are bottlenecks: some of HH,HL,LH,LL, all or none; {_PER_STAGE}HL+none+all.",
        "paths",
    ),
    Word(
        "path-sets",
        "--paths",
        "A set of bottleneck paths: HL,LH, all or none; give it once per set. Default: all 16 sets.",
        "paths",
    ),
    Word("width-rule", "--width-rule", "A bottleneck's width: out, in, min or mean over beta.", "width-rule"),
    Word(
        "width-rules",
        "--width-rule",
        "Width rules to search: some of out (default), in, min, mean.",
        "width-rule",
    ),
    Word(
        "stride-rule",
        "--stride-rule",
        "How octave layers stride: C, in the convolutions; B, by pooling the inputs; A, as B, but without "
        "pooling the input of LH.",
        "stride-rule",
    ),
    Word(
        "between",
        "--between",
        "Between the convolutions of a bottleneck: none, bn (batch normalisation) or bn_relu.",
        "between",
    ),
    Word(
        "shortcut",
        "--shortcut",
        "At stage changes: B, a 1x1 convolution, or A: every second pixel and zeros, no parameters.",
        "shortcut",
    ),
    Word("width", "--width", "Channels of the network's first stage."),
    Word("widths", "--width", "Channels of the first stage: 16; several: a list 16,24 or a range 8:32:4."),
    Word("classes", "--classes", "Number of classes."),
    Word("in-channels", "--in-channels", "Input channels of the network: 3 for colour, 1 for grey."),
    Word("size", "--size", "Input size: 32 or 32x48."),
    Word("batch", "--batch", "Batch size."),
    # One layer
    Word("op", "--op", f"Cost a single layer of this type: {_some('op')}.", "op"),
    Word(
        "c-in",
        "--c-in",
        "Input channels of the layer; above a network, by default those of its first stage.",
    ),
    Word(
        "c-out",
        "--c-out",
        "Output channels of the layer. Default: 16; above a network, those of its first stage; depthwise: as "
        "many as the input.",
    ),
    Word("kernel", "--kernel", "The layer's kernel: 3 or 3x5."),
    Word("kernel-one", "--kernel", "Kernel size: 1, 3, 5, ..."),
    Word("stride", "--stride", "The layer's stride."),
    Word(
        "padding",
        "--padding",
        "The layer's padding on each side: 0 or 1x2. Default: keeps the size.",
    ),
    Word("dilation", "--dilation", "The layer's dilation."),
    Word("groups", "--groups", "The groups of the layer's kxk convolutions."),
    Word("bias", "--bias", "The layer has a bias."),
    Word("depthwise", "--depthwise", "A depthwise octave layer: HH and LL only."),
    Word("exchange", "--exchange", "With --depthwise: HL and LH too."),
    Word("dim", "--dim", "Spatial dimensions of the layer: 1, 2 or 3."),
    Word("output-padding", "--output-padding", "Added to a transposed layer's output size: 0 or 1x0."),
    Word("alpha-in", "--alpha-in", "The layer's input alpha. Default: --alpha."),
    Word("alpha-out", "--alpha-out", "The layer's output alpha. Default: --alpha."),
    # What is counted, and how it is shown
    Word("dtype", "--dtype", f"Data type for byte counts: {_some('dtype')}.", "dtype"),
    Word(
        "dtypes",
        "--dtype",
        "Data types to compute in: float32,bfloat16.",
        "dtype",
    ),
    Word("unit", "--unit", "Unit of work: mac, or flop (2 per MAC); with k, M or G: Mmac, Gflop.", "unit"),
    Word("count", "--count", f"Parts included in totals, comma-separated: {_some('count')}.", "count"),
    Word(
        "quantity",
        "--quantity",
        f"Some of {_some('quantity')}, comma-separated. Default: params,macs.",
        "quantity",
    ),
    Word("per-layer", "--per-layer", "Add the network layer by layer."),
    Word("plot", "--plot -o", f"Draw the result too, {_FIGURE}"),
    Word("roofline", "--plot -o", f"Draw a roofline {_FIGURE}"),
    Word("figure", "--output -o", "The figure: a file .svg, .png or .pdf."),
    Word("page", "--output -o", "The HTML file to write."),
    Word("version", "--version", "Print the version and exit."),
    # The user's own network
    Word(
        "input",
        "--input",
        "Shape of an input: 1,3,224,224; with name, dtype, upper bound: ids=1,128:int64<30522. Repeatable.",
    ),
    Word("inputs", "--inputs", "A function that makes the inputs: file.py:make_inputs."),
    Word("timeout", "--timeout", "Time limit for building and running the network, in seconds."),
    Word(
        "symbols",
        "--symbols",
        "Print the closed form; a name for each axis, or _ to fix it: n,_,h,w or ids=b,s. Repeatable.",
    ),
    Word("as", "--as", f"Write closed forms as {_some('as')}.", "as"),
    Word("by", "--by", f"Group by {_some('by')}.", "by"),
    Word("depth", "--depth", "Sum modules down to this depth; 1: the model's children."),
    Word("sort", "--sort", f"Sort by {_some('sort')}, most first.", "sort"),
    Word("top", "--top", "Show at most this many rows; 0: all."),
    Word("every-layer", "--per-layer", "Show layer by layer too."),
    Word("traced-count", "--count", f"Parts included in totals, comma-separated: {_some('traced-count')}."),
    Word("training", "--training", "Trace a training step too: its MACs, and the bytes saved for backward."),
    Word("cite", "--cite", "Print only a sentence for a paper that states what was counted."),
    Word("strict", "--strict", "Fail if no formula covers an operator, or something was not compared."),
    # reconcile
    Word("counter", "--counter", "Only these counters, comma-separated: fvcore,thop,... Default: all."),
    Word(
        "claim",
        "--claim",
        "A published count, such as 4.12G: list the conventions that reproduce it. Repeatable.",
    ),
    Word("claim-params", "--claim-params", "The parameter count published with it, such as 25.56M."),
    Word(
        "claim-source",
        "--source",
        "Where a claim was published, such as a URL; the conventions of some sources are known.",
    ),
    Word("claims-file", "--claims", "A CSV file of claims: model, claim, input, claim_params, unit, source."),
    Word("run-counters", "--run", "Run the counters that are installed, and compare."),
    Word("per-module", "--per-module", "Show one row per module."),
    Word("every-network", "--all", "Verify 665 networks: depths, alphas, betas, sets of paths."),
    Word("jobs", "--jobs", "Processes for --all. Default: one per core."),
    # convert
    Word("beta-one", "--beta", f"{_COMPRESSION}: 2 or 8/3."),
    Word("path-set", "--paths", "Paths that are bottlenecks: some of HH,HL,LH,LL, all or none.", "paths"),
    Word(
        "layers",
        "--layers",
        "Settings of layers by name: 'layer3.*=alpha:1/2,paths:HL,LH' or 'layer4.*=plain'. Repeatable.",
    ),
    Word(
        "init",
        "--init",
        f"Weights of the octave layers: {_some('init')} (the original's, carried over).",
        "init",
    ),
    Word(
        "original-weights",
        "--weights",
        "The original's weights, for --init pretrained: .safetensors, or .pt or .pth with only tensors.",
    ),
    Word("module", "--output -o", "Write a Python module that builds the network in your own code: net.py."),
    # search
    Word("per-stage", "--per-stage", "Each stage has its own alpha, beta and paths."),
    Word(
        "stages",
        "--stages",
        "Stages of your own network: layers of one resolution, modules, or patterns of names: 'a.*,b.*'.",
    ),
    Word(
        "constraint",
        "--constraint",
        "Some of keep-hh (never a bottleneck), ..., same-alpha, same-beta, same-paths.",
        "constraint",
    ),
    Word("max-params", "--max-params", "Maximum parameters: 0.4M."),
    Word("max-macs", "--max-macs", "Maximum MACs: 60M."),
    Word("max-activations", "--max-activations", "Maximum activation elements: 1M."),
    Word("max-bytes", "--max-bytes", "Maximum bytes read and written: 12M."),
    Word("max-training-macs", "--max-training-macs", "Maximum MACs of a training step."),
    Word("max-element-ops", "--max-element-ops", "Maximum element operations."),
    Word("max-calls", "--max-calls", "Maximum operator calls."),
    Word("max-latency", "--max-latency", "Maximum predicted latency of one image: 5ms. Needs --machine."),
    Word(
        "machine",
        "--machine",
        "MACs per second, bytes per second, time per call, as bench measures them: 25G,10G,5us.",
    ),
    Word("minimise", "--minimise", f"Also minimise: some of {_some('objective')}.", "objective"),
    Word(
        "maximise",
        "--maximise",
        "Maximise: such as params within a budget of MACs; or width, or depth.",
        "objective",
    ),
    Word("rows", "--rows", "Rows of the table, spread over the front; JSON and CSV have all."),
    # bench
    Word("mode", "--mode", f"What is timed: {_some('mode')}.", "mode"),
    Word("plan", "--plan", f"Execution plan: {_some('plan')}.", "plan"),
    Word("rounds", "--rounds", "Number of times that each network is timed."),
    Word(
        "cpu-time",
        "--cpu-time",
        "Measure processor time, not wall time, in one thread: for a busy machine.",
    ),
    Word("threads", "--threads", "Threads; 0: torch's default."),
    Word("layers-timed", "--per-layer", "Also time each distinct layer of the last network."),
    Word("quick", "--quick", "Smoke test: one short round, not a measurement."),
    # diff
    Word("unchanged", "--all", "Also show the layers that are equal."),
    # paper and prove
    Word("readings", "--readings", "Search all readings, and rank them."),
    Word("instantiated", "--verify", "Count instantiated networks and layers too."),
    Word("choices", "--choices", "Show the cheapest configurations."),
    Word("choices-plot", "--figure --plot -o", f"Draw the cheapest configurations {_FIGURE}"),
    Word("document", "--document", "Write the whole report as a page, paper.md."),
    Word("accuracies", "--accuracies", "Write the measured accuracies as a page, accuracies.md."),
    Word("records", "--records", "Folder of kept records of runs."),
    Word("table", "--table", "Show one table of the paper, with a verdict: 1, 2, 3 or 4."),
    Word(
        "every-theorem",
        "--all",
        "Also prove every pair of image-size residues, and every network; takes about 13 minutes.",
    ),
    Word("domains", "--domains", "Print the exact domain of every run."),
    Word("certificate", "--certificate", "Write all steps to a JSON file, for --check or another program."),
    Word("check-certificate", "--check", "Check a certificate using only sympy; nothing is run or traced."),
    *TRAINING_WORDS,
)
